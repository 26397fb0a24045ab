package redisgcra

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/ratelimit"
	"github.com/ainative/portcullis/plugins/ratelimit/gcra"
)

// OnFailure is what happens to requests while Redis does not answer.
type OnFailure string

// The answers to a failure.
const (
	// FailLocal counts in memory, with a share of each limit.
	FailLocal OnFailure = "local"
	// FailOpen admits everything.
	FailOpen OnFailure = "open"
	// FailClosed admits nothing, with a 503 and never a 429.
	FailClosed OnFailure = "closed"
)

// An outage decides while Redis does not, and records what Redis has to be told
// afterwards.
type outage struct {
	policy OnFailure
	// share is the part of each limit that is granted here.
	share func() float64
	local *gcra.Limiter

	mu sync.Mutex
	// owed is what was admitted and not charged, by caller and limit.
	owed map[countName]debt
}

// A countName names the count of one limit of a caller.
type countName struct {
	key    ratelimit.Key
	period time.Duration
	strict bool
}

func nameOf(key ratelimit.Key, limit *ratelimit.Limit) countName {
	return countName{key: key, period: limit.Period, strict: limit.Strict}
}

type debt struct {
	limit ratelimit.Limit
	used  int64
}

// owedMax bounds the debts. What does not fit is forgiven.
const owedMax = 100_000

// retryClosed is how long a client is told to wait for Redis.
const retryClosed = 5 * time.Second

// decide answers in the place of Redis. unpaid says that the charge can't have
// reached Redis, so that what is admitted is owed.
func (o *outage) decide(ctx context.Context, key ratelimit.Key, limits []ratelimit.Limit, cost int64, rows []ratelimit.Row, unpaid bool, cause error) (ratelimit.Decision, error) {
	switch o.policy {
	case FailClosed:
		return ratelimit.Decision{}, &plugins.Unavailable{Reason: plugins.ReasonLimiterUnavailable, RetryAfter: retryClosed, Err: cause}
	case FailOpen:
		for i := range rows {
			rows[i] = limits[i].Row(0)
		}
		if unpaid {
			o.owe(key, limits, cost)
		}
		return ratelimit.Decide(rows), nil
	}
	share := o.share()
	scaled := make([]ratelimit.Limit, len(limits))
	for i, limit := range limits {
		scaled[i] = scale(limit, cost, share)
	}
	d, err := o.local.Take(ctx, key, scaled, cost, rows)
	if err != nil {
		return d, fmt.Errorf("deciding without redis: %w", err)
	}
	d.Share = share
	for i := range d.Rows {
		d.Rows[i].Limit = limits[i]
	}
	if d.Allowed && unpaid {
		o.owe(key, limits, cost)
	}
	return d, nil
}

// adjust charges in the place of Redis.
func (o *outage) adjust(ctx context.Context, key ratelimit.Key, limits []ratelimit.Limit, delta int64, rows []ratelimit.Row, unpaid bool, cause error) (ratelimit.Decision, error) {
	if o.policy != FailLocal {
		return o.decide(ctx, key, limits, delta, rows, unpaid, cause)
	}
	share := o.share()
	scaled := make([]ratelimit.Limit, len(limits))
	for i, limit := range limits {
		scaled[i] = scale(limit, 1, share)
	}
	d, err := o.local.Adjust(ctx, key, scaled, delta, rows)
	if err != nil {
		return d, fmt.Errorf("charging without redis: %w", err)
	}
	d.Share = share
	for i := range d.Rows {
		d.Rows[i].Limit = limits[i]
	}
	if unpaid {
		o.owe(key, limits, delta)
	}
	return d, nil
}

// scale is the share of a limit that one node grants alone: at least one
// request, and at least the one that is asked for.
func scale(limit ratelimit.Limit, cost int64, share float64) ratelimit.Limit {
	part := func(n, least int64) int64 {
		return min(n, max(least, int64(float64(n)*share)))
	}
	least := max(1, cost)
	limit.Count = part(limit.Count, 1)
	limit.Burst = part(limit.Burst, least)
	// The share of a limit of a few requests may be no more than what is tolerated.
	limit.Tolerance = min(limit.Tolerance, uint32(max(0, min(limit.Count, limit.Burst)-1)))
	if limit.Strict {
		limit.Count = max(limit.Count, limit.Burst)
		limit.Burst = limit.Count
	}
	return limit
}

func (o *outage) owe(key ratelimit.Key, limits []ratelimit.Limit, cost int64) {
	if cost == 0 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, limit := range limits {
		who := nameOf(key, &limit)
		d, there := o.owed[who]
		if !there && len(o.owed) >= owedMax {
			continue
		}
		// Never more than a burst is charged, nor given back.
		d.limit, d.used = limit, min(max(d.used+cost, 0), limit.Burst)
		o.owed[who] = d
	}
}

// settle charges the debts of the callers that due selects, once, whatever comes
// of it.
func (o *outage) settle(due func(ratelimit.Key) bool, charge func(countName, debt) error) (settled int, err error) {
	o.mu.Lock()
	owed := o.owed
	o.owed = map[countName]debt{}
	for who, d := range owed {
		if !due(who.key) {
			o.owed[who] = d
			delete(owed, who)
		}
	}
	o.mu.Unlock()
	var all sync.WaitGroup
	var mu sync.Mutex
	places := make(chan struct{}, pipelineMax/2)
	for who, d := range owed {
		if d.used == 0 {
			continue
		}
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			e := charge(who, d)
			mu.Lock()
			defer mu.Unlock()
			if e != nil {
				err = e
				return
			}
			settled++
		})
	}
	all.Wait()
	return settled, err
}

// debtors is how many callers and limits owe something.
func (o *outage) debtors() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.owed)
}

// forget drops what a caller owes and used.
func (o *outage) forget(ctx context.Context, key ratelimit.Key, limits []ratelimit.Limit) {
	o.mu.Lock()
	for _, limit := range limits {
		delete(o.owed, nameOf(key, &limit))
	}
	o.mu.Unlock()
	if o.local != nil {
		_ = o.local.Reset(ctx, key, limits)
	}
}
