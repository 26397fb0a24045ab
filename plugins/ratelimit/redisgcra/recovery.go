package redisgcra

import (
	"context"
	"strconv"
	"time"

	"github.com/ainative/portcullis/plugins/ratelimit"
)

// probeLimit is what the probe charges, to a caller of its own, so that it needs
// the right to write and costs nobody anything.
var probeLimit = ratelimit.Limit{Count: 1000, Period: time.Second, Burst: 1000}

// recover probes the server of a lane until it answers, charges what was admitted
// meanwhile, and closes the breaker.
func (l *Limiter) recover(ctx context.Context, ln *lane) {
	for {
		if !sleep(ctx, ln.breaker.next()) {
			return
		}
		err := l.probe(ctx, ln)
		if err == nil {
			// What is owed is charged before callers are let through: until then a
			// caller could use in Redis what they have used here already.
			l.settle(ctx, func(key ratelimit.Key) bool { return l.b.lane(key) == ln })
		}
		ln.breaker.probed(err, time.Now()) //nolint:forbidigo // for people to read; nothing is decided by it
		if err == nil {
			// What was decided meanwhile by requests that found the breaker open.
			l.scheduleFlush()
			return
		}
	}
}

func (l *Limiter) probe(ctx context.Context, ln *lane) error {
	key, found := l.probeKey(ln)
	if !found {
		return nil // no slot leads there any more, so that nobody asks
	}
	ctx, cancel := context.WithTimeout(ctx, l.o.Timeout)
	defer cancel()
	_, err := l.engine.take(ctx, key, 1, []ratelimit.Row{{Limit: probeLimit}})
	return err
}

// probeKey names a count on the lane's server that belongs to no caller.
func (l *Limiter) probeKey(ln *lane) (ratelimit.Key, bool) {
	if ln == l.b.first {
		return ratelimit.NewKey("", "probe", ""), true
	}
	// One slot of 16,384 is found in this many tries but for once in e^4.
	for n := range 4 * slots {
		if key := ratelimit.NewKey("", "probe", strconv.Itoa(n)); l.b.lane(key) == ln {
			return key, true
		}
	}
	return ratelimit.Key{}, false
}

// settle charges the debts of the callers that due selects, once: a charge that
// fails is forgiven, since it may have come through.
func (l *Limiter) settle(ctx context.Context, due func(ratelimit.Key) bool) {
	settled, _ := l.outage.settle(due, func(who countName, d debt) error {
		ctx, cancel := context.WithTimeout(ctx, max(l.o.Timeout, time.Second))
		defer cancel()
		err := l.engine.drain(ctx, who.key, d.limit, d.used)
		if err != nil {
			l.unsettled.Add(1)
		}
		return err
	})
	l.settled.Add(int64(settled))
}

// answers reports whether the server of the caller's count is asked.
func (l *Limiter) answers(key ratelimit.Key) bool { return l.b.lane(key).breaker.ready() }

// flushAfter is how long single failures wait to be charged.
const flushAfter = time.Second

// scheduleFlush charges what single failures left owing, soon and unless the
// breaker opens meanwhile, when recover does it.
func (l *Limiter) scheduleFlush() {
	if l.outage.debtors() == 0 || !l.flush.CompareAndSwap(false, true) {
		return
	}
	l.start(func(ctx context.Context) {
		slept := sleep(ctx, flushAfter)
		l.flush.Store(false)
		if slept {
			l.settle(ctx, l.answers)
		}
	})
}

// chargeLoop charges what was admitted on credit and gives back what was prepaid
// and not spent.
func (l *Limiter) chargeLoop(ctx context.Context) {
	for sleep(ctx, chargeAfter) {
		l.chargeDue(ctx)
	}
}

// chargeDue sends all charges in one pipeline or a few.
func (l *Limiter) chargeDue(ctx context.Context) {
	charges := l.prepaid.due(l.o.Clock(), l.answers)
	done := make(chan struct{}, len(charges))
	for _, ch := range charges {
		go func() {
			defer func() { done <- struct{}{} }()
			l.charge(ctx, ch)
		}()
	}
	for range charges {
		<-done
	}
}

func (l *Limiter) charge(ctx context.Context, ch charge) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.o.Timeout)
	defer cancel()
	rows := make([]ratelimit.Row, len(ch.limits))
	for i := range rows {
		rows[i].Limit = ch.limits[i]
	}
	sent := l.o.Clock()
	charged, err := l.engine.take(ctx, ch.key, ch.cost, rows)
	if err != nil {
		l.failed(l.b.lane(ch.key), err)
		// A charge that may have come through is not made again: once too little is
		// within the bound, twice would refuse a caller who did nothing wrong.
		l.prepaid.charged(ch, charged, sent, nil)
		return
	}
	if ch.cost < 0 {
		l.deny.done(ch.key, ch.limits, ch.cost, sent, l.o.Clock(), rows, ticket{})
		l.gaveBack(ch.key, ch.cost, rows)
	}
	l.prepaid.charged(ch, ratelimit.Decide(rows).Allowed, sent, rows)
}

// sleep waits and reports whether it was not interrupted.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
