package gateway

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/ainative/portcullis/caddymodule/internal/pool"
	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/auth/apikey"
	"github.com/ainative/portcullis/plugins/auth/revocation"
	"github.com/ainative/portcullis/plugins/ratelimit/durable"
	"github.com/ainative/portcullis/plugins/store"
)

// StoreProvider is a module in the namespace `gateway.stores`: it opens the store of API
// keys, revocations and the audit trail.
type StoreProvider interface {
	// Open opens the store. Its error names the place and says what to do.
	Open(ctx context.Context) (store.Store, error)
	// Name is the place of the store for people, without secrets.
	Name() string
	// Identity identifies the store, without secrets: configurations with the same identity
	// share one open store.
	Identity() string
	// PepperPath is the file for a pepper that is not configured; empty if the pepper must
	// be configured.
	PepperPath() string
}

// sharedStore is a store with its caches, shared by every configuration that names the
// same store. The first configuration that starts opens it, or the first request if that
// is earlier: apps start in no particular order.
type sharedStore struct {
	provider StoreProvider

	// revoked is the set of revocations, complete once the store is open.
	revoked *revocation.Set

	mu     sync.Mutex
	opened atomic.Pointer[openStore]
	closed bool
	// caches are the key caches of live configurations. endedStats are the sums of those of
	// earlier ones, so that no counter goes back.
	caches     map[*apikey.Scheme]struct{}
	endedStats apikey.Stats
	// owners are the owners' limits in the store; ownersTurn orders the reads.
	owners     atomic.Pointer[storedOwners]
	ownersTurn sync.Mutex

	// counts keeps the counts of rate limits that outlive the process.
	counts durable.Keeper
	// recheckDue, with room for one value, says that cached keys must be read again.
	recheckDue chan struct{}
	// undecided says that a request could not be decided since the store last answered.
	undecided atomic.Bool
}

// openStore is the part of a sharedStore that exists once the store is open.
type openStore struct {
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
	// lastUsedBound is how many keys' uses are collected between two writes.
	lastUsedBound = 100_000
	// maxStaleRevocations is how long tokens are accepted while the store does not answer.
	// After that they get 503.
	maxStaleRevocations = time.Minute
)

// acquireStore acquires the store from the pool, without opening it.
func acquireStore(provider StoreProvider) (*sharedStore, pool.Release, error) {
	return pool.Acquire(pool.Key{Kind: "store", Name: provider.Identity()}, func() (*sharedStore, error) {
		r := &sharedStore{provider: provider, revoked: revocation.NewSet(), caches: map[*apikey.Scheme]struct{}{}, recheckDue: make(chan struct{}, 1)}
		r.counts.Failed = func(zone string, err error) {
			pool.Log("store").Error("writing the counts of limits", zap.String("zone", zone), zap.Error(err))
		}
		return r, nil
	})
}

// errStoreClosed is the error for a request of a configuration that ended long ago.
var errStoreClosed = errors.New("the store has been closed")

// open opens the store, unless it is open.
func (r *sharedStore) open(ctx context.Context) (*openStore, error) {
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

// follow starts the goroutines that keep the caches and the set of revocations up to date.
// It returns when the set is complete: with an incomplete set, revoked tokens would be
// accepted.
func (r *sharedStore) follow(ctx context.Context, opened store.Store) (*openStore, error) {
	poller, err := revocation.NewPoller(revocation.PollerConfig{
		Set:     r.revoked,
		Source:  polledStore{opened, r},
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
	o := &openStore{store: opened, poller: poller, lastUsed: apikey.NewLastUsed(lastUsedBound, opened.TouchKeys)}
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

// polledStore is the store as the poller reads it. Whenever the version of the store
// changes, it reads the revocations and also the owners' limits.
type polledStore struct {
	store.Store
	shared *sharedStore
}

// Version implements revocation.Source.
func (f polledStore) Version(ctx context.Context) (uint64, error) {
	version, err := f.Store.Version(ctx)
	if err == nil {
		f.shared.undecided.Store(false)
	}
	return version, err
}

// Revocations implements revocation.Source.
func (f polledStore) Revocations(ctx context.Context, now time.Time) ([]plugins.Revocation, error) {
	if err := f.shared.loadOwners(ctx, f.Store); err != nil {
		return nil, fmt.Errorf("loading the limits of owners: %w", err)
	}
	return f.Store.Revocations(ctx, now)
}

// revocationsStale returns an error if the set of revocations is too old to be trusted.
func (o *openStore) revocationsStale() error {
	if age, ok := o.poller.Stale(); !ok || age > maxStaleRevocations {
		return fmt.Errorf("the revocations are %s old, %s at most are trusted", age.Round(time.Second), maxStaleRevocations)
	}
	return nil
}

// KeyByHash implements apikey.Lookup.
func (r *sharedStore) KeyByHash(ctx context.Context, hash []byte) (plugins.APIKey, error) {
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
func (r *sharedStore) Touch(id string, at time.Time) {
	if o := r.opened.Load(); o != nil {
		o.lastUsed.Touch(id, at)
	}
}

// Destruct closes the store once requests of old configurations are done.
func (r *sharedStore) Destruct() error {
	pool.CloseLater(r)
	return nil
}

// Close stops the goroutines, writes what is pending and closes the store.
func (r *sharedStore) Close() error {
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
