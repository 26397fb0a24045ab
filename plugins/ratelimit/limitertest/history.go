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
