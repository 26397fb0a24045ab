package authhandler

import (
	"errors"
	"net/http"

	"github.com/ainative/portcullis/caddymodule/request"
	"github.com/ainative/portcullis/caddymodule/sitehandler"
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/caddyauth"
)

func init() { caddy.RegisterModule(Provider{}) }

// Provider lets Caddy's own `authentication` handler ask the gateway who is
// calling. It is for configurations that use that handler already. That handler's
// only answer is a bare 401; with gateway_errors around it the client gets the
// gateway's own text, and 503 where it could not be checked.
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

// Authenticate implements caddyauth.Authenticator. An error means that it could
// not be checked.
func (p *Provider) Authenticate(w http.ResponseWriter, r *http.Request) (caddyauth.User, bool, error) {
	x := request.Of(r)
	if denial := sitehandler.CheckRewritten(r); denial != nil {
		x.Step(request.PolicyAuth, request.Refused, denial)
		return caddyauth.User{}, false, nil
	}
	begun := request.PolicyAuth.Begin()
	principal, denial, failure := p.Identify(r, x)
	request.PolicyAuth.End(begun)
	if failure != nil {
		x.Step(request.PolicyAuth, request.Undecided, failure)
		return caddyauth.User{}, false, failure
	}
	if denial != nil {
		x.Step(request.PolicyAuth, request.Refused, denial)
		w.Header().Add("WWW-Authenticate", p.Challenge(denial))
		return caddyauth.User{}, false, nil
	}
	if !p.ForwardCredentials {
		p.headers.StripCredentials(r.Header)
	}
	if err := p.admit(r, x, principal); err != nil {
		return caddyauth.User{}, false, err
	}
	return caddyauth.User{ID: principal.Subject, Metadata: request.UserMetadata(principal, p.app.Hierarchy().Primary(principal.Roles), p.app.TierOf(principal).Name)}, true, nil
}

// Interface guards.
var (
	_ caddyauth.Authenticator = (*Provider)(nil)
	_ caddy.Provisioner       = (*Provider)(nil)
	_ caddy.CleanerUpper      = (*Provider)(nil)
)
