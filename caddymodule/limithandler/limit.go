// Package limithandler has the directive gateway_limit, which limits the rate of callers.
// Usage and ResetCounts show and clear the counts of an owner for the admin API.
package limithandler

import (
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/ainative/portcullis/caddymodule/gateway"
	"github.com/ainative/portcullis/caddymodule/internal/pool"
	"github.com/ainative/portcullis/caddymodule/request"
	"github.com/ainative/portcullis/caddymodule/sitehandler"
	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/ratelimit"
)

func init() {
	caddy.RegisterModule(RateLimit{})
	httpcaddyfile.RegisterHandlerDirective("gateway_limit", gateway.ParseDirective[RateLimit])
}

// RateLimit limits the rate of callers. By default the limits of the caller's tier hold.
// They count per owner, over all keys and tokens of the owner; anonymous callers count by
// address. A request over the limit is refused with 429 and Retry-After, and costs
// nothing: earlier gateway_limit handlers that it passed refund their charges.
//
// The first of these that has limits holds: the API key, the owner, this handler, the
// tier.
type RateLimit struct {
	// Zone names the counts, so that they survive a reload and are shared by
	// handlers of the same zone. Default: `default`.
	Zone string `json:"zone,omitempty"`

	// Limits that replace the tier's, such as `10/1s burst 20`. A request that one of
	// them refuses is charged to none.
	Limits []string `json:"limits,omitempty"`

	// Concurrency is how many requests of one caller may be in flight at once, in
	// addition to Limits. Default: no limit.
	Concurrency int `json:"concurrency,omitempty"`

	// UpstreamConcurrency is how many requests of all callers together this gateway passes
	// on at once. One that comes beyond that waits for its turn, UpstreamWait at most, and
	// then gets 503 with Retry-After, uncharged: nobody gets 429 for the load that others
	// make. Default: no bound.
	UpstreamConcurrency int `json:"upstream_concurrency,omitempty"`

	// UpstreamWait is how long a request waits for its turn. Default: 5s.
	UpstreamWait caddy.Duration `json:"upstream_wait,omitempty"`

	// What requests are counted by: `owner`, `credential`, `ip`, or a placeholder
	// such as {http.request.header.X-Tenant}. Default: `owner`.
	By string `json:"by,omitempty"`

	// What happens to a request for which the placeholder of By is empty: `deny` refuses
	// it, `anonymous` counts it as anonymous. Default: `deny`.
	Missing string `json:"missing,omitempty"`

	// The limit of anonymous callers, per client IP, IPv6 by /64. Default: `20/1m`.
	Anonymous string `json:"anonymous,omitempty"`

	// The cost of one request: a whole number, or a placeholder for one. Default: 1.
	Cost string `json:"cost,omitempty"`

	// The response header in which the upstream reports the true cost of the request, a
	// whole number. The difference is charged or refunded, and the header is removed.
	// Default: none.
	CostHeader string `json:"cost_header,omitempty"`

	// Which headers clients get: `all`, `retry_after` or `none`. A refusal always has
	// Retry-After. Default: `all`.
	Headers string `json:"headers,omitempty"`

	// Log refusals and let the requests pass.
	Shadow bool `json:"shadow,omitempty"`

	app       *gateway.App
	enforcer  request.Enforcer
	route     *ratelimit.Policy
	source    func() *ratelimit.Source
	anonymous *ratelimit.Policy
	cost      int64
	mode      ratelimit.HeaderMode
	zone      gateway.Zone
	// anonymousZone counts anonymous callers.
	anonymousZone gateway.Zone
	// queue is nil where UpstreamConcurrency is not given.
	queue    *ratelimit.Queue
	acquired pool.Held
}

// The values of By, besides placeholders.
const (
	byOwner      = "owner"
	byCredential = "credential"
	byIP         = "ip"
)

// The values of Missing.
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
	if l.app, err = gateway.FromContext(ctx); err != nil {
		return err
	}
	l.enforcer = request.NewEnforcer(request.PolicyLimit, ctx.Logger(), l.app.Journal())
	if err := l.Check(l.app); err != nil {
		return err
	}
	if err := sitehandler.Join(ctx, l.enforcer.Member("gateway_limit")); err != nil {
		return err
	}
	if l.route != nil {
		l.source = l.app.AddRoute(l.Zone, l.route)
	}
	// Anonymous callers have a zone of their own, so that a flood of addresses can't
	// evict the counts of authenticated callers.
	for name, into := range map[string]*gateway.Zone{l.Zone: &l.zone, l.Zone + "\x00anonymous": &l.anonymousZone} {
		var release pool.Release
		if *into, release, err = l.app.AcquireZone(ctx, name); err != nil {
			return err
		}
		l.acquired = append(l.acquired, release)
	}
	l.acquireQueue()
	l.app.AddHandler(l)
	return nil
}

// Cleanup releases the zone's counts.
func (l *RateLimit) Cleanup() error {
	l.acquired.Release()
	return nil
}

// ServeHTTP calls the next handler for callers within their limits.
func (l *RateLimit) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	x := request.ExchangeOf(r)
	if d := sitehandler.CheckRewritten(r); d != nil && !l.Shadow {
		return l.enforcer.Refuse(w, r, x, d)
	}
	begun := request.PolicyLimit.Begin()
	c, denial, failure := l.decide(r, x)
	request.PolicyLimit.End(begun)
	switch {
	case denial == nil && failure == nil:
		return l.pass(w, r, x, &c, next)
	case l.Shadow:
		l.enforcer.Shadow(r, x, denial, failure)
		return next.ServeHTTP(w, r)
	}
	// A refused request costs nothing, also in the gateway_limit handlers that it passed.
	x.Refund(r)
	if failure != nil {
		return l.enforcer.Undecided(w, r, x, failure)
	}
	l.show(x, &c)
	if denial.Reason == plugins.ReasonRateLimited && !x.IsDryRun() {
		l.emitExceeded(&c, x.Principal)
	}
	err := l.enforcer.Refuse(w, r, x, denial)
	if !x.HasHeaderWriter {
		x.SetLimitHeaders(w.Header())
	}
	return err
}

// pass calls the next handler for a request that was charged.
func (l *RateLimit) pass(w http.ResponseWriter, r *http.Request, x *request.Exchange, c *charge, next caddyhttp.Handler) error {
	if c.inFlight {
		defer c.zone.InFlight.Release(c.inFlightKey)
	}
	x.PassedLimit(c.policy, c.Rows)
	if !l.Shadow {
		l.show(x, c)
	}
	charge := request.Charge{Zone: l.Zone, Limiter: c.zone.Limiter, Policy: c.policy, Key: c.key, Cost: c.cost, Logger: l.enforcer.Logger}
	if l.CostHeader != "" {
		x.ExpectCost(r, l.CostHeader, &charge, !l.Shadow)
	}
	if !l.Shadow || l.CostHeader != "" {
		w = x.HeaderWriter(w)
	}
	before := x.AddCharge(&charge)
	if l.queue != nil && !l.Shadow && !x.IsDryRun() {
		if err := l.queue.Enter(r.Context()); err != nil {
			return l.busy(w, r, x, err)
		}
		defer l.queue.Leave()
	}
	err := next.ServeHTTP(w, r)
	x.KeepCharges(before)
	return err
}

// emitExceeded emits the event of a caller over a limit. Anonymous callers cause none: one
// client can pose as any number of them.
func (l *RateLimit) emitExceeded(c *charge, p *plugins.Principal) {
	if p == nil {
		return
	}
	limit := c.Rows[c.Blocking].Limit
	l.app.LimitExceeded(c.key, limit, map[string]any{
		"owner": p.Owner, "zone": l.Zone, "policy": c.policy.Name, "limit": limit.String(),
		"scheme": p.Scheme, "key_id": p.KeyID,
	})
}

// show sets the decision whose limits the client is shown.
func (l *RateLimit) show(x *request.Exchange, c *charge) {
	if c.policy != nil {
		x.ShowLimits(c.policy, &c.Decision, l.mode)
	}
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*RateLimit)(nil)
	_ caddy.CleanerUpper          = (*RateLimit)(nil)
	_ caddyhttp.MiddlewareHandler = (*RateLimit)(nil)
)
