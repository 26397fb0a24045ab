package redisgcra

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ainative/portcullis/plugins/ratelimit"
)

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
	// given is the time between the turns that other gateways were not told of.
	given time.Duration
	// told is when they were last told, and telling says that they are being told.
	told    time.Duration
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

// A given turn is one that a refused caller was given.
type givenTurn struct {
	// at is the turn and latest the last one that there can be, by the limiter's clock.
	at, latest time.Duration
	// ask says that the others have to be asked before the caller is told, and tell
	// that they have to be told afterwards.
	ask, tell bool
}

// give gives a turn to a caller whose cost is free after wait. Shared says that
// other gateways give turns too.
func (t *turns) give(key ratelimit.Key, row *ratelimit.Row, wait time.Duration, cost int64, now time.Duration, shared bool) givenTurn {
	interval := t.interval(&row.Limit)
	name := nameOf(key, &row.Limit)
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
	ready := now + wait
	alone := !ratelimit.TurnAhead(c.last, now)
	g := givenTurn{latest: ready + row.Limit.Spread(interval)}
	g.at = row.Limit.Turn(c.last, now, ready, cost, interval)
	if alone {
		c.given = time.Duration(cost) * interval
	} else {
		c.given += max(0, g.at-c.last)
	}
	c.last = g.at
	if shared && !c.telling && g.at < g.latest {
		g.ask = alone || now-c.told >= askEvery
		g.tell = !g.ask && c.given > (g.at-ready)/tellEvery
		c.telling = g.ask || g.tell
	}
	return g
}

// charged forgets turns that are over, and those that callers do not come at, and
// reports whether there were some of those.
func (t *turns) charged(key ratelimit.Key, rows []ratelimit.Row, cost int64, now time.Duration) (unused bool) {
	s := t.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range rows {
		row := &rows[i]
		name := nameOf(key, &row.Limit)
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
