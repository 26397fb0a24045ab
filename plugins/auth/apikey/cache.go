package apikey

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
)

// CacheConfig bounds the look-up cache. Zero fields take the defaults.
type CacheConfig struct {
	// TTL is how long a record is served without asking again. Default, and at
	// most: 30s.
	TTL time.Duration
	// NegativeTTL is how long an unknown key stays unknown without asking again.
	// Default, and at most: 10s.
	NegativeTTL time.Duration
	// StaleTTL is how old a record may be to be served while the store fails.
	// Default: 5m.
	StaleTTL time.Duration
	// Size and NegativeSize bound the records and the unknown keys. They are
	// apart, so that garbage can't push out good keys. Default: 100,000 and 10,000.
	Size, NegativeSize int
	// Timeout bounds one look-up. Default: 1s.
	Timeout time.Duration
}

const (
	maxTTL         = 30 * time.Second
	maxNegativeTTL = 10 * time.Second
	// retryPause is how long a record that could not be read again is served before
	// the store is asked anew, so that a hanging store does not slow every request.
	retryPause = time.Second
)

func (c CacheConfig) withDefaults() CacheConfig {
	if c.TTL <= 0 {
		c.TTL = maxTTL
	}
	if c.NegativeTTL <= 0 {
		c.NegativeTTL = maxNegativeTTL
	}
	c.TTL, c.NegativeTTL = min(c.TTL, maxTTL), min(c.NegativeTTL, maxNegativeTTL)
	if c.StaleTTL <= 0 {
		c.StaleTTL = 5 * time.Minute
	}
	if c.Size <= 0 {
		c.Size = 100_000
	}
	if c.NegativeSize <= 0 {
		c.NegativeSize = 10_000
	}
	if c.Timeout <= 0 {
		c.Timeout = time.Second
	}
	return c
}

// bounded is what the cache needs of the library below it: a concurrent map of at
// most so many entries, whose set is seen by the next get.
type bounded[V any] interface {
	get(Hash) (V, bool)
	set(Hash, V)
	delete(Hash)
	deleteFunc(func(V) bool)
	all() iter.Seq2[Hash, V]
	clear()
	size() int
}

// otterMap is a bounded on otter. Ages are checked by the cache itself: an entry
// past its TTL must stay readable in case the store fails, and otter's own expiry
// would cost a goroutine.
type otterMap[V any] struct{ m *otter.Cache[Hash, V] }

// newOtterMap takes a size of 1 or more; nothing else could be wrong.
func newOtterMap[V any](size int) otterMap[V] {
	return otterMap[V]{otter.Must(&otter.Options[Hash, V]{MaximumSize: size})}
}

func (o otterMap[V]) get(h Hash) (V, bool) { return o.m.GetIfPresent(h) }
func (o otterMap[V]) set(h Hash, v V)      { o.m.Set(h, v) }
func (o otterMap[V]) delete(h Hash)        { o.m.Invalidate(h) }
func (o otterMap[V]) clear()               { o.m.InvalidateAll() }
func (o otterMap[V]) size() int            { return o.m.EstimatedSize() }

func (o otterMap[V]) all() iter.Seq2[Hash, V] { return o.m.All() }

func (o otterMap[V]) deleteFunc(drop func(V) bool) {
	for h, v := range o.m.All() {
		if drop(v) {
			o.m.Invalidate(h)
		}
	}
}

// cache keeps records by the hash of their key under the current pepper.
//
// Three rules make invalidation exact. What a look-up found is kept only if no
// invalidation happened since the look-up began. A request joins a look-up of
// another only if that began after the last invalidation. And a look-up that an
// invalidation overtook is done again.
//
// Another process may have changed any record: suspect then makes all of them
// suspects. No suspect is served, not even while the store fails, until a look-up or
// confirm has read it again.
type cache struct {
	config CacheConfig
	known  bounded[*entry]
	// unknown holds when the store said so, in Unix nanoseconds.
	unknown bounded[int64]
	// epoch grows with suspect; entries of an earlier one are suspects.
	epoch atomic.Uint64

	// mu guards the fields below and every write to known and unknown; reads of
	// those need no lock.
	mu         sync.Mutex
	generation uint64
	flights    map[Hash]*flight

	hits, lookups, stale atomic.Uint64
}

// flight is a look-up under way, which other requests for the same key join.
type flight struct {
	generation uint64
	// asked is when the look-up began, in Unix nanoseconds: its result counts from then.
	asked int64
	done  chan struct{}
	// set before done is closed; entry is nil for an unknown key.
	entry *entry
	err   error
}

var errLookupPanicked = errors.New("looking up an API key: the look-up panicked")

func newCache(config CacheConfig) *cache {
	config = config.withDefaults()
	return &cache{
		config:  config,
		known:   newOtterMap[*entry](config.Size),
		unknown: newOtterMap[int64](config.NegativeSize),
		flights: make(map[Hash]*flight),
	}
}

// younger reports whether the time at is less than bound ago. A negative age means that
// the clock was set back, so the age is not known: as an unsigned number it is more than
// any bound.
func younger(at, now int64, bound time.Duration) bool { return uint64(now-at) < uint64(bound) }

// fresh returns an entry that needs no look-up, or found without an entry for a key
// that the store did not have a moment ago.
func (c *cache) fresh(h Hash, now int64) (e *entry, found bool) {
	if e, ok := c.trusted(h); ok {
		if younger(e.fetched, now, c.config.TTL) {
			return e, true
		}
		if younger(e.fetched, now, c.config.StaleTTL) && now < e.retryAt.Load() {
			c.stale.Add(1)
			return e, true
		}
		return nil, false
	}
	at, ok := c.unknown.get(h)
	return nil, ok && younger(at, now, c.config.NegativeTTL)
}

// trusted returns an entry that is no suspect.
func (c *cache) trusted(h Hash) (*entry, bool) {
	e, ok := c.known.get(h)
	return e, ok && e.epoch == c.epoch.Load()
}

// load looks the key up, together with the others that ask for it. No entry and
// no error means that the key is unknown. If the look-up fails, an entry that is
// not too old is served instead.
func (c *cache) load(ctx context.Context, h Hash, now int64, fetch func(context.Context) (*entry, error)) (*entry, error) {
	e, err := c.look(ctx, h, now, fetch)
	if err == nil {
		return e, nil
	}
	// Read again, not remembered from before: it may be invalidated since.
	if old, ok := c.trusted(h); ok && younger(old.fetched, now, c.config.StaleTTL) {
		old.retryAt.Store(now + int64(retryPause))
		c.stale.Add(1)
		return old, nil
	}
	return nil, err
}

func (c *cache) look(ctx context.Context, h Hash, now int64, fetch func(context.Context) (*entry, error)) (*entry, error) {
	// A request that three invalidations overtook began before them, so that what
	// it read is a right answer for it; it just must not be kept.
	const attempts = 4
	for attempt := 1; ; attempt++ {
		c.mu.Lock()
		if e, found := c.fresh(h, now); found {
			c.mu.Unlock()
			return e, nil
		}
		f := c.flights[h]
		lead := f == nil || f.generation != c.generation
		if lead {
			f = &flight{generation: c.generation, asked: now, done: make(chan struct{}), err: errLookupPanicked}
			c.flights[h] = f
		}
		c.mu.Unlock()

		if lead {
			c.fly(ctx, h, f, fetch)
		} else {
			select {
			case <-f.done:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		if f.err != nil || attempt == attempts || !c.overtaken(f) {
			return f.entry, f.err
		}
	}
}

func (c *cache) overtaken(f *flight) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return f.generation != c.generation
}

// fly does the look-up of f and lands it. The client of this request may go away,
// but others wait for the answer: only the time-out ends it.
func (c *cache) fly(ctx context.Context, h Hash, f *flight, fetch func(context.Context) (*entry, error)) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.config.Timeout)
	defer cancel()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.flights[h] == f {
			delete(c.flights, h)
		}
		if f.err == nil && f.generation == c.generation {
			if f.entry != nil {
				f.entry.epoch = c.epoch.Load()
				c.known.set(h, f.entry)
				c.unknown.delete(h)
			} else {
				c.known.delete(h)
				c.unknown.set(h, f.asked)
			}
		}
		close(f.done)
	}()
	c.lookups.Add(1)
	e, err := fetch(ctx)
	if e != nil {
		e.fetched = f.asked
	}
	f.entry, f.err = e, err
}

// invalidate forgets the records with these ids, and all unknown keys, so that it works
// for a new key too.
func (c *cache) invalidate(ids map[string]struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	c.unknown.clear()
	c.known.deleteFunc(func(e *entry) bool {
		_, ok := ids[e.principal.KeyID]
		return ok
	})
}

// suspect notes that any record may have changed.
func (c *cache) suspect() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	c.epoch.Add(1)
	c.unknown.clear()
}

const (
	// confirmAtOnce is how many records confirm reads with one question.
	confirmAtOnce = 500
	// confirmAttempts is how often it asks again where an invalidation overtook it.
	confirmAttempts = 4
)

// errOvertaken is the error of a confirm that invalidations kept overtaking.
var errOvertaken = errors.New("reading suspected API keys again: other changes came in between")

// confirm reads the suspects again that were used within StaleTTL, and forgets the
// others. A record that is still suspected after an error is looked up when it is used.
func (c *cache) confirm(clock func() int64, read func([]*entry) ([]*entry, error)) error {
	epoch, now := c.epoch.Load(), clock()
	var suspects []suspect
	for h, e := range c.known.all() {
		if e.epoch == epoch {
			continue
		}
		if younger(e.seen.Load()*int64(time.Second), now, c.config.StaleTTL+time.Second) {
			suspects = append(suspects, suspect{h, e})
			continue
		}
		c.mu.Lock()
		if kept, ok := c.known.get(h); ok && kept == e {
			c.known.delete(h)
		}
		c.mu.Unlock()
	}
	for part := range slices.Chunk(suspects, confirmAtOnce) {
		if err := c.confirmPart(clock, part, read); err != nil {
			return err
		}
	}
	return nil
}

type suspect struct {
	under Hash
	entry *entry
}

func (c *cache) confirmPart(clock func() int64, part []suspect, read func([]*entry) ([]*entry, error)) error {
	old := make([]*entry, len(part))
	for i := range part {
		old[i] = part[i].entry
	}
	for range confirmAttempts {
		c.mu.Lock()
		generation := c.generation
		c.mu.Unlock()
		asked := clock()
		found, err := read(old)
		if err != nil {
			return err
		}
		if c.replace(part, found, asked, generation) {
			return nil
		}
	}
	return errOvertaken
}

// replace puts the records that were found in the place of suspects, unless an
// invalidation came in between. A nil record is gone.
func (c *cache) replace(part []suspect, found []*entry, asked int64, generation uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.generation != generation {
		return false
	}
	for i, s := range part {
		if kept, ok := c.known.get(s.under); !ok || kept != s.entry {
			continue // a look-up was faster
		}
		e := found[i]
		if e == nil {
			c.known.delete(s.under)
			continue
		}
		e.fetched, e.epoch = asked, c.epoch.Load()
		e.seen.Store(s.entry.seen.Load())
		e.used.Store(s.entry.used.Load())
		c.known.set(s.under, e)
	}
	return true
}

// purge forgets everything.
func (c *cache) purge() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	c.known.clear()
	c.unknown.clear()
}
