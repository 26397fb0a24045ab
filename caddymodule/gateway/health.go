package gateway

import (
	"context"
	"time"

	"github.com/ainative/portcullis/plugins/store"
)

// LimiterHealth is the health of the limiter. It may ask a server until ctx ends.
func (a *App) LimiterHealth(ctx context.Context) LimiterHealth { return a.limiters.Health(ctx) }

// Problem is a fault of a part of the gateway.
type Problem struct {
	// Undecided says that some requests can't be decided and get 503. Otherwise the part
	// decides, but not as configured.
	Undecided bool
	// Why names the cause and what it means for requests.
	Why string
	// Since is when it began; zero if unknown.
	Since time.Time
}

// StoreProblem checks the store; nil if it works.
func (a *App) StoreProblem(ctx context.Context) *Problem {
	r := a.shared
	o, err := r.open(ctx)
	if err != nil {
		return &Problem{Undecided: true, Why: err.Error() + "; what the store must be asked gets 503"}
	}
	failed := store.Check(ctx, o.store)
	stale := o.revocationsStale()
	if failed == nil && stale == nil {
		return nil
	}
	p := new(Problem)
	if age, ok := o.poller.Stale(); ok {
		// The poller asks several times a second, so that the store failed after its last
		// answer.
		p.Since = time.Now().Add(-age)
	}
	if failed == nil {
		p.Undecided, p.Why = true, stale.Error()+"; tokens get 503"
		return p
	}
	p.Why = failed.Error()
	switch {
	case stale != nil:
		p.Undecided = true
		p.Why += "; " + stale.Error() + ", so that tokens get 503, and so do API keys that were not used in the last five minutes"
	case a.keys.used.Load() && !a.keys.answers():
		p.Undecided = true
		p.Why += "; every API key gets 503, since none was used in the last five minutes"
	case r.undecided.Load():
		p.Undecided = true
		p.Why += "; API keys that were not used in the last five minutes get 503"
	default:
		p.Why += "; tokens are taken for a minute, and API keys that were used in the last five minutes"
	}
	return p
}
