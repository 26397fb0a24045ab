package redisgcra

import (
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"github.com/ainative/portcullis/plugins/ratelimit"
)

// The constants of the bounded mode.
const (
	// leaseTerm is how long units that were charged in advance may be spent.
	leaseTerm = time.Second
	// chargeAfter is how often what was admitted on credit is charged.
	chargeAfter = 50 * time.Millisecond
	// trustFor is how long an answer of Redis is good for credit.
	trustFor = time.Second
	// errorShare is the part of a burst that all nodes together admit on credit.
	errorShare = 0.05
	// paceWindow is over how long the rate of a caller is averaged.
	paceWindow = time.Second
)

// A prepaid keeps, for each busy caller, units that were charged in advance and
// units that were admitted on credit. Nothing of it is used by the exact mode.
type prepaid struct {
	nodes int64
	// interval is the engine's.
	interval func(*ratelimit.Limit) time.Duration
	shards   [64]prepaidShard
}

type prepaidShard struct {
	mu      sync.Mutex
	callers map[ratelimit.Key]*caller
}

// callersPerShard bounds the callers; those beyond it ask Redis each time.
const callersPerShard = 2048

type caller struct {
	limits []ratelimit.Limit
	// rows are the last answer of Redis, and at when it was asked for.
	rows []ratelimit.Row
	at   time.Duration
	// tokens were charged in advance and may be spent until expires.
	tokens  int64
	expires time.Duration
	// pending was admitted on credit and not yet sent, flying is on its way.
	pending, flying int64
	// owing says that Redis refused to charge what was admitted: until it does
	// there is neither lease nor credit.
	owing bool
	// pace is the load in units a second, averaged, as of seen.
	pace float64
	seen time.Duration
}

func newPrepaid(nodes int, interval func(*ratelimit.Limit) time.Duration) *prepaid {
	p := &prepaid{nodes: int64(nodes), interval: interval}
	for i := range p.shards {
		p.shards[i].callers = map[ratelimit.Key]*caller{}
	}
	return p
}

func (p *prepaid) shard(key ratelimit.Key) *prepaidShard {
	return &p.shards[binary.LittleEndian.Uint64(key[:])%uint64(len(p.shards))]
}

// suits reports whether the limits may be served this way. A strict window may
// not: what is spent later than it is charged would be counted in the wrong
// window.
func suits(limits []ratelimit.Limit, cost int64) bool {
	for i := range limits {
		if limits[i].Strict {
			return false
		}
	}
	return cost > 0
}

// spend serves the cost from what is prepaid or on credit, if it can, and fills
// the rows in. Else it returns how much to ask for in advance.
func (p *prepaid) spend(key ratelimit.Key, limits []ratelimit.Limit, cost int64, now time.Duration, rows []ratelimit.Row) (extra int64, ok bool) {
	s := p.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.callers[key]
	if c == nil {
		if len(s.callers) >= callersPerShard && !s.makeRoom() {
			return 0, false
		}
		c = &caller{limits: slices.Clone(limits), seen: now}
		s.callers[key] = c
	}
	if !slices.Equal(c.limits, limits) {
		// What was prepaid under other limits is forfeited, what is owed stays owed.
		c.limits, c.rows, c.tokens, c.owing = slices.Clone(limits), nil, 0, c.pending > 0
	}
	c.load(cost, now)
	if now >= c.expires {
		c.tokens = 0
	}
	if c.rows == nil || c.owing {
		return 0, false
	}
	switch {
	case c.tokens >= cost:
		c.tokens -= cost
	case now-c.at < trustFor && p.credit(c, cost):
		c.pending += cost
	default:
		return p.lease(c), false
	}
	p.show(c, now, rows)
	return 0, true
}

// load averages the rate of a caller.
func (c *caller) load(cost int64, now time.Duration) {
	passed := (now - c.seen).Seconds()
	c.seen = now
	weight := passed / (passed + paceWindow.Seconds())
	if passed > 0 {
		c.pace += weight * (float64(cost)/passed - c.pace)
	} else {
		c.pace += float64(cost) / paceWindow.Seconds()
	}
}

// credit reports whether every limit has half of its burst left and the node's
// part of the error is not used up.
func (p *prepaid) credit(c *caller, cost int64) bool {
	out := c.pending + c.flying + cost
	for i := range c.rows {
		burst := c.rows[i].Limit.Burst
		if c.rows[i].Remaining-out < burst/2 || out > p.perNode(burst) {
			return false
		}
	}
	return true
}

// perNode is how many units of a burst one node may admit on credit.
func (p *prepaid) perNode(burst int64) int64 {
	return int64(errorShare*float64(burst)) / p.nodes
}

// lease is how much to ask for in advance: what the caller will use in the term,
// no more than the node's part of what is left, and a tenth of a burst.
func (p *prepaid) lease(c *caller) int64 {
	want := int64(c.pace * leaseTerm.Seconds())
	if want < 2 {
		return 0
	}
	for i := range c.rows {
		want = min(want, c.rows[i].Remaining/(2*p.nodes), c.rows[i].Limit.Burst/10)
	}
	return max(0, want)
}

// show is the state as the caller sees it: what Redis said, what is prepaid on
// top, what is owed taken off.
func (p *prepaid) show(c *caller, now time.Duration, rows []ratelimit.Row) {
	extra := c.tokens - c.pending - c.flying
	for i := range rows {
		row := &rows[i]
		*row = c.rows[i]
		row.RetryAfter = 0
		interval := p.interval(&row.Limit)
		row.Age(now-c.at, interval)
		row.Remaining = min(max(row.Remaining+extra, 0), row.Limit.Burst)
		row.ResetAfter = max(row.ResetAfter-time.Duration(extra)*interval, 0)
		if row.Remaining == row.Limit.Burst {
			row.ResetAfter, row.NextAfter = 0, 0
		} else if row.NextAfter == 0 || row.ResetAfter < row.NextAfter {
			row.NextAfter = min(max(row.ResetAfter, 1), interval)
			row.ResetAfter = max(row.ResetAfter, 1)
		}
	}
}

// synced notes an answer of Redis, with how much was charged in advance.
func (p *prepaid) synced(key ratelimit.Key, limits []ratelimit.Limit, more int64, sent, now time.Duration, rows []ratelimit.Row) {
	s := p.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.callers[key]
	if c == nil || !slices.Equal(c.limits, limits) {
		return // the units are forfeited
	}
	c.rows, c.at = append(c.rows[:0], rows...), sent
	if more > 0 {
		c.tokens += more
		// From before Redis was asked: the term ends early rather than late.
		c.expires = sent + leaseTerm
		p.show(c, now, rows)
	}
}

// A charge is what one caller was admitted on credit.
type charge struct {
	key    ratelimit.Key
	limits []ratelimit.Limit
	cost   int64
}

// due takes what is to be charged now, of those whom answers picks.
func (p *prepaid) due(answers func(ratelimit.Key) bool) []charge {
	var charges []charge
	for i := range p.shards {
		s := &p.shards[i]
		s.mu.Lock()
		for key, c := range s.callers {
			if c.pending > 0 && c.flying == 0 && answers(key) {
				charges = append(charges, charge{key: key, limits: c.limits, cost: c.pending})
				c.flying, c.pending = c.pending, 0
			}
		}
		s.mu.Unlock()
	}
	return charges
}

// charged notes how a charge went: paid, refused by a limit, or not answered.
func (p *prepaid) charged(ch charge, paid bool, sent time.Duration, rows []ratelimit.Row) {
	s := p.shard(ch.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.callers[ch.key]
	if c == nil {
		return
	}
	c.flying = 0
	c.owing = !paid
	if !paid {
		c.pending += ch.cost
	}
	if rows != nil && slices.Equal(c.limits, ch.limits) {
		c.rows, c.at = append(c.rows[:0], rows...), sent
	}
}

// forget drops a caller.
func (p *prepaid) forget(key ratelimit.Key) {
	s := p.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.callers, key)
}

// makeRoom drops a caller who owes nothing, if one of a few is such.
func (s *prepaidShard) makeRoom() bool {
	tries := 16
	for key, c := range s.callers {
		if c.pending == 0 && c.flying == 0 {
			delete(s.callers, key)
			return true
		}
		if tries--; tries == 0 {
			break
		}
	}
	return false
}
