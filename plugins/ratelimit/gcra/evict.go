package gcra

import "github.com/ainative/portcullis/plugins/ratelimit"

// How many entries eviction looks at: a few, and more where all of those are
// over their limit.
const (
	sampleFew  = 8
	sampleMany = 64
)

// makeRoom removes an entry of another key when the table is full. It takes the
// fullest bucket of a sample, which loses least by being forgotten, and spares
// callers who are over their limit: a flood of new keys must not be the way to
// get a new bucket. Only where the whole sample is over its limit does one of
// them go, the one that got there last in proportion to its period, since that
// is the flood itself.
func (t *table) makeRoom(l *Limiter, key *ratelimit.Key, now int64) {
	if l.held.Load() < l.maxKeys || t.n == 0 {
		return
	}
	fullest, least := -1, 0.0
	forced, most := -1, 0.0
	small := len(t.slots) <= 2*sampleMany
	draws := 3 * sampleMany
	if small {
		draws = len(t.slots)
	}
	seen := 0
	for draw := range draws {
		if !small && (seen >= sampleMany || seen >= sampleFew && fullest >= 0) {
			break
		}
		at := draw
		if !small {
			at = t.intn(len(t.slots))
		}
		e := &t.slots[at]
		if e.meta == 0 || e.key == *key {
			continue
		}
		seen++
		switch used, over := t.used(e, now); {
		case over && (forced < 0 || used > most):
			forced, most = at, used
		case !over && (fullest < 0 || used < least):
			fullest, least = at, used
		}
	}
	switch {
	case fullest >= 0:
		if t.slots[fullest].tat > now {
			l.evicted.Add(1)
		}
		t.remove(l, fullest)
	case forced >= 0:
		l.evicted.Add(1)
		l.forced.Add(1)
		t.remove(l, forced)
	}
}

// used says how much of its limit a caller used and whether it is over it. The
// measures of callers who are over it compare only with each other.
func (t *table) used(e *entry, now int64) (share float64, over bool) {
	debt := e.tat - now
	if debt <= 0 {
		return 0, false
	}
	if e.meta.strict() {
		w := t.windows.at(e.meta.place())
		if w.used < w.count {
			return float64(w.used) / float64(w.count), false
		}
		return float64(debt) / float64(e.meta.period()), true
	}
	bound := t.debt(e)
	if debt <= bound {
		return float64(debt) / float64(bound), false
	}
	return float64(debt) / float64(bound+e.meta.period()), true
}
