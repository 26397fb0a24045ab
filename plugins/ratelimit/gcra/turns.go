package gcra

import (
	"time"

	"github.com/ainative/portcullis/plugins/ratelimit"
)

// The last turn of a count stands beside the entries, which have no room for it:
// that of a strict window in the window, that of a bucket in a list. A flag of the
// entry says that there is one, so that a caller who was never refused pays for
// looking at a bit.

// A turn is the last one of a bucket, and the debt that its entry has no room for
// meanwhile.
type turn struct{ last, debt int64 }

// giveTurn gives a refused caller its turn: RetryAfter of the decision is how long it
// is until the cost is free, and then how long until the turn. The cell is that of
// the limit that blocks. It has an entry: a full limit refuses nothing but what never
// can pass.
func (t *table) giveTurn(c *cell, now int64, d *ratelimit.Decision) {
	e := &t.slots[c.at]
	if e.meta&turnsFlag == 0 {
		t.addTurn(e)
	}
	last := t.lastTurn(e)
	at := d.Rows[d.Blocking].Limit.Turn(time.Duration(*last), time.Duration(now), time.Duration(now)+d.RetryAfter, c.cost, c.interval)
	*last = int64(at)
	d.RetryAfter = at - time.Duration(now)
}

// keepTurns is the meta of a bucket that has turns, once it is to be changed.
func (t *table) keepTurns(from, to meta) meta {
	t.turns.at(from.place()).debt = to.debt()
	return to&^auxMask | turnsFlag | meta(from.place())
}

// checkTurns forgets the turns of a count, after a charge, where they are over or
// nobody comes at them.
func (t *table) checkTurns(c *cell, row *ratelimit.Row, now int64) {
	e := &t.slots[c.at]
	last := time.Duration(*t.lastTurn(e))
	if !ratelimit.TurnAhead(last, time.Duration(now)) || row.TurnsUnused(last, time.Duration(now), c.cost, c.interval) {
		t.forgetTurns(e)
	}
}

// sweepTurns forgets the turns of an entry where they are over.
func (t *table) sweepTurns(e *entry, now int64) {
	if !ratelimit.TurnAhead(time.Duration(*t.lastTurn(e)), time.Duration(now)) {
		t.forgetTurns(e)
	}
}

// lastTurn is the last turn of an entry that has some.
func (t *table) lastTurn(e *entry) *int64 {
	if e.meta.strict() {
		return &t.windows.at(e.meta.place()).turn
	}
	return &t.turns.at(e.meta.place()).last
}

func (t *table) addTurn(e *entry) {
	if e.meta.strict() {
		t.windows.at(e.meta.place()).turn = noTurn
		e.meta |= turnsFlag
		return
	}
	place := t.turns.put(turn{last: noTurn, debt: e.meta.debt()})
	e.meta = e.meta&^auxMask | turnsFlag | meta(place)
}

// noTurn is before any time.
const noTurn = -1 << 62

func (t *table) forgetTurns(e *entry) {
	e.meta &^= turnsFlag
	if !e.meta.strict() {
		place := e.meta.place()
		e.meta = e.meta.withDebt(t.turns.at(place).debt)
		t.turns.free(place)
	}
}

// debt is the debt of a bucket beyond which a caller is over its limit.
func (t *table) debt(e *entry) int64 {
	if e.meta&turnsFlag != 0 {
		return t.turns.at(e.meta.place()).debt
	}
	return e.meta.debt()
}
