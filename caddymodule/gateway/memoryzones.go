package gateway

import (
	"github.com/ainative/portcullis/caddymodule/internal/pool"
	"github.com/ainative/portcullis/plugins/ratelimit"
	"github.com/ainative/portcullis/plugins/ratelimit/gcra"
)

// memoryZone is a pooled zone in memory.
type memoryZone struct{ limiter *gcra.Limiter }

// Destruct stops the sweeper. Requests under way can go on counting.
func (z *memoryZone) Destruct() error { return z.limiter.Close() }

// AcquireMemory returns a limiter in memory that counts a zone. maxKeys bounds its
// counts, 0 for the default; it holds for the first that asks.
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
