package caddymodule

import (
	"io"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
)

// releaser gives back what a configuration holds of the pool, once.
type releaser func()

// retentionAfterReload is how long closed state outlives its last holder, for
// requests that are still under way.
const retentionAfterReload = 30 * time.Second

// pool holds what outlives a configuration: open stores, counts, verified keys.
// It lives as long as the process. A reload provisions the new configuration
// before it cleans the old one up, so that what both use is never let go of.
var pool = caddy.NewUsagePool()

// poolKey names a pooled value by what it is, never by how it is configured:
// limits and tiers are parameters of each call. It holds no secret.
type poolKey struct {
	kind string
	name string
}

// acquire returns the pooled value of the key, made if nobody holds one. The
// releaser gives it back, once; later calls of it do nothing.
func acquire[T caddy.Destructor](key poolKey, construct func() (T, error)) (T, releaser, error) {
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

// pooled returns the value of the key, if somebody holds one.
func pooled[T any](key poolKey) (found T, ok bool) {
	pool.Range(func(k, v any) bool {
		if k == key {
			found, ok = v.(T)
			return false
		}
		return true
	})
	return found, ok
}

// each calls f for every pooled value of one type.
func each[T any](f func(T)) {
	pool.Range(func(_, v any) bool {
		if value, ok := v.(T); ok {
			f(value)
		}
		return true
	})
}

// closeLater closes something that requests of an old configuration may still
// use: at once if the process ends, after a while else.
func closeLater(c io.Closer) {
	if caddy.Exiting() {
		_ = c.Close()
		return
	}
	time.AfterFunc(retentionAfterReload, func() { _ = c.Close() })
}

// poolLog is the logger of pooled values. They outlive the configuration whose
// logger they could keep, so they ask for the current one each time.
func poolLog(name string) *zap.Logger { return caddy.Log().Named("gateway." + name) }
