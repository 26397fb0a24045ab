package redisgcra_test

import (
	"sync"
	"testing"

	"github.com/ainative/portcullis/plugins/ratelimit"
	"github.com/ainative/portcullis/plugins/ratelimit/redisgcra"
)

// Units that are given back at once come back exactly, in every mode, also while
// charges on credit are on their way: by 16 callers of one key who charge and give
// back nothing is lost and nothing gained.
func TestRefundsAreExact(t *testing.T) {
	for name, o := range map[string]redisgcra.Options{
		"redis_rate": {Engine: redisgcra.EngineRedisRate},
		"native":     {Engine: redisgcra.EngineNative},
		"bounded":    {Engine: redisgcra.EngineNative, Mode: redisgcra.ModeBounded, Nodes: 1, Error: 0.5},
		"leases":     {Engine: redisgcra.EngineNative, Mode: redisgcra.ModeBounded, Nodes: 1, Error: -1},
	} {
		t.Run(name, func(t *testing.T) {
			s := startServer(t)
			l := newLimiter(t, o, s.url())
			for round, limits := range [][]ratelimit.Limit{
				{ratelimit.MustParseLimit("1000/1d")},
				{ratelimit.MustParseLimit("1000/1d"), ratelimit.MustParseLimit("5000/30d")},
				{ratelimit.MustParseLimit("1000/1d window strict")},
			} {
				key := owner(round)
				var all sync.WaitGroup
				for range 16 {
					all.Go(func() {
						for n := range 20 {
							d, err := l.Take(t.Context(), key, limits, 1, nil)
							if err != nil || !d.Allowed {
								t.Errorf("got %+v, %v, want it to pass", d, err)
								return
							}
							if n%2 == 0 {
								continue
							}
							if _, err := l.Adjust(t.Context(), key, limits, -1, nil); err != nil {
								t.Error(err)
							}
						}
					})
				}
				all.Wait()
				left := func() int64 {
					d, err := l.Take(t.Context(), key, limits, 0, nil)
					if err != nil {
						t.Fatal(err)
					}
					return d.Rows[0].Remaining
				}
				if o.Mode == redisgcra.ModeBounded {
					// What is given back while a charge is on its way comes with the next, and a
					// lease that is not spent within a second later.
					s.awaitThat("giving back", func() bool { return left() >= 1000-160 })
				}
				if got := left(); got != 1000-160 {
					t.Errorf("%d are left of 1000 after 320 charges and 160 refunds, want 840 of %s", got, limits[0])
				}
			}
		})
	}
}
