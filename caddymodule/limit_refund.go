package caddymodule

import (
	"context"
	"net/http"

	"go.uber.org/zap"

	"github.com/ainative/portcullis/plugins/ratelimit"
)

// A request may pass one gateway_limit and be refused by a later one. What the
// earlier ones have charged is then given back, so that a refused request costs
// nothing. Until it is, a request of the same caller at the same moment sees it
// charged.

// payment is what one gateway_limit has charged the request.
type payment struct {
	by      *RateLimit
	limiter ratelimit.Limiter
	policy  *ratelimit.Policy
	key     ratelimit.Key
	cost    int64
}

// paid notes a charge, and returns what settled takes.
func (x *exchange) paid(l *RateLimit, c *charge) (before int) {
	before = len(x.payments)
	if x.dry == nil && c.cost != 0 && len(c.policy.Limits) != 0 {
		if x.payments == nil {
			x.payments = x.paymentRoom[:0]
		}
		x.payments = append(x.payments, payment{l, c.zone.limiter, c.policy, c.key, c.cost})
	}
	return before
}

// settled makes a charge final: the handlers behind it have answered.
func (x *exchange) settled(before int) {
	x.payments = x.payments[:min(before, len(x.payments))]
}

// refund gives back what the gateway_limit handlers around this one have charged.
func (x *exchange) refund(r *http.Request) {
	if len(x.payments) == 0 {
		return
	}
	// A client that goes away must not keep others from their units.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), settleTimeout)
	defer cancel()
	for i := range x.payments {
		p := &x.payments[i]
		// No more comes back than was charged, and never past full.
		if _, err := p.limiter.Adjust(ctx, p.key, p.policy.Limits, -p.cost, nil); err != nil {
			p.by.judge.logger.Warn("the charge of a request that a later limit refused was not given back",
				zap.String("request_id", x.requestID), zap.String("zone", p.by.Zone), zap.Int64("cost", p.cost), zap.Error(err))
		}
	}
	x.payments = x.payments[:0]
	// Nothing of it is charged any more that a response could correct.
	for c := x.cost; c != nil; c = c.outer {
		c.settled = true
	}
}
