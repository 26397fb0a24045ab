// Package pool keeps values that outlive a configuration: open stores, counts, verified
// keys.
package pool

import (
	"io"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
)

// Release releases a pooled value. Further calls do nothing.
type Release func()

// Held is what a configuration holds of the pool. The zero Held holds nothing.
type Held []Release

// Release releases everything, the last first. Later calls do nothing.
func (h *Held) Release() {
	for _, release := range slices.Backward(*h) {
		release()
	}
	*h = nil
}

// retentionAfterReload is how long a value outlives its last holder, for requests that
// are still in flight.
const retentionAfterReload = 30 * time.Second

// pool lives as long as the process. A reload provisions the new configuration before it
// cleans up the old one, so that a value that both use is never released.
var pool = caddy.NewUsagePool()

// Key identifies a pooled value. It holds no secret, and no setting that may change while
// the value stays: limits and tiers are parameters of each call.
type Key struct {
	Kind string
	Name string
}

// Acquire returns the pooled value of the key, and makes it if there is none.
func Acquire[T caddy.Destructor](key Key, construct func() (T, error)) (T, Release, error) {
	value, _, err := pool.LoadOrNew(key, func() (caddy.Destructor, error) { return construct() })
	if err != nil {
		var none T
		return none, nil, err
	}
	released := false
	return value.(T), func() {
		if !released {
			released = true
			_, _ = pool.Delete(key)
		}
	}, nil
}

// plain is a pooled value that holds nothing but memory.
type plain[T any] struct{ value T }

// Destruct does nothing.
func (plain[T]) Destruct() error { return nil }

// AcquirePlain is Acquire for a value that holds nothing but memory.
func AcquirePlain[T any](key Key, construct func() T) (T, Release) {
	// Only the constructor can fail, and this one can't.
	p, release, _ := Acquire(key, func() (plain[T], error) { return plain[T]{construct()}, nil })
	return p.value, release
}

// FindPlain is Find for a value of AcquirePlain.
func FindPlain[T any](key Key) (T, bool) {
	p, ok := Find[plain[T]](key)
	return p.value, ok
}

// Find returns the value of the key, if there is one.
func Find[T any](key Key) (found T, ok bool) {
	pool.Range(func(k, v any) bool {
		if k == key {
			found, ok = v.(T)
			return false
		}
		return true
	})
	return found, ok
}

// Each calls f for every pooled value of one type.
func Each[T any](f func(T)) {
	pool.Range(func(_, v any) bool {
		if value, ok := v.(T); ok {
			f(value)
		}
		return true
	})
}

// CloseLater closes a value that requests of an old configuration may still use: at once
// if the process ends, otherwise after a while.
func CloseLater(c io.Closer) {
	if caddy.Exiting() {
		_ = c.Close()
		return
	}
	time.AfterFunc(retentionAfterReload, func() { _ = c.Close() })
}

// Log is the logger of pooled values. They outlive configurations and their loggers, so
// that each use asks for the current one.
func Log(name string) *zap.Logger { return caddy.Log().Named("gateway." + name) }
