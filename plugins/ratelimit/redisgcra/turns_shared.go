package redisgcra

import (
	"context"
	_ "embed"
	"time"

	"github.com/ainative/portcullis/plugins/ratelimit"
)

// Gateways that share a Redis give turns behind each other's: the last turn of all
// stands in Redis. A gateway asks for it when it begins to refuse, and a few times a
// second while it does; in between it gives turns by itself, so that a refusal from
// memory stays one, and tells the others afterwards. Callers whom two gateways refuse
// at the same moment may be told of the same turn; the one who then finds no unit is
// told of a later one.

var (
	//go:embed lua/turns.lua
	turnsLua    string
	turnsScript = newScript(turnsLua)
)

const (
	// askEvery is how old the knowledge of the others' turns may be.
	askEvery = 100 * time.Millisecond
	// tellEvery is by which part the turns that are ahead have to grow before the
	// others are told in between: a flood of refusals is a few calls.
	tellEvery = 8
)

// turn gives a refused caller its turn, and forgets turns that callers do not come
// at where the charge was made.
func (l *Limiter) turn(ctx context.Context, key ratelimit.Key, d *ratelimit.Decision, cost int64) {
	if d.Allowed {
		if l.turns.held.Load() != 0 && l.turns.charged(key, d.Rows, cost, l.o.Clock()) && l.shared() {
			names := l.turnNames(key, limitsOf(d.Rows))
			l.start(func(ctx context.Context) {
				ctx, cancel := context.WithTimeout(ctx, l.o.Timeout)
				defer cancel()
				_ = l.forgetTurns(ctx, names)
			})
		}
		return
	}
	if d.RetryAfter < 0 {
		return
	}
	row, now := &d.Rows[d.Blocking], l.o.Clock()
	g := l.turns.give(key, row, d.RetryAfter, cost, now, l.shared())
	switch limit := row.Limit; {
	case g.ask:
		last := l.tell(context.WithoutCancel(ctx), key, limit, g.latest)
		g.at = max(g.at, min(last, g.latest))
	case g.tell:
		l.start(func(ctx context.Context) { l.tell(ctx, key, limit, g.latest) })
	}
	d.RetryAfter = g.at - now
}

func limitsOf(rows []ratelimit.Row) []ratelimit.Limit {
	limits := make([]ratelimit.Limit, len(rows))
	for i := range rows {
		limits[i] = rows[i].Limit
	}
	return limits
}

// shared reports whether other gateways share the Redis.
func (l *Limiter) shared() bool { return l.gateways.known() > 1 }

// tell puts the turns that were given here behind those of the others, and returns
// the last of them, 0 where Redis does not answer. Latest is the last turn that there
// can be.
func (l *Limiter) tell(ctx context.Context, key ratelimit.Key, limit ratelimit.Limit, latest time.Duration) time.Duration {
	name := nameOf(key, &limit)
	s := l.turns.shard(key)
	now := l.o.Clock()
	s.mu.Lock()
	c := s.counts[name]
	if c == nil {
		s.mu.Unlock()
		return 0 // forgotten
	}
	given, ahead := c.given, max(0, c.last-now)
	c.given, c.told = 0, now
	s.mu.Unlock()

	last := l.tellTurns(ctx, key, limit, now, []time.Duration{ahead, given, max(ahead, latest-now)})
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.counts[name]; c != nil {
		c.telling = false
		if last > 0 {
			// What was given here meanwhile comes behind.
			c.last = max(c.last, last+c.given)
		}
	}
	return last
}

// tellTurns runs the script with its arguments, as of now. A failure does not count as
// one of Redis: turns are advice, and decisions tell whether Redis answers.
func (l *Limiter) tellTurns(ctx context.Context, key ratelimit.Key, limit ratelimit.Limit, now time.Duration, args []time.Duration) time.Duration {
	if !l.answers(key) {
		return 0
	}
	ctx, cancel := context.WithTimeout(ctx, l.o.Timeout)
	defer cancel()
	reply, _, err := l.b.run(ctx, turnsScript, l.turnNames(key, []ratelimit.Limit{limit}),
		[]any{micros(args[0]), micros(args[1]), micros(args[2])})
	if err != nil {
		return 0
	}
	ints, ok := integers(reply, 1)
	if !ok || ints[0] < 0 || ints[0] > micros(args[2]) {
		return 0
	}
	return now + time.Duration(ints[0])*time.Microsecond
}

// turnNames are the Redis keys of the turns of limits.
func (l *Limiter) turnNames(key ratelimit.Key, limits []ratelimit.Limit) []string {
	names := l.engine.names(key, limits)
	for i := range names {
		names[i] += "t"
	}
	return names
}

// forgetTurns deletes what the gateways told each other, where there are several.
func (l *Limiter) forgetTurns(ctx context.Context, names []string) error {
	if !l.shared() {
		return nil
	}
	args := []any{"del"}
	for _, name := range names {
		args = append(args, name)
	}
	_, _, err := l.b.do(ctx, names[0], args...)
	return err
}
