package decision

import (
	"sync"
	"time"
)

// MaxRemembered bounds how many keys a Once remembers.
const MaxRemembered = 10_000

// Once lets something be told once in a window for each key: that a caller went
// over a limit, however often the caller comes. The zero value is ready; it is safe
// for concurrent use.
type Once[K comparable] struct {
	mu sync.Mutex
	// until is when the window of a key ends.
	until map[K]time.Time
	// swept is when the keys whose window was over were last forgotten.
	swept time.Time
}

// First reports whether it has not been told of the key in the window that holds,
// and begins one.
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

// makeRoom forgets the keys whose window is over. It looks at all of them once a
// second at most, since many callers at once must not make each request pay for
// that. Where there is still no room, it forgets any one.
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

// Turns lets the change of a state be told, not the state: that something broke or
// works again. Everything works at first. The zero value is ready; it is safe for
// concurrent use.
type Turns[K comparable] struct {
	mu     sync.Mutex
	broken map[K]bool
}

// Turned notes a state and reports whether it is another than before.
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
