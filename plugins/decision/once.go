package decision

import (
	"sync"
	"time"
)

// MaxRemembered bounds how many keys a Once remembers.
const MaxRemembered = 10_000

// Once limits reports to one in a window for each key, such as the report that a caller is
// over a limit. The zero value is ready to use; it is safe for concurrent use.
type Once[K comparable] struct {
	mu sync.Mutex
	// until is when the window of a key ends.
	until map[K]time.Time
	// swept is when expired keys were last removed.
	swept time.Time
}

// First reports whether the key has no current window. If so, it begins one.
func (o *Once[K]) First(key K, window time.Duration, now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if until, told := o.until[key]; told && now.Before(until) {
		return false
	}
	if o.until == nil {
		o.until = map[K]time.Time{}
	}
	if len(o.until) >= MaxRemembered {
		o.makeRoom(now)
	}
	o.until[key] = now.Add(window)
	return true
}

// Len is how many keys are remembered.
func (o *Once[K]) Len() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.until)
}

// makeRoom removes expired keys. It looks at all keys once a second at most, so that a
// flood of callers does not slow down each request. If that makes no room, it removes any
// key.
func (o *Once[K]) makeRoom(now time.Time) {
	if now.Sub(o.swept) >= time.Second {
		o.swept = now
		for key, until := range o.until {
			if !now.Before(until) {
				delete(o.until, key)
			}
		}
	}
	for key := range o.until {
		if len(o.until) < MaxRemembered {
			return
		}
		delete(o.until, key)
	}
}

// Turns reports changes of a state: a key broke, or works again. Every key works at first.
// The zero value is ready to use; it is safe for concurrent use.
type Turns[K comparable] struct {
	mu     sync.Mutex
	broken map[K]bool
}

// Turned sets the state of a key and reports whether it has changed.
func (t *Turns[K]) Turned(key K, broken bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.broken[key] == broken {
		return false
	}
	if t.broken == nil {
		t.broken = map[K]bool{}
	}
	if broken {
		t.broken[key] = true
	} else {
		delete(t.broken, key)
	}
	return true
}
