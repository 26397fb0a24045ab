package gcra

import (
	"iter"
	"time"

	"github.com/ainative/portcullis/plugins/ratelimit"
)

type (
	// Saved is that of package ratelimit.
	Saved = ratelimit.Saved
	// SavedEvents is that of package ratelimit.
	SavedEvents = ratelimit.SavedEvents
)

// Export yields the counts of periods of minPeriod or more that are not idle, as
// of wall, the time of now by the wall clock. With onlyChanged it yields those
// that changed since they were last exported; one that was reset or given back in
// full meanwhile is not among them. It locks one shard at a time and none while it yields, so
// that it is a snapshot of each key but not of all keys at one moment.
func (l *Limiter) Export(minPeriod time.Duration, onlyChanged bool, wall time.Time) iter.Seq[Saved] {
	return func(yield func(Saved) bool) {
		var batch []Saved
		now := int64(l.clock())
		for i := range l.shards {
			batch = l.shards[i].export(batch[:0], int64(minPeriod), onlyChanged, now, wall)
			for _, saved := range batch {
				if !yield(saved) {
					return
				}
			}
		}
	}
}

func (s *shard) export(batch []Saved, minPeriod int64, onlyChanged bool, now int64, wall time.Time) []Saved {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := func(tat int64) time.Time { return wall.Add(time.Duration(tat - now)) }
	for i := range s.slots {
		e := &s.slots[i]
		if e.meta == 0 || e.meta.period() < minPeriod || onlyChanged && e.meta&dirtyFlag == 0 {
			continue
		}
		e.meta &^= dirtyFlag
		if e.tat <= now {
			continue
		}
		saved := Saved{
			Key: e.key, Period: time.Duration(e.meta.period()),
			Strict: e.meta.strict(), Full: at(e.tat), Overdrawn: e.meta&overdrawnFlag != 0,
		}
		if saved.Strict {
			for _, seg := range s.windows.at(e.meta.place()).segments {
				saved.Events = append(saved.Events, SavedEvents{At: at(seg.last), N: seg.n})
			}
		}
		batch = append(batch, saved)
	}
	return batch
}

// Import takes saved counts in, as of wall, the time of now by the wall clock,
// and returns how many. It never lowers what a caller has used: a count that is
// there with more debt stays. What says nothing any more, can't be, or has no
// room is left out. A wall clock that went back since the export costs a caller
// at most the time that its limit takes to fill.
func (l *Limiter) Import(saved iter.Seq[Saved], wall time.Time) int {
	n := 0
	now := int64(l.clock())
	for s := range saved {
		if l.put(s, now, wall) {
			n++
		}
	}
	return n
}

func (l *Limiter) put(saved Saved, now int64, wall time.Time) bool {
	if saved.Period < ratelimit.MinPeriod || saved.Period > ratelimit.MaxPeriod || saved.Period%ratelimit.MinPeriod != 0 || !saved.Full.After(wall) || l.held.Load() >= l.maxKeys {
		return false
	}
	hash := l.hash(&saved.Key)
	s := l.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	name := metaOf(&ratelimit.Limit{Period: saved.Period, Strict: saved.Strict})
	if saved.Strict {
		return s.putWindow(l, hash, saved, name, now, wall)
	}
	tat := now + int64(min(saved.Full.Sub(wall), 2*ratelimit.MaxHorizon))
	overdrawn := meta(0)
	if saved.Overdrawn {
		overdrawn = overdrawnFlag
	}
	if i := s.find(hash, &saved.Key, name); i >= 0 {
		if e := &s.slots[i]; tat > e.tat {
			e.tat = tat
			e.meta = e.meta&^overdrawnFlag | overdrawn
		}
		return true
	}
	// Burst is not known before the first call: until then the caller counts as
	// over its limit where its bucket lacks a whole period.
	s.add(l, hash, &entry{key: saved.Key, tat: tat, meta: name.withDebt(int64(saved.Period)) | overdrawn})
	return true
}

func (t *table) putWindow(l *Limiter, hash uint64, saved Saved, name meta, now int64, wall time.Time) bool {
	var w window
	if t.find(hash, &saved.Key, name) >= 0 {
		return false
	}
	for _, events := range saved.Events {
		last := now + int64(min(0, events.At.Sub(wall)))
		if events.N < 1 || events.N > ratelimit.MaxStrictCount {
			return false
		}
		if k := len(w.segments); k > 0 && last < w.segments[k-1].last {
			return false
		}
		w.segments = append(w.segments, segment{last: last, n: events.N})
		w.used += events.N
		w.start = last
		if len(w.segments) > segments+2 {
			// The oldest are forgotten with the ones after them: later, never earlier.
			w.segments[1].n += w.segments[0].n
			w.segments = w.segments[1:]
		}
	}
	w.count = w.used
	w.forget(now, int64(saved.Period))
	if w.used > 0 {
		t.addWindow(l, hash, &saved.Key, name, w)
	}
	return w.used > 0
}
