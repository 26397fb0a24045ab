package ratelimit

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// Queue limits how many requests of all callers together are in flight, for
// `upstream_concurrency`. Further requests wait, first come first served, for a bounded
// time. It is safe for concurrent use.
type Queue struct {
	places   chan struct{}
	patience time.Duration
	waiting  atomic.Int64
	// longest is how many may wait at once.
	longest int64
}

// waitersPerPlace is how many requests may wait for each place. More could not be
// served in a time that a client waits, and each one holds a connection.
const waitersPerPlace = 16

// ErrBusy says that a request did not get a place in time.
var ErrBusy = errors.New("as many requests as the upstream may have are under way")

// NewQueue makes a queue with a number of places, 1 or more. A request waits for patience
// at most.
func NewQueue(places int, patience time.Duration) *Queue {
	return &Queue{
		places: make(chan struct{}, places), patience: patience, longest: int64(places) * waitersPerPlace,
	}
}

// Enter takes a place, and waits for one if necessary. It returns ErrBusy if no place
// became free in time or too many requests wait, and the context's error if it ended
// first. After nil the caller must call Leave once.
func (q *Queue) Enter(ctx context.Context) error {
	select {
	case q.places <- struct{}{}:
		return nil
	default:
	}
	defer q.waiting.Add(-1)
	if q.waiting.Add(1) > q.longest || q.patience <= 0 {
		return ErrBusy
	}
	patience := time.NewTimer(q.patience)
	defer patience.Stop()
	select {
	case q.places <- struct{}{}:
		return nil
	case <-patience.C:
		return ErrBusy
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Leave frees the place.
func (q *Queue) Leave() { <-q.places }
