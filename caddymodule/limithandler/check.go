package limithandler

import (
	"cmp"
	"errors"
	"fmt"
	"net/textproto"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/ainative/portcullis/caddymodule/gateway"
	"github.com/ainative/portcullis/plugins/ratelimit"
)

// Check makes the policies, or returns every mistake in the configuration.
func (l *RateLimit) Check(app *gateway.App) error {
	l.Zone, l.By = cmp.Or(l.Zone, defaultZone), cmp.Or(l.By, byOwner)
	l.Missing, l.Anonymous = cmp.Or(l.Missing, missingDeny), cmp.Or(l.Anonymous, defaultAnonymous)
	var errs []error
	fail := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	var err error
	if len(l.Limits) != 0 || l.Concurrency != 0 {
		l.route, err = ratelimit.ParsePolicy(l.Zone, l.Limits, l.Concurrency)
		fail(err)
	}
	l.anonymous, err = ratelimit.ParsePolicy("anonymous", []string{l.Anonymous}, 0)
	if err != nil {
		fail(fmt.Errorf("anonymous: %w", err))
	}
	switch {
	case l.By == byOwner, l.By == byCredential, l.By == byIP:
	case strings.HasPrefix(l.By, "{") && strings.HasSuffix(l.By, "}") && len(l.By) > 2:
	default:
		fail(fmt.Errorf("by %s: write `by owner`, `by credential`, `by ip` or a placeholder like `by {http.request.header.X-Tenant}`", l.By))
	}
	if l.Missing != missingDeny && l.Missing != missingAnonymous {
		fail(fmt.Errorf("missing %s: write `missing deny` or `missing anonymous`", l.Missing))
	}
	if l.Headers != "" {
		l.mode, err = ratelimit.ParseHeaderMode(l.Headers)
		fail(err)
	}
	fail(l.checkCost(app))
	fail(l.checkCostHeader())
	fail(l.checkQueue())
	if strings.ContainsFunc(l.Zone, func(r rune) bool { return r <= ' ' || r > '~' }) {
		fail(fmt.Errorf("zone %q: use letters, digits, - and _", l.Zone))
	}
	return errors.Join(errs...)
}

// checkCost rejects a cost above a burst: every request would get 429 for ever.
func (l *RateLimit) checkCost(app *gateway.App) error {
	l.Cost = cmp.Or(l.Cost, "1")
	if strings.Contains(l.Cost, "{") {
		l.cost = -1
		return nil
	}
	cost, err := strconv.ParseInt(l.Cost, 10, 64)
	if err != nil || cost < 0 {
		return fmt.Errorf("cost %s: write a whole number of 0 or more, or a placeholder like {http.vars.cost}", l.Cost)
	}
	l.cost = cost
	if l.route != nil && len(l.route.Limits) != 0 {
		return l.route.FitsBursts(cost)
	}
	for tier := range app.TierSources() {
		if err := tier.Policy.FitsBursts(cost); err != nil {
			return err
		}
	}
	return nil
}

// checkCostHeader rejects invalid header names and headers with a standard meaning.
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
	default:
		if !strings.HasPrefix(l.CostHeader, "Content-") && !strings.HasPrefix(l.CostHeader, "Access-Control-") {
			return nil
		}
	}
	return fmt.Errorf("cost_header %s has a meaning of its own: write another name, like X-Cost", l.CostHeader)
}
