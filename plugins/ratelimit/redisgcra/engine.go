package redisgcra

import (
	"context"
	_ "embed"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/go-redis/redis_rate/v10"

	"github.com/ainative/portcullis/plugins/ratelimit"
)

// Engine names what decides in Redis.
type Engine string

// The engines.
const (
	// EngineRedisRate asks github.com/go-redis/redis_rate and shares its keys,
	// `rate:...`, in its format. What that can't do (several limits at once, strict
	// windows, giving back, a state that can't be) a script of ours does on the
	// same keys.
	EngineRedisRate Engine = "redis_rate"
	// EngineNative asks a script of ours, with keys `rl2:...` in microseconds.
	EngineNative Engine = "native"
)

var (
	//go:embed lua/bucket.lua
	bucketLua string
	//go:embed lua/mixed.lua
	mixedLua string

	bucketScript = newScript(bucketLua)
	mixedScript  = newScript(mixedLua)
)

// An engine decides in Redis.
type engine interface {
	// take is Limiter.Take with limits that were checked and a cost that is not
	// above any burst. It fills rows, which have their limits, and reports whether
	// the charge may have reached Redis even where it fails.
	take(ctx context.Context, key ratelimit.Key, cost int64, rows []ratelimit.Row) (sent bool, err error)
	// adjust charges delta, above 0, to every limit whether it fits or not.
	adjust(ctx context.Context, key ratelimit.Key, delta int64, rows []ratelimit.Row) (sent bool, err error)
	// drain charges what there is of one limit, up to cost.
	drain(ctx context.Context, key ratelimit.Key, limit ratelimit.Limit, cost int64) error
	// reserve charges cost, or as much more as there is up to cost and extra, and
	// returns how much more it got.
	reserve(ctx context.Context, key ratelimit.Key, cost, extra int64, rows []ratelimit.Row) (more int64, sent bool, err error)
	// interval is the time in which this engine brings a unit back: the limit's own
	// interval, rounded up to what the engine counts in.
	interval(limit *ratelimit.Limit) time.Duration
	// names are the Redis keys of the limits.
	names(key ratelimit.Key, limits []ratelimit.Limit) []string
	// gateways is the Redis key of the signs of life.
	gateways() string
}

// scripted runs our scripts. It is the whole of the native engine and the part
// of redis_rate's that redis_rate has no way to do.
type scripted struct {
	b *batcher
	// rate says that buckets are in the format of redis_rate.
	rate bool
}

func (s *scripted) names(key ratelimit.Key, limits []ratelimit.Limit) []string {
	names := make([]string, len(limits))
	for i, limit := range limits {
		names[i] = s.name(key, limit)
	}
	return names
}

func (s *scripted) interval(limit *ratelimit.Limit) time.Duration {
	if s.rate {
		pace := rateOf(limit)
		return (pace.period + time.Duration(pace.rate) - 1) / time.Duration(pace.rate)
	}
	return time.Duration(micros(limit.Interval())) * time.Microsecond
}

// name is `rl2:{key}:period`, with the key as hash tag, so that all counts of a
// caller are in one slot of a cluster, and the period in milliseconds.
func (s *scripted) name(key ratelimit.Key, limit ratelimit.Limit) string {
	b := make([]byte, 0, 64)
	if s.rate {
		b = append(b, "rate:rl:{"...)
	} else {
		b = append(b, "rl2:{"...)
	}
	b = key.AppendText(b)
	b = append(b, "}:"...)
	b = strconv.AppendInt(b, int64(limit.Period/time.Millisecond), 10)
	if limit.Strict {
		b = append(b, 's')
	}
	return string(b)
}

// gateways has the prefix of the counts, which the user of an access list may write.
func (s *scripted) gateways() string {
	if s.rate {
		return "rate:rl:{gateways}"
	}
	return "rl2:{gateways}"
}

func (s *scripted) take(ctx context.Context, key ratelimit.Key, cost int64, rows []ratelimit.Row) (bool, error) {
	_, sent, err := s.grant(ctx, key, cost, cost, rows)
	return sent, err
}

func (s *scripted) adjust(ctx context.Context, key ratelimit.Key, delta int64, rows []ratelimit.Row) (bool, error) {
	_, sent, err := s.grant(ctx, key, -1, delta, rows)
	return sent, err
}

func (s *scripted) drain(ctx context.Context, key ratelimit.Key, limit ratelimit.Limit, cost int64) error {
	_, _, err := s.grant(ctx, key, 0, min(cost, limit.Burst), []ratelimit.Row{{Limit: limit}})
	return err
}

func (s *scripted) reserve(ctx context.Context, key ratelimit.Key, cost, extra int64, rows []ratelimit.Row) (int64, bool, error) {
	granted, sent, err := s.grant(ctx, key, cost, cost+extra, rows)
	return max(0, granted-cost), sent, err
}

// grant asks for need to want units of all limits and fills the rows in. It
// refuses answers that can't be.
func (s *scripted) grant(ctx context.Context, key ratelimit.Key, need, want int64, rows []ratelimit.Row) (int64, bool, error) {
	names := make([]string, len(rows))
	plain := !s.rate
	for i := range rows {
		names[i] = s.name(key, rows[i].Limit)
		plain = plain && !rows[i].Limit.Strict
	}
	if plain {
		return s.bucket(ctx, names, need, want, rows)
	}
	return s.mixed(ctx, names, need, want, rows)
}

func (s *scripted) bucket(ctx context.Context, names []string, need, want int64, rows []ratelimit.Row) (int64, bool, error) {
	args := make([]any, 0, 2+2*len(rows))
	args = append(args, need, want)
	for i := range rows {
		args = append(args, micros(rows[i].Limit.Interval()), rows[i].Limit.Burst)
	}
	reply, sent, err := s.b.run(ctx, bucketScript, names, args)
	if err != nil {
		return 0, sent, err
	}
	ints, ok := integers(reply, 1+len(rows))
	if !ok || ints[0] > max(want, 0) || ints[0] < min(want, 0) {
		return 0, sent, ErrReply
	}
	for i := range rows {
		row := &rows[i]
		interval := s.interval(&row.Limit)
		horizon := time.Duration(row.Limit.Burst) * interval
		debt := time.Duration(ints[1+i]) * time.Microsecond
		if ints[1+i] < 0 || debt < 0 || debt > 2*horizon {
			return 0, sent, ErrReply
		}
		row.SetDebt(debt, interval, horizon)
		if need > 0 && ints[0] == 0 {
			row.RetryAfter = max(0, debt+time.Duration(need)*interval-horizon)
		}
	}
	return ints[0], sent, nil
}

func (s *scripted) mixed(ctx context.Context, names []string, need, want int64, rows []ratelimit.Row) (int64, bool, error) {
	args := make([]any, 0, 2+4*len(rows))
	args = append(args, need, want)
	for i := range rows {
		limit := &rows[i].Limit
		switch period := micros(limit.Period); {
		case limit.Strict:
			args = append(args, "w", 0, limit.Burst, period)
		case s.rate:
			args = append(args, "s", rateOf(limit).seconds(), limit.Burst, period)
		default:
			args = append(args, "u", micros(limit.Interval()), limit.Burst, period)
		}
	}
	reply, sent, err := s.b.run(ctx, mixedScript, names, args)
	if err != nil {
		return 0, sent, err
	}
	ints, ok := integers(reply, 1+4*len(rows))
	if !ok || ints[0] > max(want, 0) || ints[0] < min(want, 0) {
		return 0, sent, ErrReply
	}
	refused := need > 0 && ints[0] == 0
	for i := range rows {
		row, of := &rows[i], ints[1+4*i:]
		row.Remaining = of[0]
		row.ResetAfter = time.Duration(of[1]) * time.Microsecond
		row.NextAfter = time.Duration(of[2]) * time.Microsecond
		row.RetryAfter = 0
		if refused {
			row.RetryAfter = time.Duration(of[3]) * time.Microsecond
		}
		// A bucket of redis_rate is rounded by less than a millisecond.
		if row.Remaining < 0 || row.Remaining > row.Limit.Burst || of[1] < 0 || of[2] < 0 || of[3] < 0 ||
			row.ResetAfter > 2*(row.Limit.Horizon()+time.Duration(row.Limit.Burst)*time.Microsecond+time.Millisecond) {
			return 0, sent, ErrReply
		}
	}
	return ints[0], sent, nil
}

// micros rounds up to whole microseconds, the unit of Redis's clock: a rate is
// never faster than asked, and slower by less than a microsecond a unit.
func micros(d time.Duration) int64 {
	return int64((d + time.Microsecond - 1) / time.Microsecond)
}

func integers(reply []any, n int) ([]int64, bool) {
	if len(reply) != n {
		return nil, false
	}
	ints := make([]int64, n)
	for i, v := range reply {
		number, ok := v.(int64)
		if !ok {
			return nil, false
		}
		ints[i] = number
	}
	return ints, true
}

// rated is the engine on redis_rate.
type rated struct {
	scripted
	// impossible is called for each state that can't be, before our script puts it
	// right.
	impossible func()
}

func (r *rated) take(ctx context.Context, key ratelimit.Key, cost int64, rows []ratelimit.Row) (sent bool, err error) {
	limit := &rows[0].Limit
	// redis_rate drops a refund past full and knows neither windows nor several
	// limits: peeking at each and charging them one by one would admit more than
	// one of them allows, or charge what is then refused.
	if len(rows) > 1 || limit.Strict || cost < 0 || limit.Burst > math.MaxInt32 || cost > math.MaxInt32 {
		return r.scripted.take(ctx, key, cost, rows)
	}
	defer func() {
		// redis_rate asserts the types of the answer without checking them.
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: redis_rate: %v", ErrReply, p)
		}
	}()
	pace := rateOf(limit)
	name := r.name(key, *limit)[len("rate:"):]
	limiter := redis_rate.NewLimiter(rediser{b: r.b, sent: &sent})
	got, err := limiter.AllowN(ctx, name, redis_rate.Limit{Rate: pace.rate, Period: pace.period, Burst: int(limit.Burst)}, int(cost))
	if err != nil {
		return sent, err
	}
	// Remaining of redis_rate is a truncated float, 998 of a fresh 999: it is
	// counted again from the reset. A reset beyond what the limit takes to fill is
	// of a higher limit or of a clock that went back, and a NaN has no order.
	interval := pace.interval()
	debt := got.ResetAfter.Seconds() / interval
	if !(debt >= 0 && debt <= float64(limit.Burst)+1e-6) || got.Allowed != 0 && got.Allowed != int(cost) ||
		got.Remaining < 0 || int64(got.Remaining) > limit.Burst {
		sent, err = r.scripted.take(ctx, key, cost, rows)
		if err == nil && rows[0].NextAfter <= limit.Interval()+time.Millisecond {
			// A caller in debt has a longer wait and is as it should be.
			r.impossible()
		}
		return sent, err
	}
	refused := cost > 0 && got.Allowed == 0
	row := &rows[0]
	row.Remaining = min(limit.Burst, max(0, int64(float64(limit.Burst)-debt+1e-6)))
	row.ResetAfter = microseconds(debt * interval)
	row.NextAfter = microseconds((debt - float64(limit.Burst-row.Remaining-1)) * interval)
	if row.Remaining == limit.Burst {
		row.ResetAfter, row.NextAfter = 0, 0
	}
	row.NextAfter = min(row.NextAfter, row.ResetAfter)
	if refused {
		// The clock of redis_rate has a resolution of its own: a wait that ends within
		// it would be too short half of the time.
		row.RetryAfter = max(time.Microsecond, microseconds((debt+float64(cost)-float64(limit.Burst))*interval+resolution))
	}
	return sent, nil
}

// microseconds rounds seconds up to microseconds, but for what is the noise of
// printing a float.
func microseconds(seconds float64) time.Duration {
	return time.Duration(math.Ceil(seconds*1e6-1e-3)) * time.Microsecond
}

// A pace is a rate whose interval redis_rate computes without rounding. It adds
// intervals up in float seconds since 2017, where 1000 times 0.06 is not 60: a
// caller gets 999 of 1000 at one instant, and 998 are said to remain of a fresh
// bucket. Period/Rate with a Rate of a power of two and a Period of whole 512ths
// of a second, whole nanoseconds too, is exact in every step.
type pace struct {
	rate   int
	period time.Duration
}

// grain is a 512th of a second, the smallest power of two of one that is whole
// nanoseconds.
const grain = time.Second / 512

// resolution is that of redis_rate's clock in seconds: float seconds since 2017,
// until 2034.
const resolution = 1.0 / (1 << 24)

// rateOf rounds the interval up to a 2^-24th of a second, the resolution of
// redis_rate's clock, or to more where the period would not fit.
func rateOf(limit *ratelimit.Limit) pace {
	interval := limit.Interval()
	shift := 15
	for interval > math.MaxInt64>>(shift+1) {
		shift--
	}
	grains := (interval<<shift + grain - 1) / grain
	return pace{rate: 1 << shift, period: grains * grain}
}

// interval is in seconds.
func (p pace) interval() float64 { return p.period.Seconds() / float64(p.rate) }

// seconds is the interval as our script reads it, without loss.
func (p pace) seconds() string { return strconv.FormatFloat(p.interval(), 'g', 17, 64) }
