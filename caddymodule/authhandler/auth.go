// Package authhandler is the directive gateway_auth, which asks who is calling, and the
// same for the authentication of Caddy.
package authhandler

import (
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"slices"
	"time"

	"github.com/ainative/portcullis/caddymodule/gateway"
	"github.com/ainative/portcullis/caddymodule/internal/pool"
	"github.com/ainative/portcullis/caddymodule/request"
	"github.com/ainative/portcullis/caddymodule/sitehandler"
	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/auth"
	"github.com/ainative/portcullis/plugins/auth/bearer/mint"
	"github.com/ainative/portcullis/plugins/ratelimit"
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	caddy.RegisterModule(Auth{})
	httpcaddyfile.RegisterHandlerDirective("gateway_auth", gateway.ParseHandler[Auth])
}

// Auth asks who is calling. It takes one credential from the request, `Bearer`
// tokens and API keys in Authorization or X-API-Key, and refuses the request
// with 401 if there is none, if it is bad, or if there are two different ones.
// What could not be checked is 503, never a yes.
//
// Client copies of the identity headers are removed in every spelling. After it
// the upstream gets X-User-Id, X-User-Role, X-User-Roles, X-User-Tier,
// X-Auth-Scheme and X-Api-Key-Id, and the placeholders
// {http.auth.user.id|owner|role|roles|tier|scheme|key_id|scopes|issuer} are set.
type Auth struct {
	// The kinds of credential that are taken, in the order in which they are
	// asked. Default: `bearer`, `api_key`.
	Schemes []string `json:"schemes,omitempty"`

	// Names of the issuers whose tokens are taken. Default: all.
	Issuers []string `json:"issuers,omitempty"`

	// The header of API keys. Default: `X-API-Key`.
	KeyHeader string `json:"key_header,omitempty"`

	// The realm in WWW-Authenticate. Default: `api`.
	Realm string `json:"realm,omitempty"`

	// Let requests without a credential go on as anonymous. A bad one is still
	// refused.
	Optional bool `json:"optional,omitempty"`

	// Log what would be refused and refuse nothing. Requests that would be refused
	// go on as anonymous, without their credential unless forward_credentials is
	// set too.
	Shadow bool `json:"shadow,omitempty"`

	// How many failed attempts one client address, or IPv6 /64, has before it gets
	// 429: a limit such as `20/1m`, or `off`. Good credentials always pass.
	// Default: `20/1m`.
	Failures string `json:"failures,omitempty"`

	// Let credentials travel on to the upstream, which checks them itself; in
	// shadow mode bad ones too. Default: they are removed.
	ForwardCredentials bool `json:"forward_credentials,omitempty"`

	// The paths of the API's own log-in, such as `/v1/auth/*`. Requests for them pass with
	// their credential as it came, also without one or with one that is expired: the API
	// judges it. Answers of 400, 401 and 403 count as failed attempts. Default: none.
	LoginRoutes []string `json:"login_routes,omitempty"`

	// IdentityToken sends the upstream a signed token that says who calls, in
	// X-Gateway-Identity, so that it can prove that the request came through the
	// gateway. Default: none.
	IdentityToken *IdentityToken `json:"identity_token,omitempty"`

	app          *gateway.App
	judge        request.Judge
	minter       *mint.Minter
	chain        auth.Chain
	headers      auth.Headers
	failures     []ratelimit.Limit
	failureCount ratelimit.Limiter
	login        loginRoutes
	acquired     []pool.Release
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
	a.judge = request.NewJudge(request.PolicyAuth, ctx.Logger(), a.app.Journal())
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
	if err := sitehandler.Join(ctx, a.judge.Member("gateway_auth")); err != nil {
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

// failuresZone counts failed attempts, apart from every limit of the config: a
// flood of bad credentials must not push out a caller's count.
const failuresZone = "\x00failures"

// Check finds every mistake that can be found without secrets and sets the
// parsed form of Failures.
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

// schemes is what is configured, or every scheme for which there is something to
// check against.
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

// Cleanup gives the count of failures back.
func (a *Auth) Cleanup() error {
	for _, release := range a.acquired {
		release()
	}
	a.acquired = nil
	return nil
}

// ServeHTTP calls the next handler for callers that it knows.
func (a *Auth) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if a.minter != nil && a.IdentityToken.serves(r) {
		return a.IdentityToken.serveKeys(w, a.minter)
	}
	x := request.Of(r)
	if d := sitehandler.CheckRewritten(r); d != nil {
		if !a.Shadow {
			return a.judge.Refuse(w, r, x, d)
		}
		a.judge.Shadow(r, x, d, nil)
	}
	if a.login.match(r) {
		return a.serveLogin(w, r, x, next)
	}

	if x.Principal != nil && a.accepts(x.Principal) && !a.carries(r) {
		// An earlier gateway_auth of this route took the credential.
		return next.ServeHTTP(w, r)
	}
	begun := request.PolicyAuth.Begin()
	principal, denial, failure := a.Identify(r, x)
	request.PolicyAuth.End(begun)
	if denial != nil && denial.Reason == plugins.ReasonNoCredential && a.Optional {
		x.Step(request.PolicyAuth, request.Anonymous, nil)
		return next.ServeHTTP(w, r)
	}
	if !a.ForwardCredentials {
		a.headers.StripCredentials(r.Header)
	}
	switch {
	case principal != nil:
		if err := a.admit(r, x, principal); err != nil {
			return a.judge.Undecided(w, r, x, err)
		}
		if x.CredentialIn != "Authorization" {
			// An answer to a key is private: the final header says so.
			w = x.FinishHeader(w)
		}
		return next.ServeHTTP(w, r)
	case a.Shadow:
		a.judge.Shadow(r, x, denial, failure)
		return next.ServeHTTP(w, r)
	case failure != nil:
		return a.judge.Undecided(w, r, x, failure)
	}
	return a.Deny(w, r, x, denial)
}

// Identify finds the caller: exactly one of a principal, a denial and a failure.
func (a *Auth) Identify(r *http.Request, x *request.Exchange) (*plugins.Principal, *plugins.Denial, error) {
	if p := x.Described(); p != nil {
		return p, nil, nil
	}
	credential, found, denial := a.headers.Find(r)
	switch {
	case denial != nil:
		return nil, denial, nil
	case found:
		x.CredentialIn = a.headers.Name(credential.Source)
		credential.ClientIP, credential.DryRun = request.ClientIP(r), x.IsDryRun()
		return a.chain.Authenticate(r.Context(), credential)
	}
	if denial := a.headers.Misplaced(r, a.Optional); denial != nil {
		return nil, denial, nil
	}
	return nil, auth.DenyToken(plugins.ReasonNoCredential, "no credential", "Authorization or "+a.keyHeader()), nil
}

// Find finds the credential of a request. The denial is of one that is given twice or
// in the wrong place.
func (a *Auth) Find(r *http.Request) (c auth.Credential, found bool, denial *plugins.Denial) {
	return a.headers.Find(r)
}

// Challenge is the value of WWW-Authenticate for a denial.
func (a *Auth) Challenge(d *plugins.Denial) string { return a.headers.Challenge(a.Realm, d) }

// Undecided answers for a credential that could not be checked.
func (a *Auth) Undecided(w http.ResponseWriter, r *http.Request, x *request.Exchange, err error) error {
	return a.judge.Undecided(w, r, x, err)
}

// admit tells everybody further on who calls.
func (a *Auth) admit(r *http.Request, x *request.Exchange, p *plugins.Principal) error {
	x.Principal = p
	x.Step(request.PolicyAuth, request.Passed, p)
	role, tier := a.app.Hierarchy().Primary(p.Roles), a.app.TierOf(p).Name
	auth.SetIdentity(r.Header, p, role, tier)
	request.SetUserPlaceholders(r, p, role, tier)
	if a.minter == nil {
		return nil
	}
	token, err := a.minter.Mint(p, tier)
	if err != nil {
		return fmt.Errorf("signing the identity token: %w", err)
	}
	r.Header[auth.HeaderGatewayIdentity] = []string{token}
	return nil
}

// carries reports whether the request has anything where credentials are read.
func (a *Auth) carries(r *http.Request) bool {
	return len(r.Header["Authorization"]) != 0 || (a.headers.Key != "" && len(r.Header[a.headers.Key]) != 0)
}

// accepts reports whether a principal that an earlier gateway_auth found would
// have been found by this one.
func (a *Auth) accepts(p *plugins.Principal) bool {
	return slices.Contains(a.schemes(a.app), p.Scheme) &&
		(p.Scheme != plugins.SchemeBearer || len(a.Issuers) == 0 || slices.Contains(a.Issuers, p.Issuer))
}

// Deny answers a bad or missing credential with its challenge, or with 429 for
// an address that has failed too often. Only failures are counted and asked
// about, so that a good credential from the same address always passes.
func (a *Auth) Deny(w http.ResponseWriter, r *http.Request, x *request.Exchange, d *plugins.Denial) error {
	if d.Reason != plugins.ReasonNoCredential {
		if slowed := a.countFailure(r, x); slowed != nil {
			slowed.Value, slowed.Of = string(d.Reason)+", "+slowed.Value, d.Of
			return a.judge.Refuse(w, r, x, slowed)
		}
	}
	d.Challenges = []string{a.Challenge(d)}
	return a.judge.Refuse(w, r, x, d)
}

// countFailure counts a failed attempt. The denial is that of an address that has failed
// too often.
func (a *Auth) countFailure(r *http.Request, x *request.Exchange) *plugins.Denial {
	key, ok := a.failureKey(r)
	if !ok {
		return nil
	}
	decision, err := x.Take(r.Context(), a.failureCount, key, a.failures, 1, nil)
	if err != nil || decision.Allowed {
		return nil
	}
	return a.tooManyFailures(decision.RetryAfter)
}

func (a *Auth) tooManyFailures(wait time.Duration) *plugins.Denial {
	d := ratelimit.TooMany(wait)
	d.Reason = plugins.ReasonAuthFailures
	d.Value = "too many failed attempts from this address"
	d.Bound = a.Failures
	return d
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*Auth)(nil)
	_ caddy.CleanerUpper          = (*Auth)(nil)
	_ caddyhttp.MiddlewareHandler = (*Auth)(nil)
)
