package request

import (
	"context"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/ainative/portcullis/plugins/ratelimit"
)

// Charge is what one gateway_limit has charged a request.
//
// A request may pass one gateway_limit and be refused by a later one. The earlier charges
// are then refunded, so that a refused request costs nothing. Until then, another request
// of the same caller sees them charged.
type Charge struct {
	Zone    string
	Limiter ratelimit.Limiter
	Policy  *ratelimit.Policy
	Key     ratelimit.Key
	Cost    int64
	Logger  *zap.Logger
}

// AddCharge notes a charge that Refund may give back. It returns what KeepCharges takes.
func (x *Exchange) AddCharge(c *Charge) (before int) {
	before = len(x.charges)
	if x.dry == nil && c.Cost != 0 && len(c.Policy.Limits) != 0 {
		if x.charges == nil {
			x.charges = x.chargeBuffer[:0]
		}
		x.charges = append(x.charges, *c)
	}
	return before
}

// KeepCharges makes a charge final: the handlers behind it have answered.
func (x *Exchange) KeepCharges(before int) {
	x.charges = x.charges[:min(before, len(x.charges))]
}

// Refund gives back what the enclosing gateway_limit handlers have charged.
func (x *Exchange) Refund(r *http.Request) {
	if len(x.charges) == 0 {
		return
	}
	// The refund does not end with the client's connection.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), settleTimeout)
	defer cancel()
	for i := range x.charges {
		c := &x.charges[i]
		if _, err := c.Limiter.Adjust(ctx, c.Key, c.Policy.Limits, -c.Cost, nil); err != nil {
			c.Logger.Warn("the charge of a request that a later limit refused was not given back",
				zap.String("request_id", x.RequestID), zap.String("zone", c.Zone), zap.Int64("cost", c.Cost), zap.Error(err))
		}
	}
	x.charges = x.charges[:0]
	// A response has no charge left to correct.
	for c := x.cost; c != nil; c = c.outer {
		c.settled = true
	}
}

// pendingCost is a charge that waits for the response to report what the request cost.
type pendingCost struct {
	Charge

	ctx context.Context
	// header is the response header that reports it.
	header  string
	settled bool
	// shown is the exchange's shown count of the decision about this charge; 0 where the
	// client is not shown it.
	shown uint8
	// outer is the pending charge of the enclosing gateway_limit, if any.
	outer *pendingCost
}

// settleTimeout is how long a response waits at most for its charge to be corrected.
const settleTimeout = time.Second

// ExpectCost notes that the response to this request reports its cost in a header. shown
// says that the last call of ShowLimits was about this charge.
func (x *Exchange) ExpectCost(r *http.Request, header string, c *Charge, shown bool) {
	pending := &pendingCost{Charge: *c, ctx: r.Context(), header: header, outer: x.cost}
	if shown {
		pending.shown = x.shown
	}
	x.cost = pending
}

// settleCosts corrects the charges of the request to the cost that the response reports,
// and removes the headers. A response that reports no cost changes no charge.
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
	// The correction does not end with the client's connection.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx), settleTimeout)
	defer cancel()
	// A reported cost is 0 or more, so that no more than the charge is given back.
	d, err := c.Limiter.Adjust(ctx, c.Key, c.Policy.Limits, cost-c.Cost, nil)
	if err != nil {
		log("the limiter did not answer", err)
		return
	}
	if c.shown != 0 && c.shown == x.shown {
		x.decision = d
	}
}
