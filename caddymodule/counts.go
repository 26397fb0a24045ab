package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/ratelimit"
	"github.com/ainative/portcullis/plugins/ratelimit/gcra"
	"github.com/ainative/portcullis/plugins/store"
)

const (
	// keptPeriod is the shortest period whose counts outlive the process. A restart
	// forgives one burst of a shorter one, which it would bring back by itself soon.
	keptPeriod = time.Hour
	// keepEvery is how often counts are written: what was used since is lost where
	// the process is killed.
	keepEvery = 2 * time.Second
	// countsPerSave bounds what is gathered for one write.
	countsPerSave = 4096
)

// keptZone is a zone in memory whose counts of long periods are in the store too.
// Each process counts for itself: the store merges what several of them write by
// whichever has used more, so that a restart gives nobody anything back.
type keptZone struct {
	name    string
	limiter *gcra.Limiter
	holders int

	// turn is held while counts are on their way to the store, so that none that was
	// reset meanwhile arrives there after it.
	turn sync.Mutex
	// all says that the next write is of all counts, not only of changed ones.
	all bool
}

// keep makes the counts of a zone follow the store until the releaser is called.
// Counts that were kept are taken in when it returns, or once the store is open,
// before it decides about anybody.
func (r *records) keep(name string, limiter *gcra.Limiter) (releaser, error) {
	// A name in the store is text; no zone of a configuration has a space in it.
	name = strings.ReplaceAll(name, "\x00", " ")
	r.mu.Lock()
	z, known := r.zones[name]
	if !known || z.limiter != limiter {
		known = false
		z = &keptZone{name: name, limiter: limiter, all: true}
		r.zones[name] = z
	}
	z.holders++
	o := r.opened.Load()
	r.mu.Unlock()
	if !known && o != nil {
		if err := z.restore(context.Background(), o.store); err != nil {
			r.release(z)
			return nil, err
		}
	}
	return func() { r.release(z) }, nil
}

// release lets go of a zone, the last time with what has not been written.
func (r *records) release(z *keptZone) {
	r.mu.Lock()
	z.holders--
	last := z.holders == 0
	if last && r.zones[z.name] == z {
		delete(r.zones, z.name)
	}
	o := r.opened.Load()
	r.mu.Unlock()
	if !last || o == nil {
		return
	}
	if err := z.save(context.Background(), o.store); err != nil {
		poolLog("store").Error("writing the counts of limits", zap.String("zone", z.name), zap.Error(err))
	}
}

// restore takes in what the store has.
func (z *keptZone) restore(ctx context.Context, s store.Store) error {
	now := time.Now()
	// Import pulls one count after the other out of the store.
	var failed error
	z.limiter.Import(func(yield func(gcra.Saved) bool) {
		stop := errors.New("no room for more")
		err := s.Counts(ctx, z.name, now, func(c store.Count) error {
			if !yield(savedCount(c)) {
				return stop
			}
			return nil
		})
		if err != nil && !errors.Is(err, stop) {
			failed = err
		}
	}, now)
	if failed != nil {
		return fmt.Errorf("taking in the counts of zone %s: %w", z.name, failed)
	}
	return nil
}

// save writes what has changed.
func (z *keptZone) save(ctx context.Context, s store.Store) error {
	z.turn.Lock()
	defer z.turn.Unlock()
	all := z.all
	z.all = false
	var batch []store.Count
	var failed error
	write := func() bool {
		if len(batch) != 0 && failed == nil {
			failed = s.SaveCounts(ctx, batch)
			batch = batch[:0]
		}
		return failed == nil
	}
	for saved := range z.limiter.Export(keptPeriod, !all, time.Now()) {
		batch = append(batch, storedCount(z.name, saved))
		if len(batch) >= countsPerSave && !write() {
			break
		}
	}
	if !write() {
		// What was to be written counts as unchanged by now.
		z.all = true
		return failed
	}
	return nil
}

// reset forgets the counts of a key here and in the store.
func (z *keptZone) reset(ctx context.Context, s store.Store, key ratelimit.Key, limits []ratelimit.Limit) error {
	z.turn.Lock()
	defer z.turn.Unlock()
	if err := z.limiter.Reset(ctx, key, limits); err != nil {
		return err
	}
	return s.DeleteCounts(ctx, z.name, key)
}

// resetCount forgets the counts of a key in a zone, wherever they are.
func (r *records) resetCount(ctx context.Context, name string, limiter ratelimit.Limiter, key ratelimit.Key, limits []ratelimit.Limit) error {
	o, err := r.open(ctx)
	if err != nil {
		return err
	}
	r.mu.Lock()
	z := r.zones[name]
	r.mu.Unlock()
	if z == nil || ratelimit.Limiter(z.limiter) != limiter {
		return limiter.Reset(ctx, key, limits)
	}
	return z.reset(ctx, o.store, key, limits)
}

// restoreCounts takes in the counts of every zone, for a store that opens. The
// caller holds r.mu.
func (r *records) restoreCounts(ctx context.Context, s store.Store) error {
	for _, z := range r.zones {
		if err := z.restore(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// saveCounts writes the counts of every zone.
func (r *records) saveCounts(ctx context.Context, s store.Store) error {
	r.mu.Lock()
	zones := make([]*keptZone, 0, len(r.zones))
	for _, z := range r.zones {
		zones = append(zones, z)
	}
	r.mu.Unlock()
	var errs []error
	for _, z := range zones {
		errs = append(errs, z.save(ctx, s))
	}
	return errors.Join(errs...)
}

// keepCounts writes counts every few seconds until ctx ends.
func (r *records) keepCounts(ctx context.Context, s store.Store) {
	ticker := time.NewTicker(keepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := r.saveCounts(ctx, s); err != nil && ctx.Err() == nil {
			poolLog("store").Warn("writing the counts of limits", zap.Error(err))
		}
	}
}

// restored makes sure that the counts of long periods have been taken in. For a
// caller who is known the store is open already; for others this may be the first
// question to it.
func (l *RateLimit) restored(ctx context.Context, z zone, p *ratelimit.Policy) error {
	r := l.app.records
	if r.opened.Load() != nil {
		return nil
	}
	if _, kept := z.limiter.(*gcra.Limiter); !kept || !slices.ContainsFunc(p.Limits, func(l ratelimit.Limit) bool { return l.Period >= keptPeriod }) {
		return nil
	}
	if _, err := r.open(ctx); err != nil && !errors.Is(err, errStoreClosed) {
		return &plugins.Unavailable{Reason: plugins.ReasonLimiterUnavailable, Err: err}
	}
	return nil
}

// storedCount rounds times up to microseconds: never to the caller's favour.
func storedCount(zone string, s gcra.Saved) store.Count {
	up := func(t time.Time) time.Time { return t.Add(time.Microsecond - 1).Truncate(time.Microsecond) }
	c := store.Count{Zone: zone, Key: s.Key, Period: s.Period, Strict: s.Strict, Full: up(s.Full), Overdrawn: s.Overdrawn}
	for _, e := range s.Events {
		c.Events = append(c.Events, store.CountEvents{At: up(e.At), N: e.N})
	}
	return c
}

func savedCount(c store.Count) gcra.Saved {
	s := gcra.Saved{Key: c.Key, Period: c.Period, Strict: c.Strict, Full: c.Full, Overdrawn: c.Overdrawn}
	for _, e := range c.Events {
		s.Events = append(s.Events, gcra.SavedEvents{At: e.At, N: e.N})
	}
	return s
}
