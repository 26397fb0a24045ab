package store

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Count is the state of one rate limit of a long period, for limiters that count
// in memory. Several processes may share a store: each counts for itself, and
// what is kept is never less than what any of them wrote. See Merge.
type Count struct {
	// Zone is where it counts.
	Zone string
	// Key is the hash of the caller that it counts.
	Key [16]byte
	// Period of the limit, whole milliseconds. Zone, Key, Period and Strict together
	// name the count.
	Period time.Duration
	// Strict is a sliding window and not a bucket.
	Strict bool
	// Full is when all of the limit is free again, in whole microseconds.
	Full time.Time
	// Overdrawn says that the bucket was charged past empty.
	Overdrawn bool
	// Events of a strict window, in the order of time, MaxEvents at most.
	Events []CountEvents
}

// CountEvents is how many events a strict window counts until one period after At.
type CountEvents struct {
	// At has whole microseconds.
	At time.Time
	// N is 1 or more.
	N int64
}

// MaxEvents bounds the events of a count.
const MaxEvents = 64

// Merge is the count that has used as much as either of two with the same name at
// any time to come: the later Full of a bucket, and of a window the most that
// either counts since each moment.
func (c Count) Merge(other Count) Count {
	switch {
	case other.Full.After(c.Full):
		c.Full, c.Overdrawn = other.Full, other.Overdrawn
	case other.Full.Equal(c.Full):
		c.Overdrawn = c.Overdrawn || other.Overdrawn
	}
	c.Events = mergeEvents(c.Events, other.Events)
	return c
}

// mergeEvents goes back in time and takes over whatever makes the sum so far the
// larger one of the two.
func mergeEvents(a, b []CountEvents) []CountEvents {
	var merged []CountEvents
	var sumA, sumB, sum int64
	i, j := len(a)-1, len(b)-1
	for i >= 0 || j >= 0 {
		var at time.Time
		if j < 0 || i >= 0 && !a[i].At.Before(b[j].At) {
			at = a[i].At
		} else {
			at = b[j].At
		}
		for ; i >= 0 && a[i].At.Equal(at); i-- {
			sumA += a[i].N
		}
		for ; j >= 0 && b[j].At.Equal(at); j-- {
			sumB += b[j].N
		}
		if most := max(sumA, sumB); most > sum {
			merged = append(merged, CountEvents{At: at, N: most - sum})
			sum = most
		}
	}
	slices.Reverse(merged)
	// The oldest join the one after them: they are forgotten later, never earlier.
	for len(merged) > MaxEvents {
		merged[1].N += merged[0].N
		merged = merged[1:]
	}
	return merged
}

// CheckCount tells whether a count can be kept. The error wraps ErrInvalid.
func CheckCount(c Count) error {
	if c.Zone == "" || c.Period <= 0 || c.Period%time.Millisecond != 0 {
		return fmt.Errorf("%w: a count of the zone %q and the period %s", ErrInvalid, c.Zone, c.Period)
	}
	if c.Full.IsZero() || c.Strict == (len(c.Events) == 0) || len(c.Events) > MaxEvents {
		return fmt.Errorf("%w: a count without an end, or with %d events", ErrInvalid, len(c.Events))
	}
	if !slices.IsSortedFunc(c.Events, func(a, b CountEvents) int { return a.At.Compare(b.At) }) {
		return fmt.Errorf("%w: the events of a count are not in the order of time", ErrInvalid)
	}
	times := []time.Time{c.Full}
	for _, e := range c.Events {
		if e.At.IsZero() || cmp.Compare(e.N, 1) < 0 {
			return fmt.Errorf("%w: a count has %d events at %s", ErrInvalid, e.N, e.At)
		}
		times = append(times, e.At)
	}
	if err := checkTexts("count", c.Zone); err != nil {
		return err
	}
	return checkTimes("count", times...)
}
