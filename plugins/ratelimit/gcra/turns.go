package gcra

import (
	"time"

	"github.com/ainative/portcullis/plugins/ratelimit"
)

// Turns stand beside the entries, which have no room for them: most counts never
// refuse anybody. A flag of the entry says that there is one, so that a caller who
// was never refused pays for looking at a bit.

// turnKey is the key and the name of a count.
type turnKey struct {
	key  ratelimit.Key
	name meta
}

// turn gives a refused caller its turn, and returns how long it is until then. Wait
// is how long it is until the cost is free. The limit has an entry: a full bucket
// refuses nothing but what never can pass.
func (t *table) turn(c *cell, row *ratelimit.Row, key *ratelimit.Key, wait time.Duration, now int64) time.Duration {
	e := &t.slots[c.at]
	name := turnKey{*key, c.name}
	last := int64(0)
	if e.meta&turnsFlag != 0 {
		last = t.turns[name]
	} else if t.turns == nil {
		t.turns = map[turnKey]int64{}
	}
	at := row.Limit.Turn(time.Duration(last), time.Duration(now), time.Duration(now)+wait, c.cost, c.interval)
	e.meta |= turnsFlag
	t.turns[name] = int64(at)
	return at - time.Duration(now)
}

// checkTurns forgets the turns of a count, after a charge, where they are over or
// nobody comes at them.
func (t *table) checkTurns(c *cell, row *ratelimit.Row, key *ratelimit.Key, now int64) {
	last := time.Duration(t.turns[turnKey{*key, c.name}])
	if !ratelimit.TurnAhead(last, time.Duration(now)) || row.TurnsUnused(last, time.Duration(now), c.cost, c.interval) {
		t.forgetTurns(c.at)
	}
}

// sweepTurns forgets the turns of the entry at a place where they are over.
func (t *table) sweepTurns(at int, now int64) {
	e := &t.slots[at]
	if !ratelimit.TurnAhead(time.Duration(t.turns[turnKey{e.key, e.meta.name()}]), time.Duration(now)) {
		t.forgetTurns(at)
	}
}

func (t *table) forgetTurns(at int) {
	e := &t.slots[at]
	delete(t.turns, turnKey{e.key, e.meta.name()})
	e.meta &^= turnsFlag
}
