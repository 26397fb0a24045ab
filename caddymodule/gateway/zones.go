package gateway

import (
	"context"
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2"

	"github.com/ainative/portcullis/caddymodule/internal/pool"
	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/ratelimit"
	"github.com/ainative/portcullis/plugins/ratelimit/durable"
	"github.com/ainative/portcullis/plugins/ratelimit/gcra"
)

// Zone has the counts of one zone.
type Zone struct {
	Limiter  ratelimit.Limiter
	InFlight *ratelimit.InFlight
	// durable says that counts of long periods are written to the store.
	durable bool
}

// maxInFlight is how many callers of a zone may have requests in flight.
const maxInFlight = 1 << 20

// AcquireZone acquires the counts of a zone. Those that can be kept in the store are read
// from it and written to it.
func (a *App) AcquireZone(ctx caddy.Context, name string) (_ Zone, _ pool.Release, err error) {
	var acquired pool.Held
	defer func() {
		if err != nil {
			acquired.Release()
			err = fmt.Errorf("making the counts of zone %s: %w", name, err)
		}
	}()
	limiter, releaseLimiter, err := a.limiters.Zone(name)
	if err != nil {
		return Zone{}, nil, err
	}
	acquired = append(acquired, releaseLimiter)
	// Each node has its own: what is in flight ends with the node.
	inFlight, releaseInFlight := pool.AcquirePlain(pool.Key{Kind: "in flight", Name: name}, func() *ratelimit.InFlight {
		return ratelimit.NewInFlight(maxInFlight)
	})
	acquired = append(acquired, releaseInFlight)
	counts, isDurable := limiter.(durable.Counts)
	if isDurable {
		stop, err := a.shared.counts.Keep(ctx, name, counts)
		if err != nil {
			return Zone{}, nil, err
		}
		acquired = append(acquired, stop)
	}
	return Zone{limiter, inFlight, isDurable}, acquired.Release, nil
}

// RestoreCounts makes sure that the counts of long periods were read from the store. For
// an authenticated caller the store is open already; for others this may open it.
func (a *App) RestoreCounts(ctx context.Context, z *Zone, limits []ratelimit.Limit) error {
	if a.shared.opened.Load() != nil || !z.durable || !durable.Needed(limits) {
		return nil
	}
	if _, err := a.shared.open(ctx); err != nil && !errors.Is(err, errStoreClosed) {
		return &plugins.Unavailable{Reason: plugins.ReasonLimiterUnavailable, Err: err}
	}
	return nil
}

// memoryZone is a pooled zone in memory.
type memoryZone struct{ limiter *gcra.Limiter }

// Destruct stops the sweeper. Requests in flight can still count.
func (z *memoryZone) Destruct() error { return z.limiter.Close() }

// AcquireMemory acquires the limiter of a zone in memory. maxKeys bounds its counts, 0 for
// the default; the first call sets it.
func AcquireMemory(name string, maxKeys int) (ratelimit.Limiter, pool.Release, error) {
	if maxKeys == 0 {
		maxKeys = gcra.DefaultMaxKeys
	}
	z, release, err := pool.Acquire(pool.Key{Kind: "zone", Name: name}, func() (*memoryZone, error) {
		return &memoryZone{gcra.New(gcra.Options{MaxKeys: maxKeys})}, nil
	})
	if err != nil {
		return nil, nil, err
	}
	return z.limiter, release, nil
}

// memoryStats adds up the counts of all zones in memory.
func memoryStats() (sum gcra.Stats) {
	pool.Each(func(z *memoryZone) {
		stats := z.limiter.Stats()
		sum.Keys, sum.Evicted, sum.EvictedOverLimit = sum.Keys+stats.Keys, sum.Evicted+stats.Evicted, sum.EvictedOverLimit+stats.EvictedOverLimit
	})
	return sum
}
