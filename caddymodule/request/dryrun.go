package request

import (
	"context"
	"net/http"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/ratelimit"
	"go.uber.org/zap"
)

// DryRun says that nobody sent the request: `check` asks what would become of it.
// This file says how the handlers then differ.
type DryRun struct {
	// As is whom gateway_auth is to find, instead of looking for a credential; nil
	// leaves it to look.
	As *plugins.Principal
}

// StartDryRun makes the exchange of a request that nobody sent.
func StartDryRun(r *http.Request, dry *DryRun) *Exchange {
	x := Of(r)
	x.dry = dry
	return x
}

// IsDryRun reports whether nobody sent the request.
func (x *Exchange) IsDryRun() bool { return x.dry != nil }

// Described is the caller whom a dry run describes; nil where gateway_auth has to look.
func (x *Exchange) Described() *plugins.Principal {
	if x.dry == nil {
		return nil
	}
	return x.dry.As
}

// Take is Limiter.Take, or a look where nobody sent the request.
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

// Acquire takes a place, or looks for one where nobody sent the request.
func (x *Exchange) Acquire(f *ratelimit.InFlight, key ratelimit.Key, limit int) bool {
	if x.dry != nil {
		return f.Held(key) < limit
	}
	return f.Acquire(key, limit)
}

// Log is a logger for what becomes of the request; what would have become of one
// is not logged.
func (x *Exchange) Log(l *zap.Logger) *zap.Logger {
	if x.dry != nil {
		return zap.NewNop()
	}
	return l
}
