package request

import (
	"context"
	"net/http"

	"go.uber.org/zap"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/ratelimit"
)

// DryRun marks a request that no client sent: `check` asks what would happen to it. The
// same handlers decide about it as about a real request. It differs in these points, and
// only through this file and the exchange:
//
//   - gateway_auth takes Caller, where given, instead of looking for a credential.
//   - Limits are looked at and not charged: Take, Acquire, AddCharge.
//   - Nothing is counted, logged or emitted, and no record goes into the journal.
type DryRun struct {
	// Caller is the caller that `check` describes; nil where gateway_auth has to look for
	// a credential.
	Caller *plugins.Principal
}

// StartDryRun makes the exchange of a dry run.
func StartDryRun(r *http.Request, dry *DryRun) *Exchange {
	x := ExchangeOf(r)
	x.dry = dry
	return x
}

// IsDryRun reports whether no client sent the request.
func (x *Exchange) IsDryRun() bool { return x.dry != nil }

// DescribedCaller is the caller that a dry run describes; nil where gateway_auth has to
// look for a credential.
func (x *Exchange) DescribedCaller() *plugins.Principal {
	if x.dry == nil {
		return nil
	}
	return x.dry.Caller
}

// Take is Limiter.Take. In a dry run it returns the same decision and charges nothing.
func (x *Exchange) Take(ctx context.Context, l ratelimit.Limiter, key ratelimit.Key, limits []ratelimit.Limit, cost int64, rows []ratelimit.Row) (ratelimit.Decision, error) {
	if x.dry == nil {
		return l.Take(ctx, key, limits, cost, rows)
	}
	d, err := l.Take(ctx, key, limits, 0, rows)
	if err == nil {
		d.Preview(cost)
	}
	return d, err
}

// Acquire is InFlight.Acquire. In a dry run it only reports whether there is room.
func (x *Exchange) Acquire(f *ratelimit.InFlight, key ratelimit.Key, limit int) bool {
	if x.dry != nil {
		return f.Held(key) < limit
	}
	return f.Acquire(key, limit)
}

// Log returns l, or in a dry run a logger that writes nothing.
func (x *Exchange) Log(l *zap.Logger) *zap.Logger {
	if x.dry != nil {
		return zap.NewNop()
	}
	return l
}
