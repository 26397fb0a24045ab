package limithandler

import (
	"net/http"

	"github.com/ainative/portcullis/caddymodule/gateway"
	"github.com/ainative/portcullis/caddymodule/request"
	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/ratelimit"
)

// charge is what a request is to be charged, and the limiter's decision about it.
type charge struct {
	ratelimit.Decision
	policy *ratelimit.Policy
	zone   *gateway.Zone
	key    ratelimit.Key
	cost   int64
	// concurrency is how many requests of the caller may be in flight, 0 for no limit.
	// concurrencySource is the name of the policy that sets it, and inFlightKey names the
	// count.
	concurrency       int
	concurrencySource string
	inFlightKey       ratelimit.Key
	// inFlight says that the request is counted as in flight, until it is released.
	inFlight bool
}

// decide charges the request. At most one of the denial and the failure is set; with
// either, the request is neither charged nor counted as in flight.
func (l *RateLimit) decide(r *http.Request, x *request.Exchange) (charge, *plugins.Denial, error) {
	c, denial := l.subject(r, x)
	if denial != nil {
		return c, denial, nil
	}
	if c.cost, denial = l.costOf(r, c.policy); denial != nil {
		return c, denial, nil
	}
	if c.concurrency != 0 {
		if !x.Acquire(c.zone.InFlight, c.inFlightKey, c.concurrency) {
			return c, ratelimit.TooManyAtOnce(c.concurrency), nil
		}
		c.inFlight = !x.IsDryRun()
	}
	if len(c.policy.Limits) == 0 {
		return c, nil, nil
	}
	denial, failure := l.take(r, x, &c)
	if c.inFlight && (denial != nil || failure != nil) {
		c.zone.InFlight.Release(c.inFlightKey)
		c.inFlight = false
	}
	return c, denial, failure
}

// take asks the limiter to charge the request.
func (l *RateLimit) take(r *http.Request, x *request.Exchange, c *charge) (*plugins.Denial, error) {
	if err := l.app.RestoreCounts(r.Context(), c.zone, c.policy.Limits); err != nil {
		return nil, err
	}
	var err error
	c.Decision, err = x.Take(r.Context(), c.zone.Limiter, c.key, c.policy.Limits, c.cost, x.RowBuffer())
	switch {
	case err != nil:
		return nil, &plugins.Unavailable{Reason: plugins.ReasonLimiterUnavailable, Err: err}
	case c.Allowed:
		return nil, nil
	case c.RetryAfter < 0:
		return ratelimit.CostTooHigh(c.cost, c.Rows[c.Blocking].Limit.Burst), nil
	}
	return c.Denial(c.policy), nil
}
