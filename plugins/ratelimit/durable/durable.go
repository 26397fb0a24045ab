// Package durable keeps counts of rate limits that are in memory in a store too, so
// that those of long periods outlive the process.
//
// Each process counts for itself. The store merges what several of them write by
// whichever has used more, so that a restart gives nobody anything back.
package durable

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/ratelimit"
)

const (
	// MinPeriod is the shortest period whose counts outlive the process. A restart
	// forgives one burst of a shorter one, which would come back by itself soon.
	MinPeriod = time.Hour
	// SaveEvery is how often Run writes counts: where the process is killed, what was
	// used since the last write is lost.
	SaveEvery = 2 * time.Second

	// savedAtOnce bounds what is gathered for one write.
	savedAtOnce = 4096
)

// Counts is a limiter whose counts can be written down.
type Counts interface {
	ratelimit.Limiter
	// Export yields the counts of periods of minPeriod or more as of wall, the time of
	// now, with onlyChanged those that changed since they were last exported.
	Export(minPeriod time.Duration, onlyChanged bool, wall time.Time) iter.Seq[ratelimit.Saved]
	// Import takes counts in and never lowers what a caller has used.
	Import(saved iter.Seq[ratelimit.Saved], wall time.Time) int
}

// Store is where counts are written down.
type Store interface {
	// SaveCounts merges counts into those that are kept.
	SaveCounts(ctx context.Context, zone string, counts []ratelimit.Saved) error
	// Counts calls each for every count of a zone that is not full at now, until it
	// returns an error.
	Counts(ctx context.Context, zone string, now time.Time, each func(ratelimit.Saved) error) error
	// DeleteCounts forgets every count of a key in a zone.
	DeleteCounts(ctx context.Context, zone string, key ratelimit.Key) error
}

// Keeper makes the counts of zones follow a store. It is safe for concurrent use.
type Keeper struct {
	// Failed hears of a write that failed and that nobody waits for.
	Failed func(zone string, err error)
	// Clock is the wall clock by which counts are written down and taken in; the real
	// one unless given.
	Clock plugins.Clock

	mu    sync.Mutex
	zones map[string]*zone
	// store is nil while it is not open.
	store Store
}

// zone is one whose counts are kept.
type zone struct {
	name    string
	clock   plugins.Clock
	counts  Counts
	holders int

	// turn is held while counts are on their way to the store: a count that is reset
	// meanwhile must not arrive there afterwards.
	turn sync.Mutex
	// all says that the next write is of all counts, not only of changed ones.
	all bool
}

// storedName is the name of a zone in the store, which takes text. No zone of a
// configuration has a space in it.
func storedName(name string) string { return strings.ReplaceAll(name, "\x00", " ") }

// Needed reports whether one of the limits is long enough to be kept.
func Needed(limits []ratelimit.Limit) bool {
	return slices.ContainsFunc(limits, func(l ratelimit.Limit) bool { return l.Period >= MinPeriod })
}

// Keep makes the counts of a zone follow the store until release is called. Counts
// that were kept are taken in when it returns, or by Open.
func (k *Keeper) Keep(ctx context.Context, name string, counts Counts) (release func(), err error) {
	name = storedName(name)
	k.mu.Lock()
	if k.zones == nil {
		k.zones = map[string]*zone{}
	}
	z := k.zones[name]
	fresh := z == nil || z.counts != counts
	if fresh {
		z = &zone{name: name, clock: k.Clock, counts: counts, all: true}
		if z.clock == nil {
			z.clock = time.Now
		}
		k.zones[name] = z
	}
	z.holders++
	s := k.store
	k.mu.Unlock()
	if fresh && s != nil {
		if err := z.restore(ctx, s); err != nil {
			k.release(z)
			return nil, err
		}
	}
	return func() { k.release(z) }, nil
}

// release lets go of a zone. The last holder writes what has not been written.
func (k *Keeper) release(z *zone) {
	k.mu.Lock()
	z.holders--
	last := z.holders == 0
	if last && k.zones[z.name] == z {
		delete(k.zones, z.name)
	}
	s := k.store
	k.mu.Unlock()
	if !last || s == nil {
		return
	}
	if err := z.save(context.Background(), s); err != nil && k.Failed != nil {
		k.Failed(z.name, err)
	}
}

// Open takes in the counts of every zone and follows the store from then on.
func (k *Keeper) Open(ctx context.Context, s Store) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, z := range k.zones {
		if err := z.restore(ctx, s); err != nil {
			return err
		}
	}
	k.store = s
	return nil
}

// Close writes the counts of every zone and follows the store no longer.
func (k *Keeper) Close(ctx context.Context) error {
	err := k.Save(ctx)
	k.mu.Lock()
	k.store = nil
	k.mu.Unlock()
	return err
}

// Save writes the counts of every zone that have changed.
func (k *Keeper) Save(ctx context.Context) error {
	k.mu.Lock()
	s := k.store
	zones := make([]*zone, 0, len(k.zones))
	for _, z := range k.zones {
		zones = append(zones, z)
	}
	k.mu.Unlock()
	if s == nil {
		return nil
	}
	var errs []error
	for _, z := range zones {
		errs = append(errs, z.save(ctx, s))
	}
	return errors.Join(errs...)
}

// Run saves every SaveEvery until ctx ends, and tells failed of each failure.
func (k *Keeper) Run(ctx context.Context, failed func(error)) {
	ticker := time.NewTicker(SaveEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := k.Save(ctx); err != nil && ctx.Err() == nil {
			failed(err)
		}
	}
}

// Reset forgets the counts of a key in a zone, in the limiter and in the store.
func (k *Keeper) Reset(ctx context.Context, name string, limiter ratelimit.Limiter, key ratelimit.Key, limits []ratelimit.Limit) error {
	k.mu.Lock()
	z, s := k.zones[storedName(name)], k.store
	k.mu.Unlock()
	if z == nil || s == nil || ratelimit.Limiter(z.counts) != limiter {
		return limiter.Reset(ctx, key, limits)
	}
	z.turn.Lock()
	defer z.turn.Unlock()
	if err := limiter.Reset(ctx, key, limits); err != nil {
		return err
	}
	return s.DeleteCounts(ctx, z.name, key)
}

// errFull ends a restore for which the limiter has no room.
var errFull = errors.New("no room for more")

// restore takes in what the store has.
func (z *zone) restore(ctx context.Context, s Store) error {
	now := z.clock()
	var failed error
	// Import pulls one count after the other out of the store.
	z.counts.Import(func(yield func(ratelimit.Saved) bool) {
		err := s.Counts(ctx, z.name, now, func(saved ratelimit.Saved) error {
			if !yield(saved) {
				return errFull
			}
			return nil
		})
		if err != nil && !errors.Is(err, errFull) {
			failed = err
		}
	}, now)
	if failed != nil {
		return fmt.Errorf("taking in the counts of zone %s: %w", z.name, failed)
	}
	return nil
}

// save writes what has changed.
func (z *zone) save(ctx context.Context, s Store) error {
	z.turn.Lock()
	defer z.turn.Unlock()
	all := z.all
	z.all = false
	var batch []ratelimit.Saved
	var failed error
	write := func() bool {
		if len(batch) != 0 && failed == nil {
			failed = s.SaveCounts(ctx, z.name, batch)
			batch = batch[:0]
		}
		return failed == nil
	}
	for saved := range z.counts.Export(MinPeriod, !all, z.clock()) {
		batch = append(batch, roundUp(saved))
		if len(batch) >= savedAtOnce && !write() {
			break
		}
	}
	if !write() {
		// Export has cleared the marks of what changed, so that the next write must be of
		// everything.
		z.all = true
		return failed
	}
	return nil
}

// roundUp makes times whole microseconds, which a store keeps: never in the
// caller's favour.
func roundUp(s ratelimit.Saved) ratelimit.Saved {
	up := func(t time.Time) time.Time { return t.Add(time.Microsecond - 1).Truncate(time.Microsecond) }
	s.Full = up(s.Full)
	events := make([]ratelimit.SavedEvents, 0, len(s.Events))
	for _, e := range s.Events {
		events = append(events, ratelimit.SavedEvents{At: up(e.At), N: e.N})
	}
	s.Events = events
	return s
}
