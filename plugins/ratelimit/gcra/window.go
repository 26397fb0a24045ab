package gcra

import (
	"math"
	"time"

	"github.com/ainative/portcullis/plugins/ratelimit"
)

// segments is how many parts of its period a strict window tells apart.
const segments = 60

// A window is the state of a strict limit: a sliding window that forgets an
// event no earlier than one period after it, and at most one 60th of the period
// later. Events that come within a 60th of a period share a segment and are
// forgotten with the last of them, so that the state is bounded and an event on
// its own is forgotten exactly in time.
type window struct {
	// segments are in the order of time, 62 at most.
	segments []segment
	// start is when the last segment began.
	start int64
	// used is the sum of the segments.
	used int64
	// count is the limit of the last call, for eviction.
	count int64
	// turn is the last turn of refused callers, where the entry says so.
	turn int64
}

type segment struct {
	// last is the time of its last event.
	last int64
	// n is the number of its events.
	n int64
}

// forget drops the segments that lie outside of the period.
func (w *window) forget(now, period int64) {
	drop := 0
	for drop < len(w.segments) && w.segments[drop].last <= now-period {
		w.used -= w.segments[drop].n
		drop++
	}
	if drop > 0 {
		w.segments = w.segments[:copy(w.segments, w.segments[drop:])]
	}
	// After a step back of the clock nothing lies in the future: what happened
	// there counts as of now.
	for i := len(w.segments) - 1; i >= 0 && w.segments[i].last > now; i-- {
		w.segments[i].last = now
	}
	w.start = min(w.start, now)
}

// add counts n events at now, if n is above 0.
func (w *window) add(now, period, n int64) {
	if n <= 0 {
		return
	}
	last := len(w.segments) - 1
	width := (period + segments - 1) / segments
	if last >= 0 && (now-w.start < width || last >= segments+1) {
		w.segments[last].last = now
		w.segments[last].n += n
	} else {
		w.segments = append(w.segments, segment{last: now, n: n})
		w.start = now
	}
	w.used += n
}

// take forgets n events, the latest first, and no more than there are.
func (w *window) take(n int64) {
	for last := len(w.segments) - 1; n > 0 && last >= 0; last-- {
		part := min(n, w.segments[last].n)
		w.segments[last].n -= part
		w.used -= part
		n -= part
		if w.segments[last].n > 0 {
			return
		}
		w.segments = w.segments[:last]
		// What is left began earlier than can be told, so that nothing joins it.
		w.start = math.MinInt64 / 2
	}
}

// end is when the last event is forgotten.
func (w *window) end(period int64) int64 {
	if len(w.segments) == 0 {
		return 0
	}
	return w.segments[len(w.segments)-1].last + period
}

// until is how long it takes until no more than n events are left.
func (w *window) until(n, now, period int64) time.Duration {
	used := w.used
	for _, s := range w.segments {
		if used <= n {
			break
		}
		used -= s.n
		if used <= n {
			return time.Duration(s.last + period - now)
		}
	}
	return 0
}

// show fills in the state of the window.
func (w *window) show(row *ratelimit.Row, now int64) {
	period, count := int64(row.Limit.Period), row.Limit.Count
	row.Remaining = max(0, count-w.used)
	row.ResetAfter = w.until(0, now, period)
	row.NextAfter = w.until(min(w.used, count)-1, now, period)
}
