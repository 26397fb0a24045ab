package gateway

import (
	"context"
	"time"

	"github.com/ainative/portcullis/caddymodule/internal/pool"
	"github.com/ainative/portcullis/plugins/store"
	"go.uber.org/zap"
)

const (
	// sweepEvery is how often what decides nothing any more is removed from the store.
	sweepEvery = time.Hour
	// sweepFirst is how long after the start that is done for the first time.
	sweepFirst = 2 * time.Second
	// keptLonger is how long counts and revocations are kept that say nothing any
	// more. A machine whose clock is wrong must not throw away what it takes for old.
	keptLonger = 24 * time.Hour
	// auditKept is how long the audit trail goes back.
	auditKept = 365 * 24 * time.Hour
)

// sweeps are what is removed, by what it is.
var sweeps = []struct {
	what string
	kept time.Duration
	from func(store.Store, context.Context, time.Time) (int, error)
}{
	{"revocations", keptLonger, store.Store.SweepRevocations},
	{"counts of limits", keptLonger, store.Store.SweepCounts},
	{"audit trail", auditKept, store.Store.SweepAudit},
}

// sweep removes what is old at now. One that fails keeps no other from being
// done; the next turn tries again.
func sweep(ctx context.Context, s store.Store, now time.Time) {
	for _, each := range sweeps {
		if _, err := each.from(s, ctx, now.Add(-each.kept)); err != nil && ctx.Err() == nil {
			pool.Log("store").Warn("sweeping the "+each.what, zap.Error(err))
		}
	}
}

// keepSwept sweeps until ctx ends, for the first time soon after the start.
func keepSwept(ctx context.Context, s store.Store) {
	next := time.NewTimer(sweepFirst)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-next.C:
			sweep(ctx, s, now)
			next.Reset(sweepEvery)
		}
	}
}
