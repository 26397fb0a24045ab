package gcra

import (
	"time"

	"github.com/ainative/portcullis/plugins/ratelimit"
)

// A cell is one limit of a decision on the way to its row.
type cell struct {
	name              meta
	interval, horizon time.Duration
	cost              int64
	// at is the entry, -1 for none, and debt what its bucket lacks.
	at   int
	debt time.Duration
	// clamped says that the entry has more debt than that.
	clamped bool
}

// take decides under the lock of the shard. Each row has its Limit already. It
// reports false, and changes nothing, where the limits can't be. With force it
// charges what does not fit too.
func (t *table) take(l *Limiter, hash uint64, key *ratelimit.Key, cells []cell, cost, now int64, force bool, rows []ratelimit.Row, d *ratelimit.Decision) bool {
	for i := range cells {
		c, row := &cells[i], &rows[i]
		limit := &row.Limit
		c.name = metaOf(limit)
		// The table is asked first: in a large one the answer comes from memory, and
		// the divisions are done by the time it is there.
		c.at = t.find(hash, key, c.name)
		var ok bool
		if c.interval, c.horizon, ok = limit.Measure(); !ok {
			return false
		}
		for j := range i {
			if cells[j].name == c.name {
				return false
			}
		}
		// No more than two bursts can come back or be charged, the second of them as a
		// debt: that keeps the products with it inside an int64.
		c.cost = max(cost, -2*limit.Burst)
		if force {
			c.cost = min(c.cost, 2*limit.Burst)
		}
		if limit.Strict {
			t.lookWindow(c, row, now)
		} else {
			t.lookBucket(c, row, now)
		}
	}
	if force {
		for i := range rows {
			rows[i].RetryAfter = 0
		}
	}
	d.Settle(rows)
	if !d.Allowed || cost == 0 {
		if d.RetryAfter > 0 {
			t.giveTurn(&cells[d.Blocking], now, d)
		}
		for i := range cells {
			c := &cells[i]
			if c.clamped && d.RetryAfter > 0 {
				// What is told must hold: or the caller would find the same wait again
				// after waiting.
				t.slots[c.at].tat = now + int64(c.debt)
			}
			t.show(c, &rows[i], now)
		}
		return true
	}
	for i := range cells {
		if c := &cells[i]; c.at >= 0 {
			if t.write(c, &rows[i], now) && cost > 0 && !force {
				t.checkTurns(c, &rows[i], now)
			}
		} else if c.cost < 0 {
			t.show(c, &rows[i], now)
		}
	}
	// Adding moves entries, so that it comes after all that use their places.
	for i := range cells {
		if c := &cells[i]; c.at < 0 && c.cost > 0 {
			t.makeRoom(l, key, now)
			t.addCount(l, hash, key, c, &rows[i], now)
		}
	}
	return true
}

// charge adds the cost of the cell to its debt, no more than one burst past empty.
func (c *cell) charge() {
	c.debt = min(max(0, c.debt+time.Duration(c.cost)*c.interval), 2*c.horizon)
}

// meta is that of the bucket with the debt of the cell.
func (c *cell) meta() meta {
	m := (c.name | dirtyFlag).withDebt(int64(c.horizon - c.interval))
	if c.debt > c.horizon {
		m |= overdrawnFlag
	}
	return m
}

// lookBucket finds the debt of a bucket and how long the cost has to wait.
func (t *table) lookBucket(c *cell, row *ratelimit.Row, now int64) {
	c.debt = 0
	if c.at >= 0 {
		e := &t.slots[c.at]
		c.debt = max(time.Duration(e.tat-now), 0)
		if c.debt > c.horizon {
			// A tat beyond the horizon is of a caller in debt, of a higher limit, or the
			// clock went back.
			most := c.horizon
			if e.meta&overdrawnFlag != 0 {
				most *= 2
			}
			if c.debt > most {
				c.debt, c.clamped = most, true
			}
		}
	}
	switch {
	case c.cost > row.Limit.Burst:
		row.RetryAfter = -1
	case c.cost > 0:
		row.RetryAfter = max(0, c.debt+time.Duration(c.cost)*c.interval-c.horizon)
	}
}

// lookWindow finds how long the cost has to wait for a strict window.
func (t *table) lookWindow(c *cell, row *ratelimit.Row, now int64) {
	period := int64(row.Limit.Period)
	if c.cost > row.Limit.Count {
		row.RetryAfter = -1
	}
	if c.at < 0 {
		return
	}
	w := t.windows.at(t.slots[c.at].meta.place())
	w.forget(now, period)
	if c.cost > 0 && c.cost <= row.Limit.Count {
		row.RetryAfter = w.until(row.Limit.Count-c.cost, now, period)
	}
}

// show fills the row in where nothing is charged.
func (t *table) show(c *cell, row *ratelimit.Row, now int64) {
	switch {
	case !c.name.strict():
		row.SetDebt(c.debt, c.interval, c.horizon)
	case c.at >= 0:
		t.windows.at(t.slots[c.at].meta.place()).show(row, now)
	default:
		row.Remaining = row.Limit.Count
	}
}

// write charges or gives back where there is an entry, and reports whether the entry
// has turns.
func (t *table) write(c *cell, row *ratelimit.Row, now int64) (turns bool) {
	e := &t.slots[c.at]
	if !c.name.strict() {
		c.charge()
		e.tat = now + int64(c.debt)
		turns = e.meta&turnsFlag != 0
		if turns {
			e.meta = t.keepTurns(e.meta, c.meta())
		} else {
			e.meta = c.meta()
		}
		row.SetDebt(c.debt, c.interval, c.horizon)
		return turns
	}
	period := int64(row.Limit.Period)
	e.meta |= dirtyFlag
	w := t.windows.at(e.meta.place())
	w.count = row.Limit.Count
	if c.cost > 0 {
		w.add(now, period, min(c.cost, 2*w.count-w.used))
	} else {
		w.take(-c.cost)
	}
	e.tat = w.end(period)
	w.show(row, now)
	return e.meta&turnsFlag != 0
}

// addCount charges where there is no entry yet.
func (t *table) addCount(l *Limiter, hash uint64, key *ratelimit.Key, c *cell, row *ratelimit.Row, now int64) {
	if !c.name.strict() {
		c.charge()
		t.add(l, hash, &entry{key: *key, tat: now + int64(c.debt), meta: c.meta()})
		row.SetDebt(c.debt, c.interval, c.horizon)
		return
	}
	w := window{count: row.Limit.Count}
	w.add(now, int64(row.Limit.Period), c.cost)
	w.show(row, now)
	t.addWindow(l, hash, key, c.name|dirtyFlag, w)
}

func (t *table) addWindow(l *Limiter, hash uint64, key *ratelimit.Key, name meta, w window) {
	place := t.windows.put(w)
	t.add(l, hash, &entry{key: *key, tat: w.end(name.period()), meta: name | meta(place)})
}
