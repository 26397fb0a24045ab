// Package rolehandler has the directive gateway_roles, which authorizes the caller, and
// the matcher gateway_role.
package rolehandler

import (
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/ainative/portcullis/caddymodule/gateway"
	"github.com/ainative/portcullis/caddymodule/request"
	"github.com/ainative/portcullis/caddymodule/sitehandler"
	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/auth"
	"github.com/ainative/portcullis/plugins/decision"
	"github.com/ainative/portcullis/plugins/roles"
)

func init() {
	caddy.RegisterModule(Roles{})
	httpcaddyfile.RegisterHandlerDirective("gateway_roles", gateway.ParseDirective[Roles])
}

// Roles authorizes the caller. It refuses with 403 a caller that has none of the roles,
// lacks the scopes, or does not own the resource. It refuses with 401 a request that
// gateway_auth has not authenticated: a route with roles is never open.
type Roles struct {
	// The caller needs one of these roles, or a role that includes one.
	AnyOf []string `json:"any_of,omitempty"`

	// The scopes that the caller needs.
	Scopes []string `json:"scopes,omitempty"`

	// Whether `any` or `all` of the scopes are needed.
	ScopeMode string `json:"scope_mode,omitempty"`

	// The owner of the resource, as a placeholder such as {http.regexp.user.1}. It must
	// equal the caller's subject exactly; an empty value matches no caller. ADMIN passes,
	// unless Bypass says otherwise.
	Owner string `json:"owner,omitempty"`

	// Roles that pass every check of this handler. Default: ADMIN passes the owner check
	// alone.
	Bypass []string `json:"bypass,omitempty"`

	// BypassNone removes the default bypass.
	BypassNone bool `json:"bypass_none,omitempty"`

	// Log refusals and let the requests pass.
	Shadow bool `json:"shadow,omitempty"`

	enforcer  request.Enforcer
	policy    roles.Policy
	hierarchy *roles.Hierarchy
}

// CaddyModule returns the Caddy module information.
func (Roles) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.gateway_roles", New: func() caddy.Module { return new(Roles) }}
}

// Provision takes the roles from the gateway app.
func (h *Roles) Provision(ctx caddy.Context) error {
	app, err := gateway.FromContext(ctx)
	if err != nil {
		return err
	}
	h.enforcer = request.NewEnforcer(request.PolicyRoles, ctx.Logger(), app.Journal())
	if err := sitehandler.Join(ctx, h.enforcer.Member("gateway_roles")); err != nil {
		return err
	}
	return h.Check(app)
}

// Check makes the policy, or returns every mistake in it.
func (h *Roles) Check(app *gateway.App) error {
	h.hierarchy = app.Hierarchy()
	h.policy = roles.Policy{
		AnyOf:  h.AnyOf,
		Scopes: h.Scopes,
		Mode:   roles.ScopeMode(h.ScopeMode),
		Owner:  h.Owner != "",
		Bypass: h.Bypass,
	}
	if h.BypassNone {
		h.policy.Bypass = []string{}
	}
	return h.policy.Validate(h.hierarchy)
}

// ServeHTTP calls the next handler for authorized callers.
func (h *Roles) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	x := request.ExchangeOf(r)
	if d := sitehandler.CheckRewritten(r); d != nil && !h.Shadow {
		return h.enforcer.Refuse(w, r, x, d)
	}
	owner := ""
	if h.policy.Owner {
		if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
			owner = repl.ReplaceAll(h.Owner, "")
		}
	}
	begun := request.PolicyRoles.Begin()
	d := h.policy.Check(h.hierarchy, x.Principal, owner)
	request.PolicyRoles.End(begun)
	if d == nil {
		x.Step(request.PolicyRoles, request.Passed, h)
		return next.ServeHTTP(w, r)
	}
	if h.Shadow {
		h.enforcer.Shadow(r, x, d, nil)
		return next.ServeHTTP(w, r)
	}
	switch d.Reason {
	case plugins.ReasonNotAuthenticated:
		d.Challenges = []string{auth.Headers{}.Challenge(auth.DefaultRealm, d)}
	case plugins.ReasonScopeMissing:
		d.Challenges = []string{auth.InsufficientScope(auth.DefaultRealm, h.Scopes)}
	}
	return h.enforcer.Refuse(w, r, x, d)
}

// Describe implements request.Describer.
func (h *Roles) Describe(p *plugins.Principal, into *decision.Step) {
	if p != nil {
		into.SetFound(h.policy.Describe(p))
	}
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*Roles)(nil)
	_ caddyhttp.MiddlewareHandler = (*Roles)(nil)
)
