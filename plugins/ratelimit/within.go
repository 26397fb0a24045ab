package ratelimit

import "slices"

// Within reports whether limits together admit no more than others, at once and over time.
// It may return false for limits that admit no more, but never true for limits that may
// admit more.
func Within(limits, others []Limit) bool {
	for _, other := range others {
		if !slices.ContainsFunc(limits, func(l Limit) bool { return l.within(other) }) {
			return false
		}
	}
	return true
}

// within reports whether one limit alone admits no more than another.
func (l Limit) within(other Limit) bool {
	switch {
	case l.Strict && other.Strict:
		return l.Count <= other.Count && l.Period >= other.Period
	case other.Strict:
		// A bucket admits its burst and the units that come back in the window.
		back := int64(other.Period / l.Interval())
		return l.Burst <= other.Count && back <= other.Count-l.Burst
	}
	return l.Burst <= other.Burst && l.Interval() >= other.Interval()
}
