package authhandler

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/ainative/portcullis/caddymodule/request"
	"github.com/ainative/portcullis/caddymodule/sitehandler"
	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/auth"
	"github.com/ainative/portcullis/plugins/ratelimit"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// ServeHTTP calls the next handler for authenticated callers.
func (a *Auth) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if a.minter != nil && a.IdentityToken.serves(r) {
		return a.IdentityToken.serveKeys(w, a.minter)
	}
	x := request.ExchangeOf(r)
	if d := sitehandler.CheckRewritten(r); d != nil {
		if !a.Shadow {
			return a.enforcer.Refuse(w, r, x, d)
		}
		a.enforcer.Shadow(r, x, d, nil)
	}
	if a.login.match(r) {
		return a.serveLogin(w, r, x, next)
	}
	if x.Principal != nil && a.accepts(x.Principal) && !a.carries(r) {
		// An earlier gateway_auth of this route took the credential.
		return next.ServeHTTP(w, r)
	}
	principal, denial, failure := a.authenticate(r, x)
	switch {
	case principal != nil && x.CredentialIn != "Authorization":
		// An answer to a key is private: the final header says so.
		return next.ServeHTTP(x.HeaderWriter(w), r)
	case principal != nil:
		return next.ServeHTTP(w, r)
	case a.Optional && denial != nil && denial.Reason == plugins.ReasonNoCredential:
		x.Step(request.PolicyAuth, request.Anonymous, nil)
		return next.ServeHTTP(w, r)
	}
	// Neither the upstream of shadow mode nor a route of handle_errors gets it.
	a.stripCredentials(r)
	switch {
	case a.Shadow:
		a.enforcer.Shadow(r, x, denial, failure)
		return next.ServeHTTP(w, r)
	case failure != nil:
		return a.Undecided(w, r, x, failure)
	}
	return a.Deny(w, r, x, denial)
}

// carries reports whether the request has a header that may hold a credential.
func (a *Auth) carries(r *http.Request) bool {
	return len(r.Header["Authorization"]) != 0 || (a.headers.Key != "" && len(r.Header[a.headers.Key]) != 0)
}

// accepts reports whether this handler, too, would accept a principal that an earlier
// gateway_auth found.
func (a *Auth) accepts(p *plugins.Principal) bool {
	return slices.Contains(a.schemes(a.app), p.Scheme) &&
		(p.Scheme != plugins.SchemeBearer || len(a.Issuers) == 0 || slices.Contains(a.Issuers, p.Issuer))
}

// authenticate finds the caller and admits them. Exactly one of the principal, the denial
// and the failure is set.
func (a *Auth) authenticate(r *http.Request, x *request.Exchange) (*plugins.Principal, *plugins.Denial, error) {
	begun := request.PolicyAuth.Begin()
	p, denial, failure := a.Identify(r, x)
	request.PolicyAuth.End(begun)
	if p == nil {
		return nil, denial, failure
	}
	if err := a.admit(r, x, p); err != nil {
		return nil, nil, err
	}
	a.stripCredentials(r)
	return p, nil, nil
}

// Identify finds the caller. Exactly one of the principal, the denial and the failure is
// set.
func (a *Auth) Identify(r *http.Request, x *request.Exchange) (*plugins.Principal, *plugins.Denial, error) {
	if p := x.DescribedCaller(); p != nil {
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

// admit passes the caller on: to later handlers, to placeholders and to the upstream.
func (a *Auth) admit(r *http.Request, x *request.Exchange, p *plugins.Principal) error {
	tier := a.app.TierOf(p).Name
	token := ""
	if a.minter != nil {
		var err error
		if token, err = a.minter.Mint(p, tier); err != nil {
			return fmt.Errorf("signing the identity token: %w", err)
		}
	}
	x.Principal = p
	x.Step(request.PolicyAuth, request.Passed, p)
	role := a.app.Hierarchy().Primary(p.Roles)
	auth.SetIdentity(r.Header, p, role, tier)
	request.SetUserPlaceholders(r, p, role, tier)
	if token != "" {
		r.Header[auth.HeaderGatewayIdentity] = []string{token}
	}
	return nil
}

// stripCredentials removes the credential from the request, unless the upstream wants it.
func (a *Auth) stripCredentials(r *http.Request) {
	if !a.ForwardCredentials {
		a.headers.StripCredentials(r.Header)
	}
}

// Undecided answers a request whose credential could not be checked.
func (a *Auth) Undecided(w http.ResponseWriter, r *http.Request, x *request.Exchange, err error) error {
	return a.enforcer.Undecided(w, r, x, err)
}

// Deny answers a bad or missing credential with its challenge, or with 429 for an address
// that has failed too often. It counts failures only, so that a good credential from the
// same address always passes.
func (a *Auth) Deny(w http.ResponseWriter, r *http.Request, x *request.Exchange, d *plugins.Denial) error {
	if d.Reason != plugins.ReasonNoCredential {
		if tooMany := a.countFailure(r, x); tooMany != nil {
			tooMany.Value, tooMany.Of = string(d.Reason)+", "+tooMany.Value, d.Of
			return a.enforcer.Refuse(w, r, x, tooMany)
		}
	}
	d.Challenges = []string{a.Challenge(d)}
	return a.enforcer.Refuse(w, r, x, d)
}

// Challenge is the value of WWW-Authenticate for a denial.
func (a *Auth) Challenge(d *plugins.Denial) string { return a.headers.Challenge(a.Realm, d) }

// countFailure counts a failed attempt. It returns a denial if the client's address has
// failed too often.
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

// Find finds the credential of a request. It returns a denial if the request has two
// credentials, or one in the wrong place.
func (a *Auth) Find(r *http.Request) (c auth.Credential, found bool, denial *plugins.Denial) {
	return a.headers.Find(r)
}
