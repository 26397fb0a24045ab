package caddymodule

import (
	"context"
	"fmt"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"
	"golang.org/x/net/http/httpguts"

	"github.com/ainative/portcullis/plugins/ratelimit"
)

// trueCost is a charge that waits for the response to say what the request cost.
type trueCost struct {
	ctx     context.Context
	limit   *RateLimit
	count   answer
	charged int64
	settled bool
	// outer is that of a handler further out.
	outer *trueCost
}

const (
	// hugeCost is beyond what is believed of an upstream, unless a limit is larger.
	hugeCost = 1_000_000_000
	// settleTimeout bounds how long a response waits for its charge to be corrected.
	settleTimeout = time.Second
)

// expectCost notes that the response to this request tells its cost.
func (x *exchange) expectCost(r *http.Request, l *RateLimit, a answer) {
	x.cost = &trueCost{ctx: r.Context(), limit: l, count: a, charged: a.cost, outer: x.cost}
}

// settleCosts corrects the charges of the request by what the response says, and
// takes the headers that say it out. A response that says nothing leaves them.
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
	cost, err := readCost(values, c.count.policy)
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

// readCost reads what an upstream says of a cost: one whole number of 0 or more.
func readCost(values []string, p *ratelimit.Policy) (int64, error) {
	if len(values) > 1 {
		return 0, fmt.Errorf("%d values, want one", len(values))
	}
	text := strings.Trim(values[0], " \t")
	cost, err := strconv.ParseInt(text, 10, 64)
	if err != nil || cost < 0 || text[0] == '+' || text[0] == '-' {
		return 0, fmt.Errorf("%q, want a whole number of 0 or more", clip(text, 40))
	}
	most := int64(hugeCost)
	for _, limit := range p.Limits {
		most = max(most, limit.Burst)
	}
	if cost > most {
		return 0, fmt.Errorf("%d, want %d at most", cost, most)
	}
	return cost, nil
}

// checkCostHeader refuses a name that is none, or that means something else.
func (l *RateLimit) checkCostHeader() error {
	if l.CostHeader == "" {
		return nil
	}
	if !httpguts.ValidHeaderFieldName(l.CostHeader) {
		return fmt.Errorf("cost_header %s: write the name of a header, like X-Cost", strconv.Quote(l.CostHeader))
	}
	l.CostHeader = textproto.CanonicalMIMEHeaderKey(l.CostHeader)
	switch l.CostHeader {
	case "Age", "Allow", "Cache-Control", "Connection", "Date", "Etag", "Expires", "Keep-Alive", "Location", "Retry-After", "Server",
		"Set-Cookie", "Trailer", "Transfer-Encoding", "Upgrade", "Vary", "Via", "Www-Authenticate", "X-Request-Id",
		ratelimit.HeaderLimit, ratelimit.HeaderRemaining, ratelimit.HeaderReset, ratelimit.HeaderRateLimit, ratelimit.HeaderPolicy:
		return fmt.Errorf("cost_header %s has a meaning of its own: write another name, like X-Cost", l.CostHeader)
	}
	if strings.HasPrefix(l.CostHeader, "Content-") || strings.HasPrefix(l.CostHeader, "Access-Control-") {
		return fmt.Errorf("cost_header %s has a meaning of its own: write another name, like X-Cost", l.CostHeader)
	}
	return nil
}
