package request

import (
	"context"
	"net/http"
	"time"

	"github.com/ainative/portcullis/plugins/ratelimit"
	"go.uber.org/zap"
)

// Charge is what one gateway_limit has charged a request.
type Charge struct {
	// Zone is the zone of the count, Key whose count it is.
	Zone    string
	Limiter ratelimit.Limiter
	Policy  *ratelimit.Policy
	Key     ratelimit.Key
	Cost    int64
	Logger  *zap.Logger
}

// A request may pass one gateway_limit and be refused by a later one. What the
// earlier ones have charged is then given back, so that a refused request costs
// nothing. Until it is, a request of the same caller at the same moment sees it
// charged.

// Paid notes a charge, and returns what settled takes.
func (x *Exchange) Paid(c *Charge) (before int) {
	before = len(x.payments)
	if x.dry == nil && c.Cost != 0 && len(c.Policy.Limits) != 0 {
		if x.payments == nil {
			x.payments = x.paymentRoom[:0]
		}
		x.payments = append(x.payments, *c)
	}
	return before
}

// Settled makes a charge final: the handlers behind it have answered.
func (x *Exchange) Settled(before int) {
	x.payments = x.payments[:min(before, len(x.payments))]
}

// Refund gives back what the gateway_limit handlers around this one have charged.
func (x *Exchange) Refund(r *http.Request) {
	if len(x.payments) == 0 {
		return
	}
	// A client that goes away must not keep others from their units.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), settleTimeout)
	defer cancel()
	for i := range x.payments {
		c := &x.payments[i]
		// No more comes back than was charged, and never past full.
		if _, err := c.Limiter.Adjust(ctx, c.Key, c.Policy.Limits, -c.Cost, nil); err != nil {
			c.Logger.Warn("the charge of a request that a later limit refused was not given back",
				zap.String("request_id", x.RequestID), zap.String("zone", c.Zone), zap.Int64("cost", c.Cost), zap.Error(err))
		}
	}
	x.payments = x.payments[:0]
	// Nothing of it is charged any more that a response could correct.
	for c := x.cost; c != nil; c = c.outer {
		c.settled = true
	}
}

// pendingCost is a charge that waits for the response to report what the request cost.
type pendingCost struct {
	Charge

	ctx context.Context
	// header is where the response reports it.
	header  string
	settled bool
	// shown is the turn of the decision that the client is told of, 0 for one that the
	// client is not told of.
	shown uint8
	// outer is the pending charge of the enclosing gateway_limit, if any.
	outer *pendingCost
}

// settleTimeout bounds how long a response waits for its charge to be corrected.
const settleTimeout = time.Second

// ExpectCost notes that the response to this request tells its cost in a header. shown
// says that the last decision that was shown is the one about this charge.
func (x *Exchange) ExpectCost(r *http.Request, header string, c *Charge, shown bool) {
	pending := &pendingCost{Charge: *c, ctx: r.Context(), header: header, outer: x.cost}
	if shown {
		pending.shown = x.shown
	}
	x.cost = pending
}

// settleCosts corrects the charges of the request by what the response reports, and
// removes the headers. A response that reports nothing leaves the charges.
func (x *Exchange) settleCosts(h http.Header) {
	for c := x.cost; c != nil; c = c.outer {
		if !c.settled {
			c.settled = true
			c.settle(x, h[c.header])
		}
	}
	for c := x.cost; c != nil; c = c.outer {
		delete(h, c.header)
	}
}

func (c *pendingCost) settle(x *Exchange, values []string) {
	if len(values) == 0 || x.dry != nil || len(c.Policy.Limits) == 0 {
		return
	}
	log := func(why string, err error) {
		c.Logger.Warn("the true cost of a request was not charged", zap.String("request_id", x.RequestID),
			zap.String("header", c.header), zap.String("why", why), zap.Error(err))
	}
	cost, err := ratelimit.ReportedCost(values, c.Policy)
	if err != nil {
		log("the upstream's value is not believed", err)
		return
	}
	if cost == c.Cost {
		return
	}
	// A client that goes away must not save what the answer to it cost.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx), settleTimeout)
	defer cancel()
	// No more comes back than this request was charged, since a cost is not negative.
	d, err := c.Limiter.Adjust(ctx, c.Key, c.Policy.Limits, cost-c.Cost, nil)
	if err != nil {
		log("the limiter did not answer", err)
		return
	}
	if c.shown != 0 && c.shown == x.shown {
		x.decision = d
	}
}
