package redisgcra

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/ainative/portcullis/plugins/ratelimit"
)

// A denial holds until the unit that it promised is there, but for a reset or a
// refund by another node. Nodes tell each other of those, so that a caller who
// waits for an hour is refused for an hour without asking. A node that hears
// nothing, because its user may not subscribe or a proxy does not pass it on, asks
// once a second instead.

// channel is where nodes tell each other whose units came back.
const channel = "portcullis:limits"

// hearEvery is how often a silent subscription is tried, and hearAgain how long
// after one that broke the next is made.
const (
	hearEvery = 2 * time.Second
	hearAgain = 2 * time.Second
)

// wantNotices begins to listen, once.
func (l *Limiter) wantNotices() {
	if l.listening.CompareAndSwap(false, true) {
		l.start(l.listen)
	}
}

// listen drops cached denials of callers that another node refunded.
func (l *Limiter) listen(ctx context.Context) {
	for {
		l.hear(ctx)
		l.deny.deaf()
		if !sleep(ctx, hearAgain) {
			return
		}
	}
}

// hear subscribes and returns when the subscription breaks.
func (l *Limiter) hear(ctx context.Context) {
	if !l.b.first.breaker.ready() {
		return
	}
	sub := (*l.b.client.Load()).Subscribe(ctx, channel)
	defer func() { _ = sub.Close() }()
	defer context.AfterFunc(ctx, func() { _ = sub.Close() })()
	asked := false
	for {
		message, err := sub.ReceiveTimeout(ctx, hearEvery)
		var late net.Error
		switch {
		case err != nil && errors.As(err, &late) && late.Timeout() && !asked:
			if sub.Ping(ctx) != nil {
				return
			}
			asked = true
			continue
		case err != nil:
			return
		}
		asked = false
		switch m := message.(type) {
		case *redis.Subscription:
			// What was said before was not heard.
			l.deny.hears(l.o.Clock())
		case *redis.Message:
			if key, ok := ratelimit.ParseKey(m.Payload); ok {
				l.deny.hearOf(key, l.o.Clock())
			}
		}
	}
}

// notify tells the other nodes that a caller may have units again. Those that do
// not hear it see it within a second.
func (l *Limiter) notify(ctx context.Context, key ratelimit.Key) error {
	_, _, err := l.b.do(ctx, channel, "publish", channel, key.String())
	if errorCode(err) != "" {
		return nil // not permitted, or not known: then nobody hears either
	}
	return err
}

// gaveBack notifies the others where it matters: the caller had nothing left, and
// the next unit was far.
func (l *Limiter) gaveBack(key ratelimit.Key, cost int64, rows []ratelimit.Row) {
	for i := range rows {
		if rows[i].Remaining <= -cost && rows[i].Limit.Horizon() > maxTrust {
			l.start(func(ctx context.Context) {
				ctx, cancel := context.WithTimeout(ctx, l.o.Timeout)
				defer cancel()
				_ = l.notify(ctx, key)
			})
			return
		}
	}
}
