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
	// defaultError is the part of a burst that all nodes together admit on credit,
	// and maxError its most: credit is given while half of a burst is left.
	defaultError = 0.05
	maxError     = 0.5
	// paceWindow is over how long the rate of a caller is averaged.
	paceWindow = time.Second
)

// A prepaid holds, for each busy caller, units that were charged in advance and
// units that were admitted on credit. The exact mode has none.
type prepaid struct {
	nodes int64
	// share is Options.Error; 0 gives no credit.
	share float64
	// margin is how long a call may take.
	margin time.Duration
	// interval is the engine's.
	interval func(*ratelimit.Limit) time.Duration
	shards   [64]prepaidShard
}

type prepaidShard struct {
	mu      sync.Mutex
	callers map[ratelimit.Key]*caller
	// queue has the callers that hold units in advance or on credit.
	queue []ratelimit.Key
}

// callersPerShard bounds the callers; the others ask Redis each time.
const callersPerShard = 2048

type caller struct {
	limits []ratelimit.Limit
	// rows are the last answer of Redis, and at when it was asked for.
	rows []ratelimit.Row
	at   time.Duration
	// tokens were charged in advance and may be spent until expires.
	tokens  int64
	expires time.Duration
	// fullAt is until when none of the buckets can have filled since the tokens were
	// charged: until then they can be given back without forgiving anybody else's.
	fullAt time.Duration
	// back were not spent in time and are to be given back.
	back int64
	// asking says that a lease is being asked for: two at once could take what the
	// other callers of the burst need.
	asking bool
	// queued says that the caller is in the shard's queue.
	queued bool
	// pending was admitted on credit and not yet sent, inFlight is on its way.
	pending, inFlight int64
	// owing says that Redis refused to charge what was admitted: until it does
	// there is neither lease nor credit.
	owing bool
	// pace is the load in units a second, averaged, as of seen.
	pace float64
	seen time.Duration
}

func newPrepaid(o *Options, interval func(*ratelimit.Limit) time.Duration) *prepaid {
	p := &prepaid{nodes: int64(o.Nodes), share: max(o.Error, 0), margin: o.Timeout, interval: interval}
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
func suits(limits []ratelimit.Limit) bool {
	for i := range limits {
		if limits[i].Strict {
			return false
		}
	}
	return true
}

// A spending is what of a cost is prepaid.
type spending struct {
	// all says that the cost is served, part how much of it is prepaid where it is
	// not, and extra how much to ask for in advance with the rest.
	all         bool
	part, extra int64
	// unsettled says that something is to be charged or given back first, for the
	// answer to be right.
	unsettled bool
}

// spend serves the cost from what is prepaid or on credit, if it can, and fills
// the rows in. Else asked must be called once Redis was asked for the rest.
func (p *prepaid) spend(key ratelimit.Key, limits []ratelimit.Limit, cost int64, now time.Duration, rows []ratelimit.Row) spending {
	s := p.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.callers[key]
	if c == nil {
		if len(s.callers) >= callersPerShard && !s.makeRoom() {
			return spending{}
		}
		c = &caller{limits: slices.Clone(limits), seen: now}
		s.callers[key] = c
	}
	if !slices.Equal(c.limits, limits) {
		// What was prepaid under other limits is forfeited, what is owed stays owed.
		c.limits, c.rows, c.tokens, c.back, c.owing = slices.Clone(limits), nil, 0, 0, c.pending > 0
	}
	c.load(cost, now)
	p.expire(c, now)
	if c.rows == nil || c.owing {
		return spending{}
	}
	switch {
	case c.tokens >= cost:
		c.tokens -= cost
	case now-c.at < trustFor && p.credit(c, cost):
		c.pending += cost
		s.enqueue(key, c)
	default:
		sp := spending{part: c.tokens, unsettled: c.back > 0 || c.pending > 0 && c.inFlight == 0}
		c.tokens = 0
		if !c.asking {
			sp.extra = p.lease(c)
			c.asking = sp.extra > 0
		}
		return sp
	}
	p.show(c, now, rows)
	return spending{all: true}
}

// asked ends a spending for whose rest Redis was asked, and gives back what of it
// was prepaid where the rest was refused.
func (p *prepaid) asked(key ratelimit.Key, sp spending, refused bool) {
	if sp.extra == 0 && sp.part == 0 {
		return
	}
	s := p.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.callers[key]
	if c == nil {
		return
	}
	if sp.extra > 0 {
		c.asking = false
	}
	if refused && sp.part > 0 {
		c.tokens += sp.part
		s.enqueue(key, c)
	}
}

// expire takes tokens away that were not spent in time. They are given back unless
// a bucket may have been full meanwhile, when they have come back by themselves.
func (p *prepaid) expire(c *caller, now time.Duration) {
	if c.tokens == 0 || now < c.expires {
		return
	}
	if now+p.margin < c.fullAt {
		c.back += c.tokens
	}
	c.tokens = 0
}

// enqueue puts a caller where due looks for charges.
func (s *prepaidShard) enqueue(key ratelimit.Key, c *caller) {
	if !c.queued {
		c.queued = true
		s.queue = append(s.queue, key)
	}
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
	out := c.pending + c.inFlight + cost
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
	return int64(p.share*float64(burst)) / p.nodes
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
	for i := range rows {
		rows[i] = c.rows[i]
		rows[i].RetryAfter = 0
		rows[i].Age(now-c.at, p.interval(&rows[i].Limit))
	}
	p.add(c.tokens-c.pending-c.inFlight, rows)
}

// add moves rows by units that Redis does not know of.
func (p *prepaid) add(extra int64, rows []ratelimit.Row) {
	for i := range rows {
		row := &rows[i]
		interval := p.interval(&row.Limit)
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
	fullAt := sent + fills(rows)
	if c.tokens == 0 || sent < c.fullAt {
		c.fullAt = max(c.fullAt, fullAt)
	} else {
		c.fullAt = 0 // a bucket may have been full in between
	}
	if more > 0 {
		if c.tokens == 0 {
			c.fullAt = fullAt
		}
		c.tokens += more
		// From before Redis was asked: the term ends early rather than late.
		c.expires = sent + leaseTerm
		s.enqueue(key, c)
		p.show(c, now, rows)
	}
}

// fills is in how long the first of the buckets is full.
func fills(rows []ratelimit.Row) time.Duration {
	first := rows[0].ResetAfter
	for i := range rows {
		first = min(first, rows[i].ResetAfter)
	}
	return first
}

// held is how many units the node holds for a caller beyond what Redis knows, and
// whether some of it is to be charged or given back.
func (p *prepaid) held(key ratelimit.Key, limits []ratelimit.Limit, now time.Duration) (extra int64, unsettled bool) {
	s := p.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.callers[key]
	if c == nil || !slices.Equal(c.limits, limits) {
		return 0, false
	}
	p.expire(c, now)
	return c.tokens - c.pending - c.inFlight, c.back > 0 || c.pending > 0 && c.inFlight == 0
}

// giveBack gives units back that were admitted on credit and have not been charged
// yet, and returns how many Redis has to give back now. A refund that overtook its
// charge would be lost, since a full bucket takes nothing.
func (p *prepaid) giveBack(key ratelimit.Key, limits []ratelimit.Limit, n int64) (rest int64) {
	s := p.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.callers[key]
	if c == nil || !slices.Equal(c.limits, limits) {
		return n
	}
	unsent := min(n, c.pending)
	c.pending -= unsent
	if n -= unsent; n > 0 && c.inFlight > 0 {
		// After the charge that is on its way.
		c.back += n
		s.enqueue(key, c)
		return 0
	}
	return n
}

// A charge is what one caller was admitted on credit, less what is given back.
type charge struct {
	key    ratelimit.Key
	limits []ratelimit.Limit
	cost   int64
	credit int64
}

// due collects pending charges and refunds for the keys that answers accepts.
func (p *prepaid) due(now time.Duration, answers func(ratelimit.Key) bool) []charge {
	var charges []charge
	for i := range p.shards {
		s := &p.shards[i]
		s.mu.Lock()
		kept := s.queue[:0]
		for _, key := range s.queue {
			c := s.callers[key]
			if c == nil || !c.queued {
				continue // forgotten
			}
			p.expire(c, now)
			if ch, ok := c.take(key, answers); ok {
				charges = append(charges, ch)
			}
			c.queued = c.tokens > 0 || c.pending > 0 || c.inFlight > 0 || c.back > 0
			if c.queued {
				kept = append(kept, key)
			}
		}
		s.queue = kept
		s.mu.Unlock()
	}
	return charges
}

// dueOf is due for one caller.
func (p *prepaid) dueOf(key ratelimit.Key, answers func(ratelimit.Key) bool) (charge, bool) {
	s := p.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.callers[key]
	if c == nil {
		return charge{}, false
	}
	return c.take(key, answers)
}

// take makes a charge of what is pending and of what is to be given back.
func (c *caller) take(key ratelimit.Key, answers func(ratelimit.Key) bool) (charge, bool) {
	if c.inFlight > 0 || c.pending == 0 && c.back == 0 || !answers(key) {
		return charge{}, false
	}
	ch := charge{key: key, limits: c.limits, cost: c.pending - c.back, credit: c.pending}
	c.inFlight, c.pending, c.back = c.pending, 0, 0
	if ch.cost == 0 {
		c.inFlight, c.owing = 0, false
	}
	return ch, ch.cost != 0
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
	c.inFlight -= min(ch.credit, c.inFlight)
	c.owing = !paid
	if !paid {
		c.pending += ch.credit
		s.enqueue(ch.key, c)
	}
	if rows != nil && slices.Equal(c.limits, ch.limits) {
		c.rows, c.at = append(c.rows[:0], rows...), sent
	}
}

// end makes what is prepaid due to be given back.
func (p *prepaid) end() {
	for i := range p.shards {
		s := &p.shards[i]
		s.mu.Lock()
		for _, c := range s.callers {
			c.expires = 0
		}
		s.mu.Unlock()
	}
}

// forget drops a caller.
func (p *prepaid) forget(key ratelimit.Key) {
	s := p.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.callers, key)
}

// makeRoom drops a caller that owes nothing and holds nothing, if it finds one in a
// few tries.
func (s *prepaidShard) makeRoom() bool {
	tries := 16
	for key, c := range s.callers {
		if !c.queued {
			delete(s.callers, key)
			return true
		}
		if tries--; tries == 0 {
			break
		}
	}
	return false
}
