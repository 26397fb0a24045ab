package authhandler

import (
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/caddyauth"

	"github.com/ainative/portcullis/caddymodule/request"
	"github.com/ainative/portcullis/caddymodule/sitehandler"
)

func init() { caddy.RegisterModule(Provider{}) }

// Provider authenticates callers for Caddy's own `authentication` handler, in
// configurations that use it already. That handler always answers with a bare 401. With
// gateway_errors around it the client gets the gateway's own text, and 503 if the
// credential could not be checked.
//
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
	if p.Optional || p.Shadow {
		return errors.New("the gateway provider knows neither optional nor shadow: use gateway_auth for these")
	}
	p.Failures = "off"
	return p.Auth.Provision(ctx)
}

// Authenticate implements caddyauth.Authenticator. An error means that the credential
// could not be checked.
func (p *Provider) Authenticate(w http.ResponseWriter, r *http.Request) (caddyauth.User, bool, error) {
	x := request.ExchangeOf(r)
	if denial := sitehandler.CheckRewritten(r); denial != nil {
		x.Step(request.PolicyAuth, request.Refused, denial)
		return caddyauth.User{}, false, nil
	}
	caller, denial, failure := p.authenticate(r, x)
	switch {
	case failure != nil:
		x.Step(request.PolicyAuth, request.Undecided, failure)
		return caddyauth.User{}, false, failure
	case denial != nil:
		// The request keeps the credential: Caddy may ask other providers.
		x.Step(request.PolicyAuth, request.Refused, denial)
		w.Header().Add("WWW-Authenticate", p.Challenge(denial))
		return caddyauth.User{}, false, nil
	}
	role, tier := p.app.Hierarchy().Primary(caller.Roles), p.app.TierOf(caller).Name
	return caddyauth.User{ID: caller.Subject, Metadata: request.UserMetadata(caller, role, tier)}, true, nil
}

// Interface guards.
var (
	_ caddyauth.Authenticator = (*Provider)(nil)
	_ caddy.Provisioner       = (*Provider)(nil)
	_ caddy.CleanerUpper      = (*Provider)(nil)
)
