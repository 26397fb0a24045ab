// Package corshandler is the directive gateway_cors, which says which pages of other
// origins may read the API. It stands inside gateway_errors and outside everything else:
// a preflight has no credential, and what later handlers refuse has to be readable too.
package corshandler

import (
	"net/http"
	"time"

	"github.com/ainative/portcullis/caddymodule/gateway"
	"github.com/ainative/portcullis/caddymodule/request"
	"github.com/ainative/portcullis/caddymodule/sitehandler"
	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/cors"
	"github.com/ainative/portcullis/plugins/decision"
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	caddy.RegisterModule(CORS{})
	httpcaddyfile.RegisterHandlerDirective("gateway_cors", gateway.ParseDirective[CORS])
}

// CORS lets pages of other origins read what the API answers, errors of the gateway and
// of the upstream included. It answers preflights itself, and refuses with 403 those
// of an origin, for a method or with a header that is not allowed. Other requests it
// passes on in any case: a response without CORS headers is one that a page can't read.
//
// CORS headers of the upstream are replaced. Of several handlers on the way of a request
// the first decides.
type CORS struct {
	// The origins of pages that may read: exact, as browsers send them
	// (`https://app.example.com`), with a wildcard for the first label
	// (`https://*.example.com`), or `*` for all but `null`, which has to be named.
	Origins []string `json:"origins,omitempty"`

	// Regular expressions that match a whole origin.
	OriginRegexp []string `json:"origin_regexp,omitempty"`

	// The methods that a page may use. Default: GET, HEAD, POST, PUT, PATCH and DELETE.
	Methods []string `json:"methods,omitempty"`

	// The request headers that a page may set, or `*` alone. Default: Accept,
	// Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match,
	// Last-Event-ID, X-API-Key, X-Request-Id and X-Requested-With.
	Headers []string `json:"headers,omitempty"`

	// The response headers that a page may read besides Retry-After, RateLimit,
	// RateLimit-Policy, X-RateLimit-*, X-Request-Id and WWW-Authenticate. `none` alone
	// takes those away too. Default: those.
	Expose []string `json:"expose,omitempty"`

	// Whether browsers may send cookies and client certificates. Bearer tokens and API
	// keys that a script sets do not need it. Default: no.
	Credentials bool `json:"credentials,omitempty"`

	// How long browsers may keep the answer to a preflight, in whole seconds; 0 is not
	// at all. Default: 10m.
	MaxAge *caddy.Duration `json:"max_age,omitempty"`

	// Whether pages of public sites may reach this gateway in a private network.
	// Default: no.
	PrivateNetwork bool `json:"private_network,omitempty"`

	enforcer request.Enforcer
	policy   *cors.Policy
}

// defaultMaxAge bounds how long a browser goes by an answer that has changed since.
const defaultMaxAge = 10 * time.Minute

// CaddyModule returns the Caddy module information.
func (CORS) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.gateway_cors", New: func() caddy.Module { return new(CORS) }}
}

// Provision makes the policy.
func (h *CORS) Provision(ctx caddy.Context) error {
	app, err := gateway.FromContext(ctx)
	if err != nil {
		return err
	}
	if err := h.Check(app); err != nil {
		return err
	}
	h.enforcer = request.NewEnforcer(request.PolicyCORS, ctx.Logger(), app.Journal())
	if h.policy.Null() && h.Credentials {
		ctx.Logger().Warn("gateway_cors: every page can give itself the origin null, in a sandboxed frame, and may then act for your users, with their cookies")
	}
	member := h.enforcer.Member("gateway_cors")
	member.Origins = h
	return sitehandler.Join(ctx, member)
}

// Check makes the policy and finds every mistake in it.
func (h *CORS) Check(*gateway.App) error {
	c := cors.Config{
		Origins: h.Origins, Expressions: h.OriginRegexp, Methods: h.Methods, Headers: h.Headers, Expose: h.Expose,
		Credentials: h.Credentials, MaxAge: defaultMaxAge, PrivateNetwork: h.PrivateNetwork,
	}
	if h.MaxAge != nil {
		c.MaxAge = time.Duration(*h.MaxAge)
	}
	var err error
	h.policy, err = cors.New(c)
	return err
}

// ServeHTTP answers preflights, and calls the next handler for any other request.
func (h *CORS) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	x := request.ExchangeOf(r)
	if x.Origin == nil {
		begun := request.PolicyCORS.Begin()
		a := h.policy.Decide(r)
		request.PolicyCORS.End(begun)
		x.Origin = a
		if a.Denial == nil && a.Origin != "" {
			x.Step(request.PolicyCORS, request.Passed, &told{a})
		}
		if a.Denial != nil {
			err := h.enforcer.Refuse(w, r, x, a.Denial)
			a.SetHeader(w.Header())
			return err
		}
		if a.Preflight {
			x.EnsureRequestID(r)
			x.HeaderWriter(w).WriteHeader(http.StatusNoContent)
			return nil
		}
	}
	if x.HasHeaderWriter {
		return next.ServeHTTP(w, r)
	}
	err := next.ServeHTTP(x.HeaderWriter(w), r)
	// What is around writes past that writer: the routes of handle_errors, and Caddy
	// where there are none.
	x.HasHeaderWriter = false
	x.Origin.SetHeader(w.Header())
	return err
}

// Allows reports whether a request is of a page that may read the response.
func (h *CORS) Allows(r *http.Request) bool { return h.policy.Decide(r).Allowed }

// told is an answer as a step of the decision.
type told struct{ answer *cors.Answer }

// Describe says whose request it was and whether the page may read the response.
func (t *told) Describe(_ *plugins.Principal, into *decision.Step) {
	found := "origin " + t.answer.Origin
	if !t.answer.Allowed {
		found += ", which may not read the response"
	}
	into.SetFound(decision.Text(found), decision.Text(t.answer.Bound()))
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*CORS)(nil)
	_ caddyhttp.MiddlewareHandler = (*CORS)(nil)
	_ sitehandler.Origins         = (*CORS)(nil)
)
