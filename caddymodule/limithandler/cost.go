package limithandler

import (
	"net/http"
	"strconv"

	"github.com/caddyserver/caddy/v2"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/decision"
	"github.com/ainative/portcullis/plugins/ratelimit"
)

// costOf is the cost of the request. A placeholder may hold a value from the client, so
// that a negative one is refused: it would be a refund.
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
