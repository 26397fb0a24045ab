package caddymodule

import (
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/caddyauth"

	"github.com/ainative/portcullis/plugins"
)

// Provider lets Caddy's own `authentication` handler ask the gateway who is
// calling. It is for configurations that use that handler already; its only
// answer to a refusal is a 401, so that gateway_auth is better for new ones.
// The options are those of gateway_auth, without `optional`, `shadow` and
// `failures`.
type Provider struct {
	Auth
}

// CaddyModule returns the Caddy module information.
func (Provider) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.authentication.providers.gateway", New: func() caddy.Module { return new(Provider) }}
}

// Provision finds the schemes in the gateway app.
func (p *Provider) Provision(ctx caddy.Context) error {
	p.Failures = "off"
	return p.Auth.Provision(ctx)
}

// Authenticate implements caddyauth.Authenticator. An error means that it could
// not be checked.
func (p *Provider) Authenticate(w http.ResponseWriter, r *http.Request) (caddyauth.User, bool, error) {
	x := exchangeOf(r)
	x.stripIdentity(r)
	principal, denial, failure := p.identify(r, x)
	if failure != nil {
		x.step(policyAuth, stepUndecided, failure)
		return caddyauth.User{}, false, failure
	}
	if denial != nil {
		x.step(policyAuth, stepRefused, denial)
		w.Header().Add("WWW-Authenticate", p.headers.Challenge(p.Realm, denial))
		return caddyauth.User{}, false, nil
	}
	if !p.ForwardCredentials {
		p.headers.StripCredentials(r.Header)
	}
	if err := p.admit(r, x, principal); err != nil {
		return caddyauth.User{}, false, err
	}
	return caddyauth.User{ID: principal.Subject, Metadata: userMetadata(principal, p.app.tierOf(principal).Name)}, true, nil
}

// userMetadata is what {http.auth.user.*} answers.
func userMetadata(p *plugins.Principal, tier string) map[string]string {
	meta := map[string]string{}
	for _, name := range []string{"owner", "role", "roles", "tier", "scheme", "key_id", "scopes", "issuer"} {
		value, _ := userValue(p, tier, name)
		meta[name] = value
	}
	return meta
}

// Interface guards.
var (
	_ caddyauth.Authenticator = (*Provider)(nil)
	_ caddy.Provisioner       = (*Provider)(nil)
	_ caddy.CleanerUpper      = (*Provider)(nil)
)
