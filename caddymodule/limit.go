package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/ratelimit"
	"github.com/ainative/portcullis/plugins/ratelimit/gcra"
)

// RateLimit asks how often the caller may come. Without further configuration
// the limits of the caller's tier hold, counted per owner over all of the
// owner's keys and tokens, and anonymous callers are counted by address. Over
// the limit the request is refused with 429 and Retry-After, and costs nothing.
//
// Which limits hold, first to last: those of the API key, those of the owner,
// those of this handler, those of the tier.
type RateLimit struct {
	// Zone names the counts, so that they survive a reload and are shared by
	// handlers of the same zone. Default: `default`.
	Zone string `json:"zone,omitempty"`

	// Limits instead of the tier's, such as `10/1s burst 20`. A request that one of
	// them refuses is charged to none.
	Limits []string `json:"limits,omitempty"`

	// Concurrency is how many requests of one caller may be under way at once,
	// beside Limits. Default: no limit.
	Concurrency int `json:"concurrency,omitempty"`

	// What requests are counted by: `owner`, `credential`, `ip`, or a placeholder
	// such as {http.request.header.X-Tenant}. Default: `owner`.
	By string `json:"by,omitempty"`

	// What happens to a request for which the placeholder of By is empty: `deny` or
	// `anonymous`. Default: `deny`.
	Missing string `json:"missing,omitempty"`

	// The limit of anonymous callers, per client IP, IPv6 by /64. Default: `20/1m`.
	Anonymous string `json:"anonymous,omitempty"`

	// What one request costs: a whole number, or a placeholder that gives one.
	// Default: 1.
	Cost string `json:"cost,omitempty"`

	// The response header by which the upstream tells what the request cost in
	// truth, a whole number. The rest is charged or given back, and the header taken
	// out. Default: none.
	CostHeader string `json:"cost_header,omitempty"`

	// Which headers clients get: `all`, `retry_after` or `none`. Default: `all`.
	Headers string `json:"headers,omitempty"`

	// Log what would be refused and refuse nothing.
	Shadow bool `json:"shadow,omitempty"`

	app       *App
	judge     judge
	route     *ratelimit.Policy
	source    func() *limitSource
	anonymous *ratelimit.Policy
	cost      int64
	mode      ratelimit.HeaderMode
	zone      zone
	strangers zone
	acquired  []releaser
}

// What requests can be counted by, beside placeholders.
const (
	byOwner      = "owner"
	byCredential = "credential"
	byIP         = "ip"
)

// What can happen where a placeholder is empty.
const (
	missingDeny      = "deny"
	missingAnonymous = "anonymous"
)

const (
	defaultZone      = "default"
	defaultAnonymous = "20/1m"
)

// CaddyModule returns the Caddy module information.
func (RateLimit) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.gateway_limit", New: func() caddy.Module { return new(RateLimit) }}
}

// Provision takes the zone's counts from the pool.
func (l *RateLimit) Provision(ctx caddy.Context) error {
	var err error
	if l.app, err = gatewayApp(ctx); err != nil {
		return err
	}
	l.judge = judge{policyLimit, ctx.Logger(), l.app.journal}
	if err := l.check(l.app); err != nil {
		return err
	}
	if l.route != nil {
		l.app.zones.add(l.Zone, l.route)
		// Asked when every handler of the configuration has been provisioned.
		l.source = sync.OnceValue(func() *limitSource { return l.app.zones.routeSource(l.Zone, l.route) })
	}
	// Strangers are counted apart, so that a flood of addresses can't push out the
	// counts of known callers.
	for name, into := range map[string]*zone{l.Zone: &l.zone, l.Zone + "\x00anonymous": &l.strangers} {
		var release releaser
		if *into, release, err = l.app.limiters.acquire(name); err != nil {
			return err
		}
		l.acquired = append(l.acquired, release)
		if counts, ok := into.limiter.(*gcra.Limiter); ok {
			if release, err = l.app.records.keep(name, counts); err != nil {
				return err
			}
			l.acquired = append(l.acquired, release)
		}
	}
	l.app.limits = append(l.app.limits, l)
	return nil
}

// check works the policies out and finds every mistake in the configuration.
func (l *RateLimit) check(app *App) error {
	if l.Zone == "" {
		l.Zone = defaultZone
	}
	if l.By == "" {
		l.By = byOwner
	}
	if l.Missing == "" {
		l.Missing = missingDeny
	}
	if l.Anonymous == "" {
		l.Anonymous = defaultAnonymous
	}
	var errs []error
	fail := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	var err error
	if len(l.Limits) != 0 || l.Concurrency != 0 {
		l.route, err = parsePolicy(l.Zone, l.Limits, l.Concurrency)
		fail(err)
	}
	l.anonymous, err = parsePolicy("anonymous", []string{l.Anonymous}, 0)
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
	if strings.ContainsFunc(l.Zone, func(r rune) bool { return r <= ' ' || r > '~' }) {
		fail(fmt.Errorf("zone %q: use letters, digits, - and _", l.Zone))
	}
	return errors.Join(errs...)
}

func parsePolicy(name string, lines []string, concurrency int) (*ratelimit.Policy, error) {
	limits, err := parseLimits(lines)
	if err != nil {
		return nil, err
	}
	return ratelimit.NewPolicy(name, limits, concurrency)
}

// checkCost refuses a cost that no request could ever pay. A cost above a burst
// would be a 429 for ever.
func (l *RateLimit) checkCost(app *App) error {
	if l.Cost == "" {
		l.Cost = "1"
	}
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
		return costFits(cost, l.route)
	}
	for _, tier := range app.tiers {
		if err := costFits(cost, tier); err != nil {
			return err
		}
	}
	return nil
}

func costFits(cost int64, p *ratelimit.Policy) error {
	if highest := p.MaxCost(); cost > highest {
		return fmt.Errorf("cost %d is above the burst of %s, which is %d, so that no request could ever pass: lower the cost or raise the burst", cost, p.Name, highest)
	}
	return nil
}

// Cleanup gives the zone's counts back.
func (l *RateLimit) Cleanup() error {
	for _, release := range l.acquired {
		release()
	}
	l.acquired = nil
	return nil
}

// ServeHTTP calls the next handler for callers who have not come too often.
func (l *RateLimit) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	x := exchangeOf(r)
	x.stripIdentity(r)
	begun := meters[policyLimit].begin()
	decided, denial, failure := l.decide(r, x)
	meters[policyLimit].end(begun)
	if denial == nil && failure == nil && decided.inFlight {
		defer decided.zone.inFlight.Release(decided.flight)
	}
	switch {
	case l.Shadow && (denial != nil || failure != nil):
		l.judge.shadow(r, x, denial, failure)
		return next.ServeHTTP(w, r)
	case failure != nil:
		return l.judge.undecided(w, r, x, failure)
	}
	if denial == nil {
		x.limited(&decided)
		if l.CostHeader != "" {
			x.expectCost(r, l, decided)
			if !x.wrapped() {
				w = x.wrap(w, passAll)
			}
		}
	}
	if l.Shadow {
		return next.ServeHTTP(w, r)
	}
	if decided.policy != nil {
		x.shownBy, x.policy, x.decision, x.headerMode = l, decided.policy, decided.Decision, l.mode
	}
	if denial != nil {
		if denial.Reason == plugins.ReasonRateLimited && x.dry == nil {
			l.app.events.limitExceeded(&decided, x.principal, l.Zone)
		}
		err := l.judge.refuse(w, r, x, denial)
		if !x.wrapped() {
			x.limitHeaders(w.Header())
		}
		return err
	}
	if !x.wrapped() {
		w = x.wrap(w, passAll)
	}
	return next.ServeHTTP(w, r)
}

// limited notes that a limit let the request pass.
func (x *exchange) limited(a *answer) {
	s := x.step(policyLimit, stepPassed, a.policy)
	s.remaining = -1
	if left, any := leastRemaining(a.Rows); any {
		s.remaining = left
		if x.span != nil {
			x.traceLimit(a.policy.Name, left)
		}
	}
}

// leastRemaining is what is left of the limit that has the least.
func leastRemaining(rows []ratelimit.Row) (least int64, any bool) {
	for i := range rows {
		if left := rows[i].Remaining; !any || left < least {
			least, any = left, true
		}
	}
	return least, any
}

// answer is a limiter's decision and what it was about.
type answer struct {
	ratelimit.Decision
	policy *ratelimit.Policy
	zone   zone
	key    ratelimit.Key
	cost   int64
	// places is how many requests may be under way, 0 for no bound, placesOf the name
	// of what says so, and flight whose.
	places   int
	placesOf string
	flight   ratelimit.Key
	// inFlight says that a place was taken, which must be given back.
	inFlight bool
}

// decide charges the request. The denial and the failure are never both set.
func (l *RateLimit) decide(r *http.Request, x *exchange) (answer, *plugins.Denial, error) {
	d, denial := l.subject(r, x)
	if denial != nil {
		return d, denial, nil
	}
	cost, denial := l.costOf(r, d.policy)
	if denial != nil {
		return d, denial, nil
	}
	d.cost = cost
	if limit := d.places; limit != 0 {
		if !x.acquire(d.zone.inFlight, d.flight, limit) {
			denial := tooMany(time.Second)
			denial.Reason = plugins.ReasonConcurrency
			denial.Value = "no place left"
			denial.Bound = "concurrency " + strconv.Itoa(limit)
			return d, denial, nil
		}
		d.inFlight = x.dry == nil
	}
	if len(d.policy.Limits) == 0 {
		return d, nil, nil
	}
	if err := l.restored(r.Context(), d.zone, d.policy); err != nil {
		if d.inFlight {
			d.zone.inFlight.Release(d.flight)
			d.inFlight = false
		}
		return d, nil, err
	}
	var err error
	d.Decision, err = x.take(r.Context(), d.zone.limiter, d.key, d.policy.Limits, cost, x.rows[:0])
	if err == nil && d.Allowed {
		return d, nil, nil
	}
	if d.inFlight {
		d.zone.inFlight.Release(d.flight)
		d.inFlight = false
	}
	if err != nil {
		return d, nil, &plugins.Unavailable{Reason: plugins.ReasonLimiterUnavailable, Err: err}
	}
	row := d.Rows[d.Blocking]
	if d.RetryAfter < 0 {
		return d, costTooHigh(cost, row.Limit.Burst), nil
	}
	denial = tooMany(d.RetryAfter)
	denial.Value = d.policy.LimitName(d.Blocking) + ": " + strconv.FormatInt(row.Remaining, 10) + " left, next in " + row.RetryAfter.String()
	denial.Bound = row.Limit.String()
	return d, denial, nil
}

// subject says which count the request belongs to and which limits hold.
func (l *RateLimit) subject(r *http.Request, x *exchange) (answer, *plugins.Denial) {
	p := x.principal
	switch l.By {
	case byOwner:
		if p != nil {
			return l.known(p, ratelimit.KindOwner, p.Owner), nil
		}
	case byCredential:
		if p != nil {
			return l.known(p, ratelimit.KindCredential, p.Credential), nil
		}
	case byIP:
		if p != nil || l.route != nil {
			address, ok := ratelimit.AnonymousSubject(clientIP(r))
			if !ok {
				return answer{}, keyMissing("client address")
			}
			return l.known(p, ratelimit.KindIP, address), nil
		}
	default:
		value := ""
		if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
			value = repl.ReplaceAll(l.By, "")
		}
		switch {
		case value == "" && l.Missing == missingDeny:
			return answer{}, keyMissing(l.By)
		case value != "" && (p != nil || l.route != nil):
			return l.known(p, ratelimit.KindPlaceholder+" "+l.By, value), nil
		}
	}
	key, ok := ratelimit.AnonymousKey(l.Zone, clientIP(r))
	if !ok {
		return answer{}, keyMissing("client address")
	}
	return answer{policy: l.anonymous, zone: l.strangers, key: key}, nil
}

// known is a decision about a caller with limits of its own. Limits and the bound
// of what is under way are each those of the first that has one: the key, the
// owner, the route, the tier. Each of the four counts for itself: a request may
// meet the tier's limit and a route's in one zone.
func (l *RateLimit) known(p *plugins.Principal, kind, subject string) answer {
	tier := l.app.tierOf(p)
	source := l.app.tierSources[tier]
	places, from, name := tier.Concurrency, "tier", tier.Name
	if l.route != nil {
		if len(l.route.Limits) != 0 {
			source = l.source()
		}
		if l.route.Concurrency != 0 {
			places, from, name = l.route.Concurrency, "route", l.route.Name
		}
	}
	if p != nil {
		if o := l.app.ownerOf(p.Owner); o != nil {
			if o.source != nil {
				source = o.source
			}
			if o.concurrency != 0 {
				places, from, name = o.concurrency, "owner", "owner"
			}
		}
		if len(p.Limits) != 0 {
			if own := l.app.override(p.Limits); own != nil {
				source = own
			}
		}
	}
	a := answer{policy: source.policy, zone: l.zone, key: ratelimit.NewKey(l.Zone+source.apart, kind, subject), places: places}
	if places != 0 {
		a.placesOf = name
		a.flight = ratelimit.NewKey(l.Zone+"\x00busy "+from, kind, subject)
	}
	return a
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
		if cost, err = strconv.ParseInt(text, 10, 64); err != nil || cost < 0 {
			return 0, &plugins.Denial{
				Status: http.StatusBadRequest, Reason: plugins.ReasonCostInvalid,
				Value: l.Cost + " is " + strconv.Quote(clip(text, 40)), Bound: "a whole number of 0 or more",
			}
		}
	}
	if highest := p.MaxCost(); cost > highest {
		return 0, costTooHigh(cost, highest)
	}
	return cost, nil
}

// tooMany is a 429; its text follows from the wait.
func tooMany(retryAfter time.Duration) *plugins.Denial {
	return &plugins.Denial{
		Status: http.StatusTooManyRequests, Reason: plugins.ReasonRateLimited,
		RetryAfter: max(retryAfter, time.Nanosecond),
	}
}

// costTooHigh is a 400 and not a 429, because waiting does not help.
func costTooHigh(cost, highest int64) *plugins.Denial {
	return &plugins.Denial{
		Status: http.StatusBadRequest, Reason: plugins.ReasonCostAboveBurst,
		Value: "cost " + strconv.FormatInt(cost, 10), Bound: "burst " + strconv.FormatInt(highest, 10),
	}
}

// keyMissing refuses a request that can't be counted. It is never counted in one
// bucket with all others like it.
func keyMissing(what string) *plugins.Denial {
	return &plugins.Denial{
		Status: http.StatusBadRequest, Reason: plugins.ReasonLimitKeyMissing,
		Value: what + " is empty", Bound: "a value to count by, or `missing anonymous`",
	}
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*RateLimit)(nil)
	_ caddy.CleanerUpper          = (*RateLimit)(nil)
	_ caddyhttp.MiddlewareHandler = (*RateLimit)(nil)
)
