// Package accounthandler is the directive gateway_accounts: log-in, tokens and API keys in
// front of an API that has none of it.
package accounthandler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/ainative/portcullis/caddymodule/authhandler"
	"github.com/ainative/portcullis/caddymodule/gateway"
	"github.com/ainative/portcullis/caddymodule/internal/pool"
	"github.com/ainative/portcullis/caddymodule/limithandler"
	"github.com/ainative/portcullis/caddymodule/request"
	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/accounts"
	"github.com/ainative/portcullis/plugins/auth/bearer"
	"github.com/ainative/portcullis/plugins/auth/bearer/mint"
	"github.com/ainative/portcullis/plugins/ratelimit"
)

func init() {
	caddy.RegisterModule(Accounts{})
	httpcaddyfile.RegisterDirective("gateway_accounts", parseAccounts)
}

// Accounts serves log-in, tokens and API keys itself, in front of an API that has
// none of it: people register and log in with a password, renew and revoke their
// tokens, see who they are, what they have used, and keep API keys of their own.
//
// It answers its own paths below Prefix and passes everything else on, to
// gateway_auth first, which takes the tokens that it gives.
type Accounts struct {
	// The path below which the paths are, such as `/v1`; `/` for the root.
	Prefix string `json:"prefix"`

	// The issuer that signs the tokens: its name in the gateway app. It must have a
	// secret or a private key. Default: the only one that has.
	Issuer string `json:"issuer,omitempty"`

	// Whether anybody can register: `open` or `closed`. Default: `closed`.
	Registration string `json:"registration,omitempty"`

	// The fields that a registration must have besides `email` and `password`, and not
	// blank: `full_name`. Default: none.
	Require []string `json:"require,omitempty"`

	// How long a token is good. Default: 8h, or the issuer's max_lifetime if that is
	// shorter.
	TokenLifetime caddy.Duration `json:"token_lifetime,omitempty"`

	// How long past its end a token can still be refreshed. Default: 24h.
	RefreshWindow *caddy.Duration `json:"refresh_window,omitempty"`

	// How long a token that was refreshed still gets the same new token, so that two
	// tabs, or a client that lost the answer, do not end their log-in: up to `1m`. With 0
	// every second refresh of a token ends its log-in. Default: 10s.
	RefreshReuseInterval *caddy.Duration `json:"refresh_reuse_interval,omitempty"`

	// Role given to newly registered users. Default: the app's default role.
	DefaultRole string `json:"default_role,omitempty"`

	// Tier given to newly registered users. Default: the app's default tier.
	DefaultTier string `json:"default_tier,omitempty"`

	// How often a client address, or IPv6 /64, may fail to log in, and may register: a
	// limit such as `5/1m`, or `off`. Addresses that have failed share four times as
	// much at one account; an address that has not failed is never refused. Default:
	// `5/1m`.
	LoginLimit string `json:"login_limit,omitempty"`

	// How many API keys an owner may have at once. Default: 20.
	KeysPerOwner int `json:"keys_per_owner,omitempty"`

	// How long an API key that was made with a token of another issuer lasts, at most: the
	// gateway can't tell when that issuer withdraws a right. Default: as long as the token.
	ForeignKeyLifetime caddy.Duration `json:"foreign_key_lifetime,omitempty"`

	// KeyHeader, Realm and Failures are those of gateway_auth, for the callers of these
	// paths.
	KeyHeader string `json:"key_header,omitempty"`
	Realm     string `json:"realm,omitempty"`
	Failures  string `json:"failures,omitempty"`

	app     *gateway.App
	judge   request.Enforcer
	auth    authhandler.Auth
	limit   limithandler.RateLimit
	service *accounts.Service
	signer  *mint.Signer
	scheme  *bearer.Scheme
	login   accounts.Rate
	window  time.Duration
	reuse   time.Duration
	prefix  string

	acquired pool.Held
}

// What Registration can be.
const (
	registrationOpen   = "open"
	registrationClosed = "closed"
)

const (
	defaultRefreshWindow = 24 * time.Hour
	maxRefreshWindow     = 30 * 24 * time.Hour
	defaultReuseInterval = 10 * time.Second
	maxReuseInterval     = time.Minute
	defaultLoginLimit    = "5/1m"
	defaultKeysPerOwner  = 20

	maxForeignKeyLifetime = 3650 * 24 * time.Hour
)

// CaddyModule returns the Caddy module information.
func (Accounts) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.gateway_accounts", New: func() caddy.Module { return new(Accounts) }}
}

// Check finds every mistake that can be found without secrets, and sets defaults.
func (a *Accounts) Check(app *gateway.App) error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	a.prefix = strings.TrimSuffix(a.Prefix, "/")
	if !strings.HasPrefix(a.Prefix, "/") || strings.ContainsAny(a.Prefix, "*{}?#% ") || strings.Contains(a.Prefix, "//") || strings.Contains(a.Prefix, "/.") {
		fail("gateway_accounts needs the prefix of its paths, got %q: write `gateway_accounts /v1`, or `/` for none", a.Prefix)
	}
	issuer := a.issuer(app)
	switch {
	case a.Issuer == "" && issuer == nil:
		fail("gateway_accounts needs an issuer that signs: write `issuer NAME`, the name of one in the global gateway block with `secret` or `private_key`")
	case issuer == nil:
		fail("unknown issuer %s: add `issuer %s { ... }` to the global gateway block", a.Issuer, a.Issuer)
	case !issuer.CanSign():
		fail("issuer %s has nothing to sign with: give it `secret` or `private_key` instead of public keys", issuer.Name)
	default:
		a.Issuer = issuer.Name
		longest := issuer.LongestLifetime()
		a.TokenLifetime = cmp.Or(a.TokenLifetime, caddy.Duration(min(bearer.DefaultMaxLifetime, longest)))
		if lifetime := time.Duration(a.TokenLifetime); lifetime < time.Second || lifetime > longest || lifetime%time.Second != 0 {
			fail("token_lifetime %s: write whole seconds, up to %s, the max_lifetime of issuer %s", lifetime, longest, issuer.Name)
		}
	}
	a.window = defaultRefreshWindow
	if a.RefreshWindow != nil {
		a.window = time.Duration(*a.RefreshWindow)
	}
	if a.window < 0 || a.window > maxRefreshWindow {
		fail("refresh_window %s: write a duration up to 30d", a.window)
	}
	a.reuse = defaultReuseInterval
	if a.RefreshReuseInterval != nil {
		a.reuse = time.Duration(*a.RefreshReuseInterval)
	}
	if a.reuse < 0 || a.reuse > maxReuseInterval || a.reuse%time.Second != 0 {
		fail("refresh_reuse_interval %s: write whole seconds up to 1m, or 0", a.reuse)
	}
	a.Registration = cmp.Or(a.Registration, registrationClosed)
	if a.Registration != registrationOpen && a.Registration != registrationClosed {
		fail("registration %s: write `registration open` or `registration closed`", a.Registration)
	}
	for i, field := range a.Require {
		if !slices.Contains(accounts.RegistrationFields, field) || slices.Contains(a.Require[:i], field) {
			fail("require %s: name each of these once at most: %s", field, strings.Join(accounts.RegistrationFields, ", "))
		}
	}
	a.DefaultRole = cmp.Or(a.DefaultRole, app.DefaultRole)
	if !app.Hierarchy().Knows(a.DefaultRole) {
		fail("default_role %q is not defined: add `role NAME` to the global gateway block, or use one of %s", a.DefaultRole, strings.Join(app.Hierarchy().Names(), ", "))
	}
	a.DefaultTier = cmp.Or(a.DefaultTier, app.DefaultTier)
	if app.Tier(a.DefaultTier) == nil {
		fail("default_tier %s is not defined: use one of %s", a.DefaultTier, strings.Join(app.TierNames(), ", "))
	}
	a.LoginLimit = cmp.Or(a.LoginLimit, defaultLoginLimit)
	if a.LoginLimit != "off" {
		limits, err := ratelimit.ParseLimits([]string{a.LoginLimit})
		if err != nil {
			fail("login_limit: %w, or `login_limit off`", err)
		} else {
			a.login = accounts.Rate(limits[0])
		}
	}
	a.KeysPerOwner = cmp.Or(a.KeysPerOwner, defaultKeysPerOwner)
	if a.KeysPerOwner < 1 || a.KeysPerOwner > 10_000 {
		fail("keys_per_owner %d: write a whole number from 1 to 10000", a.KeysPerOwner)
	}
	if lifetime := time.Duration(a.ForeignKeyLifetime); lifetime != 0 && lifetime < time.Second || lifetime > maxForeignKeyLifetime {
		fail("foreign_key_lifetime %s: write a duration from 1s to 3650d", lifetime)
	}
	a.auth = authhandler.Auth{KeyHeader: a.KeyHeader, Realm: a.Realm, Failures: a.Failures}
	if err := a.auth.Check(app); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// issuer is the issuer that the configuration names, or else the only one that can sign.
func (a *Accounts) issuer(app *gateway.App) *gateway.Issuer {
	var found *gateway.Issuer
	for i := range app.Issuers {
		issuer := &app.Issuers[i]
		switch {
		case a.Issuer != "" && issuer.Name == a.Issuer:
			return issuer
		case a.Issuer == "" && issuer.CanSign():
			if found != nil {
				return nil
			}
			found = issuer
		}
	}
	return found
}

// Provision makes the service.
func (a *Accounts) Provision(ctx caddy.Context) error {
	var err error
	if a.app, err = gateway.FromContext(ctx); err != nil {
		return err
	}
	if err := a.Check(a.app); err != nil {
		return err
	}
	a.judge = request.NewEnforcer(request.PolicyAccounts, ctx.Logger(), a.app.Journal())
	// Callers of these paths are known by what gateway_auth takes, and counted by
	// their tier as elsewhere.
	if err := a.auth.Provision(ctx); err != nil {
		return err
	}
	if err := a.limit.Provision(ctx); err != nil {
		return err
	}
	issuer := a.issuer(a.app)
	if err := a.useIssuer(issuer); err != nil {
		return issuer.Located(err)
	}
	h, releaseHasher := acquireHasher()
	a.acquired = append(a.acquired, releaseHasher)
	throttle, release, err := a.app.LimiterZone(accountsZone)
	if err != nil {
		return err
	}
	a.acquired = append(a.acquired, release)

	cfg := serviceConfig(a.app, h)
	cfg.Signer, cfg.Throttle, cfg.LoginLimit = accountSigner{a.signer}, accountThrottle{throttle}, a.login
	cfg.Issuer, cfg.Open = issuer.Name, a.Registration == registrationOpen
	cfg.TokenLifetime, cfg.RefreshWindow = time.Duration(a.TokenLifetime), a.window
	cfg.TokenKept = issuer.LongestLifetime() + bearer.MaxLeeway
	cfg.ReuseInterval, cfg.Require = a.reuse, a.Require
	cfg.IsRevoked = a.isRevoked
	cfg.KeysPerOwner, cfg.ForeignKeyLifetime = a.KeysPerOwner, time.Duration(a.ForeignKeyLifetime)
	cfg.DefaultRole, cfg.DefaultTier = a.DefaultRole, a.DefaultTier
	a.service = accounts.New(cfg)
	return nil
}

// isRevoked reports whether a token that was just signed is revoked.
func (a *Accounts) isRevoked(ctx context.Context, token plugins.Secret) (bool, error) {
	found, denial, err := a.scheme.Renewable(ctx, token.Reveal(), 0)
	return err == nil && (denial != nil || found.Revoked), err
}

// useIssuer makes the signer, and signs a token to see that the issuer's own rules
// take it: they may ask for claims that no account has.
func (a *Accounts) useIssuer(issuer *gateway.Issuer) error {
	var err error
	if a.signer, err = issuer.Signer(); err != nil {
		return err
	}
	if a.scheme, err = a.app.Verifier().Scheme(issuer.Name); err != nil {
		return err
	}
	now := time.Now()
	probe := accounts.Token{
		Subject: "subject", Role: a.DefaultRole, Tier: a.DefaultTier, Scopes: []string{"scope"}, ID: "id", Family: "family",
		IssuedAt: now, ExpiresAt: now.Add(time.Duration(a.TokenLifetime)),
	}
	token, err := accountSigner{a.signer}.Sign(probe)
	if err != nil {
		return fmt.Errorf("issuer %s: signing a token: %w", issuer.Name, err)
	}
	found, denial, err := a.scheme.Renewable(context.Background(), token, 0)
	switch {
	case err != nil:
		return fmt.Errorf("issuer %s: checking a token: %w", issuer.Name, err)
	case denial != nil:
		return fmt.Errorf("issuer %s would refuse the tokens of gateway_accounts, for %s: %s: take what they can't have out of `require`", issuer.Name, denial.Reason, denial.Value)
	}
	p := found.Principal
	if p.Subject != probe.Subject || !slices.Equal(p.Roles, []string{probe.Role}) || p.Tier != probe.Tier || !slices.Equal(p.Scopes, probe.Scopes) || p.TokenID != probe.ID || found.Family != probe.Family {
		return fmt.Errorf("issuer %s reads two things from one claim of its tokens: give each `claim` a path of its own", issuer.Name)
	}
	return nil
}

// Cleanup releases what is shared with other handlers.
func (a *Accounts) Cleanup() error {
	a.acquired.Release()
	return errors.Join(a.auth.Cleanup(), a.limit.Cleanup())
}

// ServeHTTP answers the paths of accounts, and calls the next handler for others.
func (a *Accounts) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	path, id, ok := a.find(r)
	if !ok {
		return next.ServeHTTP(w, r)
	}
	c := &accountCall{Accounts: a, w: w, r: r, x: request.ExchangeOf(r), id: id}
	serve := path[r.Method]
	if serve == nil && r.Method == http.MethodHead {
		serve = path[http.MethodGet]
	}
	if serve == nil {
		return c.refuseMethod(path)
	}
	return serve(c)
}

// Serves reports whether a request is for one of the paths of accounts.
func (a *Accounts) Serves(r *http.Request) bool {
	_, _, ok := a.find(r)
	return ok
}

// accountPath has what is served on a path, by method.
type accountPath map[string]func(*accountCall) error

// accountPaths are the paths below the prefix. {id} stands for the id of a key or of a
// request. The document of the directive has each of them.
var accountPaths = map[string]accountPath{
	"/auth/register":         {http.MethodPost: (*accountCall).register},
	"/auth/login-json":       {http.MethodPost: (*accountCall).logInJSON},
	"/auth/login":            {http.MethodPost: (*accountCall).logInForm},
	"/auth/refresh":          {http.MethodPost: (*accountCall).refresh},
	"/auth/logout":           {http.MethodPost: (*accountCall).logOut},
	"/auth/me":               {http.MethodGet: (*accountCall).me},
	"/auth/password":         {http.MethodPost: (*accountCall).changePassword},
	"/api-keys":              {http.MethodGet: (*accountCall).listKeys, http.MethodPost: (*accountCall).createKey},
	"/api-keys/{id}":         {http.MethodGet: (*accountCall).showKey, http.MethodPatch: (*accountCall).changeKey, http.MethodDelete: (*accountCall).revokeKey},
	"/api-keys/{id}/rotate":  {http.MethodPost: (*accountCall).rotateKey},
	"/support/{id}":          {http.MethodGet: (*accountCall).support},
	"/usage":                 {http.MethodGet: (*accountCall).usage},
	"/.well-known/jwks.json": {http.MethodGet: (*accountCall).publicKeys},
}

// keySet is where clients look for public keys, at the root too.
const keySet = "/.well-known/jwks.json"

// find returns the path that a request is for, with or without a slash at its end. A
// preflight is passed on to the handler that answers for CORS.
func (a *Accounts) find(r *http.Request) (path accountPath, id string, ok bool) {
	full := r.URL.Path
	if full == keySet && a.signer.Asymmetric() {
		return accountPaths[keySet], "", true
	}
	rest, below := strings.CutPrefix(full, a.prefix)
	if !below || r.Method == http.MethodOptions {
		return nil, "", false
	}
	rest = strings.TrimSuffix(rest, "/")
	if key, isKey := strings.CutPrefix(rest, "/api-keys/"); isKey {
		key, rotates := strings.CutSuffix(key, "/rotate")
		if key == "" || strings.Contains(key, "/") {
			return nil, "", false
		}
		if rotates {
			return accountPaths["/api-keys/{id}/rotate"], key, true
		}
		return accountPaths["/api-keys/{id}"], key, true
	}
	if request, isSupport := strings.CutPrefix(rest, "/support/"); isSupport {
		return accountPaths["/support/{id}"], request, request != "" && !strings.Contains(request, "/")
	}
	path, ok = accountPaths[rest]
	if rest == keySet && !a.signer.Asymmetric() {
		return nil, "", false
	}
	return path, "", ok
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*Accounts)(nil)
	_ caddy.CleanerUpper          = (*Accounts)(nil)
	_ caddyhttp.MiddlewareHandler = (*Accounts)(nil)
	_ accounts.Store              = accountStore{}
	_ accounts.Signer             = accountSigner{}
	_ accounts.Throttle           = accountThrottle{}
)
