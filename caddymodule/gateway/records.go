package gateway

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ainative/portcullis/caddymodule/internal/pool"
	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/auth/apikey"
	"github.com/ainative/portcullis/plugins/auth/revocation"
	"github.com/ainative/portcullis/plugins/ratelimit/durable"
	"github.com/ainative/portcullis/plugins/store"
	"go.uber.org/zap"
)

// records is an open store and what follows it, shared by every configuration
// that names the same store. It is opened by the first configuration that
// starts, or by the first request, whichever comes first: apps start in no
// particular order.
type records struct {
	provider StoreProvider

	// revoked is the set of revocations, complete once the store is open.
	revoked *revocation.Set

	mu     sync.Mutex
	opened atomic.Pointer[openRecords]
	closed bool
	// caches are those of live configurations; they forget what changed. ended is
	// what those of earlier ones counted, so that no count goes back.
	caches map[*apikey.Scheme]struct{}
	// owners is what the store has of owners' limits; ownersTurn orders the reads.
	owners     atomic.Pointer[ownerSet]
	ownersTurn sync.Mutex
	ended      apikey.Stats

	// counts are those of rate limits that outlive the process.
	counts durable.Keeper
	// doubted has room for one: cached keys have to be read again.
	doubted chan struct{}
	// undecided says that a request was left undecided because the store could not be
	// asked, since that last answered.
	undecided atomic.Bool
}

// openRecords is what there is once the store is open.
type openRecords struct {
	store    store.Store
	poller   *revocation.Poller
	lastUsed *apikey.LastUsed
	counts   keyCounts
	stop     context.CancelFunc
	done     sync.WaitGroup
}

const (
	// lastUsedEvery is how often the last uses of keys are written.
	lastUsedEvery = 5 * time.Second
	// lastUsedBound is how many keys' uses are gathered between two writes.
	lastUsedBound = 100_000
	// maxStaleRevocations is how long tokens are taken while the store can't be
	// asked what was revoked since. Past it the gateway can't tell, and says so.
	maxStaleRevocations = time.Minute
)

// acquireRecords takes the store from the pool, without opening it.
func acquireRecords(provider StoreProvider) (*records, pool.Release, error) {
	return pool.Acquire(pool.Key{Kind: "store", Name: provider.Identity()}, func() (*records, error) {
		r := &records{provider: provider, revoked: revocation.NewSet(), caches: map[*apikey.Scheme]struct{}{}, doubted: make(chan struct{}, 1)}
		r.counts.Failed = func(zone string, err error) {
			pool.Log("store").Error("writing the counts of limits", zap.String("zone", zone), zap.Error(err))
		}
		return r, nil
	})
}

// errStoreClosed is what a request of a configuration that ended long ago gets.
var errStoreClosed = errors.New("the store has been closed")

// open opens the store if it is not open.
func (r *records) open(ctx context.Context) (*openRecords, error) {
	if o := r.opened.Load(); o != nil {
		return o, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if o := r.opened.Load(); o != nil {
		return o, nil
	}
	if r.closed {
		return nil, errStoreClosed
	}
	opened, err := r.provider.Open(ctx)
	if err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	o, err := r.follow(ctx, opened)
	if err != nil {
		_ = opened.Close()
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	r.opened.Store(o)
	return o, nil
}

// follow starts what keeps the caches and the set of revocations like the store.
// It returns when the set is complete: a start without it would let revoked
// tokens in.
func (r *records) follow(ctx context.Context, opened store.Store) (*openRecords, error) {
	poller, err := revocation.NewPoller(revocation.PollerConfig{
		Set:     r.revoked,
		Source:  followed{opened, r},
		Changed: r.recheck,
		Failed: func(err error) {
			pool.Log("store").Warn("asking the store for changes", zap.Error(err))
		},
	})
	if err != nil {
		return nil, err
	}
	if err := poller.Poll(ctx); err != nil {
		return nil, err
	}
	if err := r.counts.Open(ctx, countStore{opened}); err != nil {
		return nil, err
	}
	o := &openRecords{store: opened, poller: poller, lastUsed: apikey.NewLastUsed(lastUsedBound, opened.TouchKeys)}
	background, stop := context.WithCancel(context.Background())
	o.stop = stop
	o.done.Go(func() { poller.Run(background) })
	o.done.Go(func() { r.keepCounts(background) })
	o.done.Go(func() { r.confirmKeys(background, opened) })
	o.done.Go(func() { keepSwept(background, opened) })
	o.done.Go(func() {
		o.lastUsed.Run(background, lastUsedEvery, func(err error) {
			pool.Log("store").Warn("writing the last uses of API keys", zap.Error(err))
		})
	})
	return o, nil
}

// followed is what the poller reads whenever the version of the store changes:
// the revocations, and along with them the limits of owners.
type followed struct {
	store.Store
	records *records
}

// Version implements revocation.Source.
func (f followed) Version(ctx context.Context) (uint64, error) {
	version, err := f.Store.Version(ctx)
	if err == nil {
		f.records.undecided.Store(false)
	}
	return version, err
}

// Revocations implements revocation.Source.
func (f followed) Revocations(ctx context.Context, now time.Time) ([]plugins.Revocation, error) {
	if err := f.records.loadOwners(ctx, f.Store); err != nil {
		return nil, fmt.Errorf("loading the limits of owners: %w", err)
	}
	return f.Store.Revocations(ctx, now)
}

// attach adds a cache that must forget what changes.
func (r *records) attach(cache *apikey.Scheme) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.caches[cache] = struct{}{}
}

func (r *records) detach(cache *apikey.Scheme) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, attached := r.caches[cache]; attached {
		delete(r.caches, cache)
		r.ended = addCounts(r.ended, cache.Stats())
	}
}

// cacheStats are the counts of all configurations so far, and the sizes of the
// caches of those that live.
func (r *records) cacheStats() apikey.Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	sum := r.ended
	for cache := range r.caches {
		stats := cache.Stats()
		sum = addCounts(sum, stats)
		sum.Entries += stats.Entries
		sum.Unknown += stats.Unknown
	}
	return sum
}

// addCounts adds up what only grows.
func addCounts(a, b apikey.Stats) apikey.Stats {
	a.Hits, a.Lookups, a.Stale = a.Hits+b.Hits, a.Lookups+b.Lookups, a.Stale+b.Stale
	return a
}

// recheck makes every cached key doubtful, because another process may have changed
// it: it answers no request until it has been read again, which begins at once.
func (r *records) recheck() {
	for _, cache := range r.liveCaches() {
		cache.Suspect()
	}
	select {
	case r.doubted <- struct{}{}:
	default: // they will be read after this
	}
}

func (r *records) liveCaches() []*apikey.Scheme {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Keys(r.caches))
}

// confirmAgain is how long after a failure doubtful keys are read again.
const confirmAgain = time.Second

// confirmKeys reads doubtful keys again until ctx ends. Where the store dies soon
// after a change, those that were in use are still there to answer from.
func (r *records) confirmKeys(ctx context.Context, s store.Store) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.doubted:
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

func (r *records) confirmCaches(ctx context.Context, s store.Store) error {
	var errs []error
	for _, cache := range r.liveCaches() {
		errs = append(errs, cache.Confirm(ctx, s.KeysByHash))
	}
	return errors.Join(errs...)
}

// invalidate makes a change to keys hold at once for requests that begin after
// it returns.
func (r *records) invalidate(ids ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for cache := range r.caches {
		cache.Invalidate(ids...)
	}
}

// revocationsStale is an error where the set of revocations can't be trusted any
// more, because the store could not be asked for too long.
func (o *openRecords) revocationsStale() error {
	if age, ok := o.poller.Stale(); !ok || age > maxStaleRevocations {
		return fmt.Errorf("the revocations are %s old, %s at most are trusted", age.Round(time.Second), maxStaleRevocations)
	}
	return nil
}

// KeyByHash implements apikey.Lookup.
func (r *records) KeyByHash(ctx context.Context, hash []byte) (plugins.APIKey, error) {
	o, err := r.open(ctx)
	if err != nil {
		return plugins.APIKey{}, err
	}
	key, err := o.store.KeyByHash(ctx, hash)
	if errors.Is(err, store.ErrNotFound) {
		return plugins.APIKey{}, apikey.ErrUnknown
	}
	return key, err
}

// Touch implements apikey.Toucher.
func (r *records) Touch(id string, at time.Time) {
	if o := r.opened.Load(); o != nil {
		o.lastUsed.Touch(id, at)
	}
}

// Destruct closes the store, after the last writes.
func (r *records) Destruct() error {
	pool.CloseLater(r)
	return nil
}

// Close stops what follows the store and closes it.
func (r *records) Close() error {
	r.mu.Lock()
	r.closed = true
	o := r.opened.Swap(nil)
	r.mu.Unlock()
	if o == nil {
		return nil
	}
	o.stop()
	o.done.Wait()
	return errors.Join(r.counts.Close(context.Background()), o.store.Close())
}
