// Package rolehandler is the directive gateway_roles, which asks whether the caller may,
// and the matcher gateway_role.
package rolehandler

import (
	"net/http"

	"github.com/ainative/portcullis/caddymodule/gateway"
	"github.com/ainative/portcullis/caddymodule/request"
	"github.com/ainative/portcullis/caddymodule/sitehandler"
	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/auth"
	"github.com/ainative/portcullis/plugins/decision"
	"github.com/ainative/portcullis/plugins/roles"
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	caddy.RegisterModule(Roles{})
	httpcaddyfile.RegisterHandlerDirective("gateway_roles", gateway.ParseHandler[Roles])
}

// Roles asks whether the caller may. It refuses with 403 a caller who has none of
// the roles, not the scopes, or who does not own the resource, and with 401 a
// request that gateway_auth has not authenticated: a route with roles is never
// open.
type Roles struct {
	// The roles of which the caller needs one, itself or by inclusion.
	AnyOf []string `json:"any_of,omitempty"`

	// The scopes that the caller needs.
	Scopes []string `json:"scopes,omitempty"`

	// Whether `any` or `all` of the scopes are needed.
	ScopeMode string `json:"scope_mode,omitempty"`

	// Who owns the resource, as a placeholder such as {http.regexp.user.1}. It
	// must equal the caller's subject exactly; an empty one is nobody's. ADMIN
	// passes, unless Bypass says otherwise.
	Owner string `json:"owner,omitempty"`

	// Roles whose holders pass every check of this handler. Default: ADMIN passes
	// the owner check alone. An empty list lets nobody pass.
	Bypass []string `json:"bypass,omitempty"`

	// BypassNone takes the default bypass away.
	BypassNone bool `json:"bypass_none,omitempty"`

	// Log what would be refused and refuse nothing.
	Shadow bool `json:"shadow,omitempty"`

	judge     request.Judge
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
	h.judge = request.NewJudge(request.PolicyRoles, ctx.Logger(), app.Journal())
	if err := sitehandler.Join(ctx, h.judge.Member("gateway_roles")); err != nil {
		return err
	}
	return h.Check(app)
}

// Check works the policy out and finds every mistake in it.
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

// ServeHTTP calls the next handler for callers who may.
func (h *Roles) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	x := request.Of(r)
	if d := sitehandler.CheckRewritten(r); d != nil && !h.Shadow {
		return h.judge.Refuse(w, r, x, d)
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
		h.judge.Shadow(r, x, d, nil)
		return next.ServeHTTP(w, r)
	}
	switch d.Reason {
	case plugins.ReasonNotAuthenticated:
		d.Challenges = []string{auth.Headers{}.Challenge(auth.DefaultRealm, d)}
	case plugins.ReasonScopeMissing:
		d.Challenges = []string{auth.InsufficientScope(auth.DefaultRealm, h.Scopes)}
	}
	return h.judge.Refuse(w, r, x, d)
}

// Describe says what of the caller counted.
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
