// Package pool holds what outlives a configuration: open stores, counts, verified keys.
// A reload provisions the new configuration before it cleans the old one up, so that what
// both use is never let go of.
package pool

import (
	"io"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
)

// Release gives back what a configuration holds of the pool, once.
type Release func()

// retentionAfterReload is how long closed state outlives its last holder, for
// requests that are still under way.
const retentionAfterReload = 30 * time.Second

// pool holds what outlives a configuration: open stores, counts, verified keys.
// It lives as long as the process. A reload provisions the new configuration
// before it cleans the old one up, so that what both use is never let go of.
var pool = caddy.NewUsagePool()

// Key names a pooled value by what it is, never by how it is configured:
// limits and tiers are parameters of each call. It holds no secret.
type Key struct {
	Kind string
	Name string
}

// Acquire returns the pooled value of the key, made if nobody holds one. The
// releaser gives it back, once; later calls of it do nothing.
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

// Find returns the value of the key, if somebody holds one.
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

// CloseLater closes something that requests of an old configuration may still
// use: at once if the process ends, after a while else.
func CloseLater(c io.Closer) {
	if caddy.Exiting() {
		_ = c.Close()
		return
	}
	time.AfterFunc(retentionAfterReload, func() { _ = c.Close() })
}

// Log is the logger of pooled values. They outlive the configuration whose
// logger they could keep, so they ask for the current one each time.
func Log(name string) *zap.Logger { return caddy.Log().Named("gateway." + name) }
