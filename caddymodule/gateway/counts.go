package gateway

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/ainative/portcullis/caddymodule/internal/pool"
	"github.com/ainative/portcullis/plugins/ratelimit"
	"github.com/ainative/portcullis/plugins/store"
)

// countStore adapts the store to package durable.
type countStore struct{ store store.Store }

// SaveCounts implements durable.Store.
func (s countStore) SaveCounts(ctx context.Context, zone string, counts []ratelimit.Saved) error {
	batch := make([]store.Count, len(counts))
	for i, saved := range counts {
		batch[i] = storedCount(zone, saved)
	}
	return s.store.SaveCounts(ctx, batch)
}

// Counts implements durable.Store.
func (s countStore) Counts(ctx context.Context, zone string, now time.Time, each func(ratelimit.Saved) error) error {
	return s.store.Counts(ctx, zone, now, func(c store.Count) error { return each(savedCount(c)) })
}

// DeleteCounts implements durable.Store.
func (s countStore) DeleteCounts(ctx context.Context, zone string, key ratelimit.Key) error {
	return s.store.DeleteCounts(ctx, zone, key)
}

// keepCounts writes the counts of limits every few seconds until ctx ends.
func (r *sharedStore) keepCounts(ctx context.Context) {
	r.counts.Run(ctx, func(err error) {
		pool.Log("store").Warn("writing the counts of limits", zap.Error(err))
	})
}

func storedCount(zone string, s ratelimit.Saved) store.Count {
	c := store.Count{Zone: zone, Key: s.Key, Period: s.Period, Strict: s.Strict, Full: s.Full, Overdrawn: s.Overdrawn}
	for _, e := range s.Events {
		c.Events = append(c.Events, store.CountEvents{At: e.At, N: e.N})
	}
	return c
}

func savedCount(c store.Count) ratelimit.Saved {
	s := ratelimit.Saved{Key: c.Key, Period: c.Period, Strict: c.Strict, Full: c.Full, Overdrawn: c.Overdrawn}
	for _, e := range c.Events {
		s.Events = append(s.Events, ratelimit.SavedEvents{At: e.At, N: e.N})
	}
	return s
}
