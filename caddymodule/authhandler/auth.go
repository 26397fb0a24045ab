// Package authhandler has the directive gateway_auth, which authenticates the caller, and
// a provider that does the same for Caddy's own `authentication` handler.
package authhandler

import (
	"errors"
	"fmt"
	"net/textproto"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/ainative/portcullis/caddymodule/gateway"
	"github.com/ainative/portcullis/caddymodule/internal/pool"
	"github.com/ainative/portcullis/caddymodule/request"
	"github.com/ainative/portcullis/caddymodule/sitehandler"
	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/auth"
	"github.com/ainative/portcullis/plugins/auth/bearer/mint"
	"github.com/ainative/portcullis/plugins/ratelimit"
)

func init() {
	caddy.RegisterModule(Auth{})
	httpcaddyfile.RegisterHandlerDirective("gateway_auth", gateway.ParseDirective[Auth])
}

// Auth authenticates the caller. It takes one credential from the request, a `Bearer`
// token or an API key, in Authorization or X-API-Key. It refuses the request with 401 if
// there is no credential, a bad one, or two different ones. A credential that can't be
// checked gets 503 and is never accepted.
//
// Client copies of the identity headers are removed in every spelling. The upstream gets
// X-User-Id, X-User-Role, X-User-Roles, X-User-Tier, X-Auth-Scheme and X-Api-Key-Id, and
// the placeholders
// {http.auth.user.id|owner|role|roles|tier|scheme|key_id|scopes|issuer} are set.
type Auth struct {
	// The accepted kinds of credential, in the order in which they are tried. Default:
	// `bearer`, `api_key`.
	Schemes []string `json:"schemes,omitempty"`

	// Names of the issuers whose tokens are accepted. Default: all.
	Issuers []string `json:"issuers,omitempty"`

	// The header of API keys. Default: `X-API-Key`.
	KeyHeader string `json:"key_header,omitempty"`

	// The realm in WWW-Authenticate. Default: `api`.
	Realm string `json:"realm,omitempty"`

	// Let requests without a credential pass as anonymous. A bad credential is still
	// refused.
	Optional bool `json:"optional,omitempty"`

	// Log refusals and let the requests pass as anonymous, without their credential
	// unless forward_credentials is set too.
	Shadow bool `json:"shadow,omitempty"`

	// How many failed attempts one client address, or IPv6 /64, may make before it gets
	// 429: a limit such as `20/1m`, or `off`. Good credentials always pass.
	// Default: `20/1m`.
	Failures string `json:"failures,omitempty"`

	// Forward credentials to an upstream that checks them itself; in shadow mode bad
	// ones too. Default: they are removed.
	ForwardCredentials bool `json:"forward_credentials,omitempty"`

	// The paths of the API's own log-in, such as `/v1/auth/*`. Requests for them pass with
	// their credential as it came, also without one or with one that is expired: the API
	// judges it. Answers of 400, 401 and 403 count as failed attempts. Default: none.
	LoginRoutes []string `json:"login_routes,omitempty"`

	// IdentityToken sends the upstream a signed token that names the caller, in
	// X-Gateway-Identity. It proves that the request came through the gateway.
	// Default: none.
	IdentityToken *IdentityToken `json:"identity_token,omitempty"`

	app          *gateway.App
	enforcer     request.Enforcer
	minter       *mint.Minter
	chain        auth.Chain
	headers      auth.Headers
	failures     []ratelimit.Limit
	failureCount ratelimit.Limiter
	login        loginRoutes
	acquired     pool.Held
}

// CaddyModule returns the Caddy module information.
func (Auth) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.gateway_auth", New: func() caddy.Module { return new(Auth) }}
}

// Provision finds the schemes in the gateway app.
func (a *Auth) Provision(ctx caddy.Context) error {
	var err error
	if a.app, err = gateway.FromContext(ctx); err != nil {
		return err
	}
	a.enforcer = request.NewEnforcer(request.PolicyAuth, ctx.Logger(), a.app.Journal())
	if err := a.Check(a.app); err != nil {
		return err
	}
	for _, scheme := range a.schemes(a.app) {
		made, err := a.app.Scheme(scheme, a.Issuers)
		if err != nil {
			return err
		}
		a.chain = append(a.chain, made)
	}
	if a.Realm == "" {
		a.Realm = auth.DefaultRealm
	}
	if slices.Contains(a.schemes(a.app), plugins.SchemeAPIKey) {
		a.headers.Key = textproto.CanonicalMIMEHeaderKey(a.keyHeader())
	}
	if err := sitehandler.Join(ctx, a.enforcer.Member("gateway_auth")); err != nil {
		return err
	}
	if err := a.login.provision(ctx, a.LoginRoutes); err != nil {
		return err
	}
	if a.IdentityToken != nil {
		if a.minter, err = a.IdentityToken.minter(); err != nil {
			return err
		}
	}
	if len(a.failures) != 0 {
		var release pool.Release
		if a.failureCount, release, err = gateway.AcquireMemory(failuresZone, 0); err != nil {
			return err
		}
		a.acquired = append(a.acquired, release)
	}
	return nil
}

// failuresZone counts failed attempts. It is separate from every configured zone: a flood
// of bad credentials must not evict a caller's count.
const failuresZone = "\x00failures"

// Check returns every mistake that can be found without secrets, and parses Failures.
func (a *Auth) Check(app *gateway.App) error {
	var errs []error
	for i, scheme := range a.Schemes {
		if scheme != plugins.SchemeBearer && scheme != plugins.SchemeAPIKey {
			errs = append(errs, fmt.Errorf("unknown scheme %s: write `schemes bearer api_key`, or one of the two", scheme))
		}
		if slices.Contains(a.Schemes[:i], scheme) {
			errs = append(errs, fmt.Errorf("scheme %s is named twice", scheme))
		}
	}
	if slices.Contains(a.Schemes, plugins.SchemeBearer) && len(app.Issuers) == 0 {
		errs = append(errs, gateway.ErrNoIssuers)
	}
	for _, name := range a.Issuers {
		if !slices.ContainsFunc(app.Issuers, func(i gateway.Issuer) bool { return i.Name == name }) {
			errs = append(errs, fmt.Errorf("unknown issuer %s: add `issuer %s { ... }` to the global gateway block", name, name))
		}
	}
	if err := auth.KeyHeaderUsable(a.keyHeader()); err != nil {
		errs = append(errs, fmt.Errorf("key_header: %w: name another header, like X-API-Key", err))
	}
	if err := checkLoginRoutes(a.LoginRoutes); err != nil {
		errs = append(errs, err)
	}
	if a.Failures == "" {
		a.Failures = "20/1m"
	}
	if a.IdentityToken != nil {
		if err := a.IdentityToken.check(); err != nil {
			errs = append(errs, err)
		}
	}
	if a.Failures != "off" {
		limits, err := ratelimit.ParseLimits([]string{a.Failures})
		if err != nil {
			errs = append(errs, fmt.Errorf("failures: %w, or `failures off`", err))
		}
		a.failures = limits
	}
	return errors.Join(errs...)
}

// schemes are the configured schemes; by default those that can be checked: tokens only
// where there is an issuer.
func (a *Auth) schemes(app *gateway.App) []string {
	switch {
	case len(a.Schemes) != 0:
		return a.Schemes
	case len(app.Issuers) == 0:
		return []string{plugins.SchemeAPIKey}
	}
	return []string{plugins.SchemeBearer, plugins.SchemeAPIKey}
}

func (a *Auth) keyHeader() string {
	if a.KeyHeader == "" {
		return auth.DefaultKeyHeader
	}
	return a.KeyHeader
}

// Cleanup releases the count of failures.
func (a *Auth) Cleanup() error {
	a.acquired.Release()
	return nil
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*Auth)(nil)
	_ caddy.CleanerUpper          = (*Auth)(nil)
	_ caddyhttp.MiddlewareHandler = (*Auth)(nil)
)
