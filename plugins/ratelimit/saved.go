package ratelimit

import "time"

// Saved is one count in a form that outlives the process.
type Saved struct {
	Key    Key
	Period time.Duration
	Strict bool
	// Full is when the bucket is full again, by the wall clock.
	Full time.Time
	// Overdrawn says that the bucket was charged past empty by Adjust.
	Overdrawn bool
	// Events of a strict window, in the order of time; empty for GCRA.
	Events []SavedEvents
}

// SavedEvents are N events that a strict window counts until one period after At.
type SavedEvents struct {
	At time.Time
	N  int64
}
