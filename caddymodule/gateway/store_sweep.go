package gateway

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/ainative/portcullis/caddymodule/internal/pool"
	"github.com/ainative/portcullis/plugins/store"
)

const (
	// sweepEvery is how often expired records are removed from the store.
	sweepEvery = time.Hour
	// sweepFirst is how long after the start the first sweep is.
	sweepFirst = 2 * time.Second
	// keptLonger is how long expired counts and revocations are kept, in case the clock of
	// this machine is wrong.
	keptLonger = 24 * time.Hour
	// auditKept is how long the audit trail goes back.
	auditKept = 365 * 24 * time.Hour
)

// sweeps are the kinds of records that are removed.
var sweeps = []struct {
	what string
	kept time.Duration
	from func(store.Store, context.Context, time.Time) (int, error)
}{
	{"revocations", keptLonger, store.Store.SweepRevocations},
	{"counts of limits", keptLonger, store.Store.SweepCounts},
	{"audit trail", auditKept, store.Store.SweepAudit},
}

// sweep removes records that are old at now. If one kind fails, the others are still
// swept, and the next sweep tries again.
func sweep(ctx context.Context, s store.Store, now time.Time) {
	for _, each := range sweeps {
		if _, err := each.from(s, ctx, now.Add(-each.kept)); err != nil && ctx.Err() == nil {
			pool.Log("store").Warn("sweeping the "+each.what, zap.Error(err))
		}
	}
}

// keepSwept sweeps soon after the start and then regularly, until ctx ends.
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
