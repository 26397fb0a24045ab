package redisgcra

import (
	"context"
	_ "embed"
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ainative/portcullis/plugins/ratelimit"
)

// Each gateway gives the turns of refused callers by itself, so that a refusal from
// memory stays one. Where several share the Redis, they tell each other there which
// turns they gave, behind the refusals and not before them: callers who are refused
// by two gateways at the same moment may be told of the same turn, and the one who
// finds no unit then is told of a later one.

var (
	//go:embed lua/turns.lua
	turnsLua    string
	turnsScript = newScript(turnsLua)
)

// tellEvery is by which part the turns that are ahead have to grow before the
// others are told again: a flood of refusals is a few calls.
const tellEvery = 8

// turnsPerShard bounds the counts; one that is pushed out begins its turns anew.
const turnsPerShard = 1024

// turns are the turns of this gateway's callers.
type turns struct {
	shards [64]turnShard
	// held is how many counts there are, for those who were never refused.
	held atomic.Int64
	// interval is the engine's.
	interval func(*ratelimit.Limit) time.Duration
}

type turnShard struct {
	mu     sync.Mutex
	counts map[countName]*turnState
}

// A turnState is what is known of the turns of one count.
type turnState struct {
	// last is the last turn that was given, here or as far as known elsewhere.
	last time.Duration
	// given is the time between the turns that others were not told of.
	given time.Duration
	// telling says that they are being told.
	telling bool
}

func newTurns(interval func(*ratelimit.Limit) time.Duration) *turns {
	t := &turns{interval: interval}
	for i := range t.shards {
		t.shards[i].counts = map[countName]*turnState{}
	}
	return t
}

func (t *turns) shard(key ratelimit.Key) *turnShard {
	return &t.shards[binary.LittleEndian.Uint64(key[:])%uint64(len(t.shards))]
}

// turn gives a refused caller its turn, and forgets turns that callers do not come
// at where the charge was made.
func (l *Limiter) turn(key ratelimit.Key, d *ratelimit.Decision, cost int64) {
	if d.Allowed {
		if l.turns.held.Load() != 0 && l.turns.charged(key, d.Rows, cost, l.o.Clock()) && l.shared() {
			limits := make([]ratelimit.Limit, len(d.Rows))
			for i := range d.Rows {
				limits[i] = d.Rows[i].Limit
			}
			l.start(func(ctx context.Context) {
				ctx, cancel := context.WithTimeout(ctx, l.o.Timeout)
				defer cancel()
				_ = l.forgetTurns(ctx, l.turnNames(key, limits))
			})
		}
		return
	}
	if d.RetryAfter < 0 {
		return
	}
	row := &d.Rows[d.Blocking]
	wait, grown := l.turns.give(key, row, d.RetryAfter, cost, l.o.Clock(), l.shared())
	d.RetryAfter = wait
	if grown {
		limit := row.Limit
		l.start(func(ctx context.Context) { l.tell(ctx, key, limit) })
	}
}

// shared reports whether other gateways share the Redis.
func (l *Limiter) shared() bool { return l.gateways.known() > 1 }

// give returns how long a caller is told to wait whose cost is free after wait, and,
// where the turns are shared, whether tell has to be called.
func (t *turns) give(key ratelimit.Key, row *ratelimit.Row, wait time.Duration, cost int64, now time.Duration, shared bool) (turn time.Duration, grown bool) {
	interval := t.interval(&row.Limit)
	name := countName{key: key, period: row.Limit.Period, strict: row.Limit.Strict}
	s := t.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.counts[name]
	if c == nil {
		s.makeRoom(t, now)
		c = &turnState{}
		s.counts[name] = c
		t.held.Add(1)
	}
	ready, alone := now+wait, !ratelimit.TurnAhead(c.last, now)
	at := row.Limit.Turn(c.last, now, ready, cost, interval)
	if alone {
		c.given = time.Duration(cost) * interval
	} else {
		c.given += max(0, at-c.last)
	}
	c.last = at
	grown = shared && !alone && !c.telling && c.given > (at-ready)/tellEvery
	c.telling = c.telling || grown
	return at - now, grown
}

// charged forgets turns that are over, and those that callers do not come at, and
// reports whether there were some of those.
func (t *turns) charged(key ratelimit.Key, rows []ratelimit.Row, cost int64, now time.Duration) (unused bool) {
	s := t.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range rows {
		row := &rows[i]
		name := countName{key: key, period: row.Limit.Period, strict: row.Limit.Strict}
		c := s.counts[name]
		if c == nil {
			continue
		}
		ahead := ratelimit.TurnAhead(c.last, now)
		if ahead && !row.TurnsUnused(c.last, now, cost, t.interval(&row.Limit)) {
			continue
		}
		s.drop(t, name)
		unused = unused || ahead
	}
	return unused
}

// tell puts the turns that were given here behind those of the others.
func (l *Limiter) tell(ctx context.Context, key ratelimit.Key, limit ratelimit.Limit) {
	name := countName{key: key, period: limit.Period, strict: limit.Strict}
	s := l.turns.shard(key)
	now := l.o.Clock()
	s.mu.Lock()
	c := s.counts[name]
	if c == nil {
		s.mu.Unlock()
		return // forgotten
	}
	given, ahead := c.given, c.last-now
	c.given = 0
	s.mu.Unlock()

	ctx, cancel := context.WithTimeout(ctx, l.o.Timeout)
	defer cancel()
	most := max(ahead, limit.Horizon()+limit.Spread(l.turns.interval(&limit)))
	var last time.Duration
	reply, _, err := l.b.run(ctx, turnsScript, l.turnNames(key, []ratelimit.Limit{limit}), []any{micros(ahead), micros(given), micros(most)})
	if err == nil {
		// A failure is not counted: turns are advice, and the decisions tell whether
		// Redis answers.
		if ints, ok := integers(reply, 1); ok && ints[0] > 0 && ints[0] <= micros(most) {
			last = now + time.Duration(ints[0])*time.Microsecond
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.counts[name]; c != nil {
		c.telling = false
		if last > 0 {
			// What was given here meanwhile comes behind.
			c.last = max(c.last, last+c.given)
		}
	}
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

// forget drops the turns of a key.
func (t *turns) forget(key ratelimit.Key) {
	s := t.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.counts {
		if name.key == key {
			s.drop(t, name)
		}
	}
}

func (s *turnShard) drop(t *turns, name countName) {
	delete(s.counts, name)
	t.held.Add(-1)
}

// makeRoom drops a count whose turns are over, or else any; a map yields them in
// random order.
func (s *turnShard) makeRoom(t *turns, now time.Duration) {
	if len(s.counts) < turnsPerShard {
		return
	}
	tries := 16
	for name, c := range s.counts {
		if tries--; tries == 0 || !ratelimit.TurnAhead(c.last, now) {
			s.drop(t, name)
			return
		}
	}
}
