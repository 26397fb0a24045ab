package gateway

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/ainative/portcullis/plugins/auth/apikey"
	"github.com/ainative/portcullis/plugins/store"
)

// attach adds a cache, to be invalidated when keys change.
func (r *sharedStore) attach(cache *apikey.Scheme) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.caches[cache] = struct{}{}
}

func (r *sharedStore) detach(cache *apikey.Scheme) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, attached := r.caches[cache]; attached {
		delete(r.caches, cache)
		r.endedStats = addCounts(r.endedStats, cache.Stats())
	}
}

// cacheStats has the counters of all configurations so far, and the sizes of the live
// caches.
func (r *sharedStore) cacheStats() apikey.Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	sum := r.endedStats
	for cache := range r.caches {
		stats := cache.Stats()
		sum = addCounts(sum, stats)
		sum.Entries += stats.Entries
		sum.Unknown += stats.Unknown
	}
	return sum
}

// addCounts adds the counters of b to a.
func addCounts(a, b apikey.Stats) apikey.Stats {
	a.Hits, a.Lookups, a.Stale = a.Hits+b.Hits, a.Lookups+b.Lookups, a.Stale+b.Stale
	return a
}

// recheck marks every cached key as suspect, because another process may have changed it.
// A suspect key answers no request until it has been read again, which begins at once.
func (r *sharedStore) recheck() {
	for _, cache := range r.liveCaches() {
		cache.Suspect()
	}
	select {
	case r.recheckDue <- struct{}{}:
	default: // a recheck is due already
	}
}

func (r *sharedStore) liveCaches() []*apikey.Scheme {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Keys(r.caches))
}

// confirmAgain is how long after a failure suspect keys are read again.
const confirmAgain = time.Second

// confirmKeys reads suspect keys again until ctx ends. If the store fails soon after a
// change, the keys that were confirmed can still be answered from the cache.
func (r *sharedStore) confirmKeys(ctx context.Context, s store.Store) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.recheckDue:
		}
		for r.confirmCaches(ctx, s) != nil {
			select {
			case <-ctx.Done():
				return
			case <-time.After(confirmAgain):
			}
		}
	}
}

func (r *sharedStore) confirmCaches(ctx context.Context, s store.Store) error {
	var errs []error
	for _, cache := range r.liveCaches() {
		errs = append(errs, cache.Confirm(ctx, s.KeysByHash))
	}
	return errors.Join(errs...)
}

// invalidate removes keys from the caches, so that a change holds for requests that begin
// after it returns.
func (r *sharedStore) invalidate(ids ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for cache := range r.caches {
		cache.Invalidate(ids...)
	}
}
