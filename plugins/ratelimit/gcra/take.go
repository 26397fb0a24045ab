package gcra

import (
	"time"

	"github.com/ainative/portcullis/plugins/ratelimit"
)

// A cell is what one limit of a decision looks like before it is written.
type cell struct {
	at   int
	tag  tag
	cost int64
	// debt is tat - now, for GCRA.
	debt time.Duration
}

// take decides under the lock of the shard.
func (t *table) take(l *Limiter, hash uint64, key ratelimit.Key, limits []ratelimit.Limit, cost, now int64, rows []ratelimit.Row) ratelimit.Decision {
	var cells [ratelimit.MaxLimits]cell
	for i, limit := range limits {
		c := &cells[i]
		c.tag = tagOf(limit)
		c.at = t.find(hash, key, c.tag)
		// No more than a burst can come back, and more than a burst is never
		// charged: both keep the products below inside an int64.
		c.cost = max(cost, -limit.Burst)
		var row ratelimit.Row
		if limit.Strict {
			row = t.lookWindow(c, limit, now)
		} else {
			row = t.lookBucket(c, limit, now)
		}
		rows = append(rows, row)
	}
	d := ratelimit.Decide(rows)
	if !d.Allowed || cost == 0 {
		return d
	}
	for i := range limits {
		limit, c := limits[i], &cells[i]
		if c.at >= 0 {
			rows[i] = t.write(c, limit, now)
		}
	}
	// Adding moves entries, so that it comes after all that use their places.
	for i := range limits {
		limit, c := limits[i], &cells[i]
		switch {
		case c.at >= 0 || c.cost < 0:
		case limit.Strict:
			rows[i] = t.addWindow(l, hash, key, c, limit, now)
		default:
			c.debt += time.Duration(c.cost) * limit.Interval()
			rows[i] = limit.Row(c.debt)
			t.makeRoom(l, key, now)
			t.add(l, hash, entry{key: key, tag: c.tag | dirtyFlag, tat: now + int64(c.debt), aux: int64(limit.Horizon() - limit.Interval())})
		}
	}
	return d
}

func (t *table) lookBucket(c *cell, limit ratelimit.Limit, now int64) ratelimit.Row {
	interval, horizon := limit.Interval(), limit.Horizon()
	if c.at >= 0 {
		// A tat beyond the horizon is of a higher limit, or the clock went back.
		c.debt = min(max(time.Duration(t.at(c.at).tat-now), 0), horizon)
	}
	row := limit.Row(c.debt)
	switch {
	case c.cost > limit.Burst:
		row.RetryAfter = -1
	case c.cost > 0:
		row.RetryAfter = max(0, c.debt+time.Duration(c.cost)*interval-horizon)
	}
	return row
}

func (t *table) lookWindow(c *cell, limit ratelimit.Limit, now int64) ratelimit.Row {
	var w *window
	if c.at < 0 {
		w = &window{}
	} else {
		w = &t.windows[t.at(c.at).aux]
		w.forget(now, int64(limit.Period))
	}
	row := w.row(limit, now)
	switch {
	case c.cost > limit.Count:
		row.RetryAfter = -1
	case c.cost > 0:
		row.RetryAfter = w.until(limit.Count-c.cost, now, int64(limit.Period))
	}
	return row
}

// write charges or gives back where there is an entry.
func (t *table) write(c *cell, limit ratelimit.Limit, now int64) ratelimit.Row {
	e := t.at(c.at)
	e.tag |= dirtyFlag
	if !limit.Strict {
		interval := limit.Interval()
		c.debt = max(0, c.debt+time.Duration(c.cost)*interval)
		e.tat = now + int64(c.debt)
		e.aux = int64(limit.Horizon() - interval)
		return limit.Row(c.debt)
	}
	w := &t.windows[e.aux]
	w.count = limit.Count
	if c.cost > 0 {
		w.add(now, int64(limit.Period), c.cost)
	} else {
		w.take(-c.cost)
	}
	e.tat = w.end(int64(limit.Period))
	return w.row(limit, now)
}

func (t *table) addWindow(l *Limiter, hash uint64, key ratelimit.Key, c *cell, limit ratelimit.Limit, now int64) ratelimit.Row {
	t.makeRoom(l, key, now)
	w := window{count: limit.Count}
	w.add(now, int64(limit.Period), c.cost)
	t.addStrict(l, hash, key, c.tag|dirtyFlag, w)
	return w.row(limit, now)
}

func (t *table) addStrict(l *Limiter, hash uint64, key ratelimit.Key, tag tag, w window) {
	place := int64(len(t.windows))
	if n := len(t.spare); n > 0 {
		place = t.spare[n-1]
		t.spare = t.spare[:n-1]
		t.windows[place] = w
	} else {
		t.windows = append(t.windows, w)
	}
	t.add(l, hash, entry{key: key, tag: tag, tat: w.end(tag.period()), aux: place})
}
