package caddymodule

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/decision"
	"github.com/ainative/portcullis/plugins/ratelimit"
)

// trueCost is a charge that waits for the response to report what the request cost.
type trueCost struct {
	ctx     context.Context
	limit   *RateLimit
	count   charge
	charged int64
	settled bool
	// outer is the pending charge of the enclosing gateway_limit, if any.
	outer *trueCost
}

// settleTimeout bounds how long a response waits for its charge to be corrected.
const settleTimeout = time.Second

// expectCost notes that the response to this request tells its cost.
func (x *exchange) expectCost(r *http.Request, l *RateLimit, c charge) {
	x.cost = &trueCost{ctx: r.Context(), limit: l, count: c, charged: c.cost, outer: x.cost}
}

// settleCosts corrects the charges of the request by what the response reports, and
// removes the headers. A response that reports nothing leaves the charges.
func (x *exchange) settleCosts(h http.Header) {
	for c := x.cost; c != nil; c = c.outer {
		if !c.settled {
			c.settled = true
			c.settle(x, h[c.limit.CostHeader])
		}
	}
	for c := x.cost; c != nil; c = c.outer {
		delete(h, c.limit.CostHeader)
	}
}

func (c *trueCost) settle(x *exchange, values []string) {
	if len(values) == 0 || x.dry != nil || c.count.policy == nil || len(c.count.policy.Limits) == 0 {
		return
	}
	log := func(why string, err error) {
		c.limit.judge.logger.Warn("the true cost of a request was not charged", zap.String("request_id", x.requestID),
			zap.String("header", c.limit.CostHeader), zap.String("why", why), zap.Error(err))
	}
	cost, err := ratelimit.ReportedCost(values, c.count.policy)
	if err != nil {
		log("the upstream's value is not believed", err)
		return
	}
	if cost == c.charged {
		return
	}
	// A client who goes away must not save what the answer to it cost.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx), settleTimeout)
	defer cancel()
	// No more comes back than this request was charged, since a cost is not negative.
	d, err := c.count.zone.limiter.Adjust(ctx, c.count.key, c.count.policy.Limits, cost-c.charged, nil)
	if err != nil {
		log("the limiter did not answer", err)
		return
	}
	if x.shownBy == c.limit {
		x.decision = d
	}
}

// costOf reads the request's cost. A placeholder may hold what a client sent: it
// must be a whole number of 0 or more, else a client could pay with a refund.
func (l *RateLimit) costOf(r *http.Request, p *ratelimit.Policy) (int64, *plugins.Denial) {
	cost := l.cost
	if cost < 0 {
		text := ""
		if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
			text = repl.ReplaceAll(l.Cost, "")
		}
		if text == "" {
			text = "1"
		}
		var err error
		if cost, err = ratelimit.ParseCost(text); err != nil {
			return 0, &plugins.Denial{
				Status: http.StatusBadRequest, Reason: plugins.ReasonCostInvalid,
				Value: l.Cost + " is " + strconv.Quote(decision.Clip(text, 40)), Bound: "a whole number of 0 or more",
			}
		}
	}
	if highest := p.MaxCost(); cost > highest {
		return 0, ratelimit.CostTooHigh(cost, highest)
	}
	return cost, nil
}
