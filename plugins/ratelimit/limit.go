package ratelimit

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"time"
)

// Bounds of a limit. They keep all arithmetic on a limit inside an int64 of
// nanoseconds and inside the 53 exact bits of a Redis script's microseconds.
const (
	// MinPeriod is the shortest period, and what every period is a multiple of.
	MinPeriod = time.Millisecond
	// MaxPeriod is the longest period.
	MaxPeriod = 366 * day
	// MaxHorizon bounds Burst times Interval: how long an empty bucket may take to
	// fill.
	MaxHorizon = 3660 * day
	// MinInterval is the shortest time between two requests of a steady rate, the
	// resolution of the Redis scripts.
	MinInterval = time.Microsecond
	// MaxStrictCount bounds Count of a strict limit, whose state is counters.
	MaxStrictCount = math.MaxUint32

	day = 24 * time.Hour
)

// ErrLimit is in the chain of every error about an invalid limit.
var ErrLimit = errors.New("invalid limit")

// Validate returns an error for an invalid limit. The Interval and Horizon of a valid one do
// not overflow. Errors wrap ErrLimit.
func (l Limit) Validate() error {
	switch {
	case l.Count < 1:
		return l.errorf("the count must be 1 or more, got %d", l.Count)
	case l.Period < MinPeriod:
		return l.errorf("the period must be 1ms or more, got %s", l.Period)
	case l.Period > MaxPeriod:
		return l.errorf("the period must be 366d or less, got %s", FormatDuration(l.Period))
	case l.Burst < 1:
		return l.errorf("the burst must be 1 or more, got %d", l.Burst)
	case l.Period%time.Millisecond != 0:
		return l.errorf("the period must be a whole number of milliseconds, got %s", FormatDuration(l.Period))
	case l.Count > int64(l.Period/MinInterval):
		return l.errorf("%d in %s is more than one per microsecond", l.Count, FormatDuration(l.Period))
	case int64(l.Tolerance) >= min(l.Count, l.Burst):
		return l.errorf("the tolerance of %d leaves nothing to tell of", l.Tolerance)
	case l.Strict && l.Burst != l.Count:
		return l.errorf("a strict window has no burst of its own, remove `burst %d`", l.Burst)
	case l.Strict && l.Count > MaxStrictCount:
		return l.errorf("the count of a strict window must be %d or less, got %d", int64(MaxStrictCount), l.Count)
	}
	if _, _, ok := l.Measure(); !ok {
		return l.errorf("a burst of %d takes more than %s to fill at %d/%s; lower the burst",
			l.Burst, FormatDuration(MaxHorizon), l.Count, FormatDuration(l.Period))
	}
	return nil
}

// Measure returns Interval and Horizon of a bucket, and whether the limit is valid. On the
// hot path it replaces Validate at a tenth of the cost.
func (l *Limit) Measure() (interval, horizon time.Duration, ok bool) {
	if l.Count < 1 || l.Burst < 1 || l.Period < MinPeriod || l.Period > MaxPeriod ||
		l.Period%MinPeriod != 0 || l.Count > int64(l.Period/MinInterval) ||
		l.Strict && (l.Burst != l.Count || l.Count > MaxStrictCount) {
		return 0, 0, false
	}
	count := time.Duration(l.Count)
	interval = l.Period / count
	if interval*count != l.Period {
		interval++
	}
	hi, lo := bits.Mul64(uint64(l.Burst), uint64(interval))
	return interval, time.Duration(lo), hi == 0 && lo <= uint64(MaxHorizon)
}

func (l Limit) errorf(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrLimit, fmt.Sprintf(format, args...))
}

// Interval is the time in which one unit comes back: Period / Count, rounded up
// to whole nanoseconds so that the rate is never faster than asked. It is the
// emission interval T of GCRA.
func (l Limit) Interval() time.Duration {
	count := time.Duration(l.Count)
	interval := l.Period / count
	if interval*count != l.Period {
		interval++
	}
	return interval
}

// Horizon is the time in which an empty bucket fills: Burst times Interval, or
// Period of a strict limit.
func (l Limit) Horizon() time.Duration {
	if l.Strict {
		return l.Period
	}
	return time.Duration(l.Burst) * l.Interval()
}

// SameState reports whether both limits share a state: they have the same period and the
// same kind of window.
func (l Limit) SameState(other Limit) bool {
	return l.Period == other.Period && l.Strict == other.Strict
}

// String is the limit in the Caddyfile's syntax. ParseLimitString parses it to an equal
// limit.
func (l Limit) String() string {
	count, burst := l.Told()
	b := strconv.AppendInt(make([]byte, 0, 48), count, 10)
	b = append(b, '/')
	b = append(b, FormatDuration(l.Period)...)
	if burst != count {
		b = append(b, " burst "...)
		b = strconv.AppendInt(b, burst, 10)
	}
	if l.Strict {
		b = append(b, " window strict"...)
	}
	if l.Tolerance != 0 {
		b = append(b, " tolerance "...)
		b = strconv.AppendUint(b, uint64(l.Tolerance), 10)
	}
	return string(b)
}
