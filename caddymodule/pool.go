package caddymodule

import (
	"fmt"
	"io"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/ainative/portcullis/plugins/ratelimit"
	"github.com/ainative/portcullis/plugins/ratelimit/gcra"
)

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

// closeLater closes something that requests of an old configuration may still
// use: at once if the process ends, after a while else.
func closeLater(c io.Closer) {
	if caddy.Exiting() {
		_ = c.Close()
		return
	}
	time.AfterFunc(retentionAfterReload, func() { _ = c.Close() })
}

// zone is where the requests of one zone are counted.
type zone struct {
	limiter  ratelimit.Limiter
	inFlight *ratelimit.InFlight
}

// memoryZone is a pooled zone in memory.
type memoryZone struct {
	zone
	limiter *gcra.Limiter
}

// Destruct stops the sweeper. Requests under way can go on counting.
func (z *memoryZone) Destruct() error { return z.limiter.Close() }

// maxInFlight bounds the callers of a zone that have something under way.
const maxInFlight = 1 << 20

// acquireZone returns the counts of a zone in memory. maxKeys holds for the first
// who asks: the counts are worth more than a changed bound.
func acquireZone(name string, maxKeys int) (zone, releaser, error) {
	z, release, err := acquire(poolKey{"zone", name}, func() (*memoryZone, error) {
		limiter := gcra.New(gcra.Options{MaxKeys: maxKeys})
		return &memoryZone{zone: zone{limiter, ratelimit.NewInFlight(maxInFlight)}, limiter: limiter}, nil
	})
	if err != nil {
		return zone{}, nil, fmt.Errorf("making the counts of zone %s: %w", name, err)
	}
	return z.zone, release, nil
}

// acquireMemory returns a limiter in memory for the gateway's own counts.
func acquireMemory(name string) (ratelimit.Limiter, releaser, error) {
	z, release, err := acquireZone(name, gcra.DefaultMaxKeys)
	return z.limiter, release, err
}

// gatewayApp returns the app, an unconfigured one where there is no global
// gateway block.
func gatewayApp(ctx caddy.Context) (*App, error) {
	loaded, err := ctx.App("gateway")
	if err != nil {
		return nil, err
	}
	app, ok := loaded.(*App)
	if !ok {
		return nil, fmt.Errorf("the app named gateway is a %T", loaded)
	}
	return app, nil
}

// poolLog is the logger of pooled values. They outlive the configuration whose
// logger they could keep, so they ask for the current one each time.
func poolLog(name string) *zap.Logger { return caddy.Log().Named("gateway." + name) }
