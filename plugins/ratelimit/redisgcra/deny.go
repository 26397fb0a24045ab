package redisgcra

import (
	"encoding/binary"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ainative/portcullis/plugins/ratelimit"
)

// maxTrust is how long an empty bucket is believed to be empty without asking by
// a node that does not hear of resets and refunds by other nodes.
const maxTrust = time.Second

// clockGrain is the resolution of the time that scripts see.
const clockGrain = time.Microsecond

// A denyCache knows which buckets are empty and until when. Nothing but a reset
// or a refund brings a unit back earlier than Redis said, so that until then
// every request is refused without asking, and none of them wrongly. When the
// first unit is due as many may ask as there can be units.
//
// Times are of the limiter's own clock, and count from before Redis was asked:
// the cache ends early rather than late.
type denyCache struct {
	shards [64]denyShard
	// interval is the engine's.
	interval func(*ratelimit.Limit) time.Duration
	// heard says that the node hears of resets and refunds by others.
	heard atomic.Bool
	// want is called where hearing of them would save a call.
	want func()
}

type denyShard struct {
	mu      sync.Mutex
	entries map[ratelimit.Key]*denied
	// told is when units last came back to a caller: an answer to a question from
	// before it is not trusted for long.
	told time.Duration
}

// denyPerShard bounds the entries; one that is pushed out costs a call.
const denyPerShard = 1024

// A denied is a caller with at least one exhausted limit.
type denied struct {
	limits []ratelimit.Limit
	// rows are the last answer; at is when it was asked for, lag how long it took to come.
	rows    []ratelimit.Row
	at, lag time.Duration
	// emptiest is the limit without a unit that waits longest for one.
	emptiest int
	// due is when the emptiest limit has a unit again, and interval how long each
	// one after it takes; 0 where that is not known. ask is when Redis may be asked:
	// due, or earlier where that is longer than is trusted.
	ask, due, interval time.Duration
	// long says that Redis need not be asked before due while others are heard.
	long bool
	// asking is how many asked Redis since ask, each for a unit at least.
	asking int64
	// generation tells who asked before the last answer.
	generation uint64
}

// units is how many units there can be at now at most.
func (e *denied) units(now time.Duration, heard bool) int64 {
	switch {
	case now < e.ask:
		return 0
	case now < e.due:
		if e.long && heard {
			return 0
		}
		return 1
	case e.interval == 0:
		return math.MaxInt64
	}
	return 1 + int64((now-e.due)/e.interval)
}

// A ticket is the right to ask Redis.
type ticket struct {
	held       bool
	generation uint64
}

func newDenyCache(interval func(*ratelimit.Limit) time.Duration, want func()) *denyCache {
	d := &denyCache{interval: interval, want: want}
	for i := range d.shards {
		d.shards[i].entries = map[ratelimit.Key]*denied{}
	}
	return d
}

func (d *denyCache) shard(key ratelimit.Key) *denyShard {
	return &d.shards[binary.LittleEndian.Uint64(key[:])%uint64(len(d.shards))]
}

// check reports whether the request is refused without asking, and then fills
// the rows in. Else the caller must give the ticket back by done or failed.
func (d *denyCache) check(key ratelimit.Key, limits []ratelimit.Limit, cost int64, now time.Duration, rows []ratelimit.Row) (ticket, bool) {
	if cost < 1 {
		return ticket{}, false
	}
	s := d.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[key]
	if e == nil || !slices.Equal(e.limits, limits) || cost > 1 && e.strict() {
		return ticket{}, false
	}
	if e.asking < e.units(now, d.heard.Load()) {
		e.asking++
		return ticket{held: true, generation: e.generation}, false
	}
	due := e.due
	if now >= due {
		due += time.Duration(e.asking) * e.interval
	}
	// A caller is told the latest time at which the unit can be there, and Redis is
	// asked from the earliest on.
	wait := max(due-now, 0) + e.lag + clockGrain
	for i := range rows {
		row := &rows[i]
		*row = e.rows[i]
		row.RetryAfter = 0
		interval := d.interval(&row.Limit)
		row.Age(now-e.at, interval)
		if i == e.emptiest {
			row.Remaining, row.NextAfter = 0, max(wait, e.rows[i].NextAfter-(now-e.at))
			row.ResetAfter = max(row.ResetAfter, row.NextAfter)
		}
		if cost > row.Remaining {
			row.RetryAfter = row.NextAfter + time.Duration(cost-row.Remaining-1)*interval
		}
	}
	return ticket{}, true
}

// strict reports whether one of the limits is: when several of its units come
// back is not known.
func (e *denied) strict() bool {
	for i := range e.limits {
		if e.limits[i].Strict {
			return true
		}
	}
	return false
}

// done notes an answer of Redis to a call that was sent at the given time.
func (d *denyCache) done(key ratelimit.Key, limits []ratelimit.Limit, cost int64, sent, now time.Duration, rows []ratelimit.Row, t ticket) {
	var empty, interval time.Duration
	emptiest, cut := 0, false
	for i := range rows {
		row := &rows[i]
		// Nothing was charged and all is owed: this may be a larger debt, of a larger
		// limit, that is cut off, and stays so while time passes.
		cut = cut || (cost < 1 || row.RetryAfter != 0) && !row.Limit.Strict && row.ResetAfter+clockGrain >= time.Duration(row.Limit.Burst)*d.interval(&row.Limit)
		if row.Remaining == 0 && row.NextAfter > empty {
			empty, interval, emptiest = row.NextAfter, d.interval(&row.Limit), i
			if row.Limit.Strict {
				interval = 0
			}
		}
	}
	s := d.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[key]
	if cut {
		delete(s.entries, key)
		return
	}
	if empty == 0 || cost < 0 {
		// There are units left, or there may be again.
		if e != nil && (cost < 0 || !t.held || t.generation == e.generation) {
			delete(s.entries, key)
		}
		return
	}
	if empty > maxTrust && !d.heard.Load() {
		d.want()
	}
	ask := sent + min(empty, maxTrust)
	if e != nil && slices.Equal(e.limits, limits) && ask < e.ask {
		return // a later answer was here first
	}
	if e == nil {
		s.makeRoom()
		e = &denied{}
		s.entries[key] = e
	}
	e.limits = append(e.limits[:0], limits...)
	e.rows = append(e.rows[:0], rows...)
	e.at, e.lag = sent, now-sent
	e.ask, e.due, e.interval = ask, sent+empty, interval
	e.emptiest, e.asking = emptiest, 0
	e.long = sent >= s.told
	e.generation++
}

// failed gives a ticket back whose question Redis did not answer.
func (d *denyCache) failed(key ratelimit.Key, t ticket) {
	if !t.held {
		return
	}
	s := d.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.entries[key]; e != nil && e.generation == t.generation {
		e.asking--
	}
}

// hears begins to trust denials that are asked for from now on until their unit
// is due.
func (d *denyCache) hears(now time.Duration) {
	for i := range d.shards {
		s := &d.shards[i]
		s.mu.Lock()
		s.told = now
		for _, e := range s.entries {
			e.long = false
		}
		s.mu.Unlock()
	}
	d.heard.Store(true)
}

// deaf is the opposite of hears.
func (d *denyCache) deaf() { d.heard.Store(false) }

// hearOf drops what is known of a caller, who may have units again.
func (d *denyCache) hearOf(key ratelimit.Key, now time.Duration) {
	s := d.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told = now
	delete(s.entries, key)
}

// forget drops what is known of a key.
func (d *denyCache) forget(key ratelimit.Key) {
	s := d.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.entries, key)
}

// makeRoom drops any entry, which a map yields in random order.
func (s *denyShard) makeRoom() {
	if len(s.entries) < denyPerShard {
		return
	}
	for key := range s.entries {
		delete(s.entries, key)
		return
	}
}
