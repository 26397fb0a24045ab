package redisgcra

import (
	"math/rand/v2"
	"sync"
	"time"
)

// Trip points of the breaker.
const (
	// breakAfter failures in a row open it.
	breakAfter = 5
	// probeFirst and probeLast are the waits before the first probe and before all
	// later ones; those between double. Each is jittered by a fifth, so that the
	// nodes of a fleet don't come back at once.
	probeFirst = time.Second
	probeLast  = 5 * time.Second
)

// A breaker keeps callers from waiting for a Redis that is known to be gone.
// While it is open nobody asks Redis but one probe at a time, which costs no
// caller anything.
type breaker struct {
	mu       sync.Mutex
	failures int
	open     bool
	since    time.Time
	wait     time.Duration
	lastErr  error
	failedAt time.Time
	opened   int64
	// probe is called without the lock, once when the breaker opens.
	probe func()
	// edge is called without the lock when the breaker opens and when it closes, in
	// this order: it is told of the end before anybody can open it again.
	edge func(open bool)
}

// ready reports whether Redis may be asked.
func (b *breaker) ready() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.open
}

// succeeded notes an answer.
func (b *breaker) succeeded() {
	b.mu.Lock()
	b.failures = 0
	b.mu.Unlock()
}

// failed notes a failure, which may open the breaker.
func (b *breaker) failed(err error, now time.Time) {
	b.mu.Lock()
	b.lastErr, b.failedAt = err, now
	b.failures++
	opens := !b.open && b.failures >= breakAfter
	if opens {
		b.open, b.since, b.wait = true, now, probeFirst
		b.opened++
	}
	b.mu.Unlock()
	if opens {
		b.edge(true)
		b.probe()
	}
}

// next is how long to wait before the next probe.
func (b *breaker) next() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	wait := b.wait
	b.wait = min(2*b.wait, probeLast)
	return wait - wait/5 + rand.N(2*wait/5)
}

// probed notes how a probe ended.
func (b *breaker) probed(err error, now time.Time) {
	if err == nil {
		b.edge(false)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		b.lastErr, b.failedAt = err, now
		return
	}
	b.open, b.failures, b.since = false, 0, time.Time{}
}

// breakerState is what Health says of a breaker.
type breakerState struct {
	open bool
	// since is when it opened, and failed when there was lastErr.
	since, failed time.Time
	opened        int64
	lastErr       error
}

func (b *breaker) state() breakerState {
	b.mu.Lock()
	defer b.mu.Unlock()
	return breakerState{open: b.open, since: b.since, failed: b.failedAt, opened: b.opened, lastErr: b.lastErr}
}
