package limitertest

import (
	"math"
	"slices"
	"time"

	"github.com/ainative/portcullis/plugins/ratelimit"
)

// An Admission is a request that passed: when, and at which cost.
type Admission struct {
	At   time.Duration
	Cost int64
}

// Excess is by how many units a history breaks the promise of a limit: the most
// by which the admissions of any window of length W exceed Burst plus Count per
// Period over W, rounded down to whole units. 0 is a history that keeps it. The
// order of the admissions does not matter.
func Excess(history []Admission, limit ratelimit.Limit) int64 {
	sorted := slices.Clone(history)
	slices.SortFunc(sorted, func(a, b Admission) int { return int(a.At - b.At) })
	// What any window holds beyond its share is the highest level of a bucket that
	// leaks at the rate of the limit and has no rim. Levels are in the time that
	// they take to leak, at the exact rate: a unit is Period/Count, so all is
	// multiplied by Count.
	var level, excess float64
	last := time.Duration(0)
	for i, a := range sorted {
		if i > 0 {
			level = max(0, level-float64(a.At-last)*float64(limit.Count))
		}
		last = a.At
		level += float64(a.Cost) * float64(limit.Period)
		excess = max(excess, level/float64(limit.Period)-float64(limit.Burst))
	}
	return int64(math.Ceil(excess - 1e-6))
}

// A Span is an admission of which only the times before and after it are known,
// as a client of a limiter somewhere else has them.
type Span struct{ From, To time.Duration }

// ExcessOfSpans is Excess for a history of spans at cost 1: the most by which the
// admissions that lie wholly in any window of length W exceed Burst plus Count per
// Period over W. Where it is above 0 the promise was broken, whenever within its
// span each admission was.
func ExcessOfSpans(history []Span, limit ratelimit.Limit) int64 {
	ends := slices.Clone(history)
	slices.SortFunc(ends, func(a, b Span) int { return int(a.To - b.To) })
	starts := slices.Clone(history)
	slices.SortFunc(starts, func(a, b Span) int { return int(a.From - b.From) })
	excess := int64(0)
	for i, start := range starts {
		if i > 0 && start.From == starts[i-1].From {
			continue
		}
		within := int64(0)
		for _, s := range ends {
			if s.From < start.From {
				continue
			}
			within++
			window := s.To - start.From
			excess = max(excess, within-limit.Burst-int64(float64(window)*float64(limit.Count)/float64(limit.Period)+1e-6))
		}
	}
	return excess
}
