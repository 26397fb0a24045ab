package authhandler

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/ainative/portcullis/caddymodule/internal/caddyfiletext"
)

// UnmarshalCaddyfile reads the directive. Syntax:
//
//	gateway_auth [<matcher>] {
//	    schemes             bearer api_key
//	    issuers             <name>...
//	    key_header          <name>
//	    realm               <text>
//	    optional
//	    shadow
//	    failures            <limit>|off
//	    forward_credentials
//	    login_routes        <path>...
//	    identity_token {
//	        secret      <secret>
//	        private_key <pem or file>
//	        audience    <value>
//	        lifetime    <duration>
//	        keys_path   <path>
//	    }
//	}
func (a *Auth) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // directive name
	if d.NextArg() {
		return caddyfiletext.Surplus(d, "gateway_auth takes a matcher and a block only")
	}
	return caddyfiletext.Block(d, map[string]func() error{
		"schemes":             func() error { return caddyfiletext.Words(d, &a.Schemes) },
		"issuers":             func() error { return caddyfiletext.Words(d, &a.Issuers) },
		"key_header":          func() error { return caddyfiletext.Word(d, &a.KeyHeader) },
		"realm":               func() error { return caddyfiletext.Word(d, &a.Realm) },
		"optional":            func() error { return caddyfiletext.Flag(d, &a.Optional) },
		"shadow":              func() error { return caddyfiletext.Flag(d, &a.Shadow) },
		"failures":            func() error { return caddyfiletext.Line(d, &a.Failures) },
		"login_routes":        func() error { return caddyfiletext.Words(d, &a.LoginRoutes) },
		"forward_credentials": func() error { return caddyfiletext.Flag(d, &a.ForwardCredentials) },
		"identity_token": func() error {
			if d.NextArg() {
				return caddyfiletext.Surplus(d, "identity_token takes a block only")
			}
			a.IdentityToken = new(IdentityToken)
			return caddyfiletext.Block(d, map[string]func() error{
				"secret":      func() error { return caddyfiletext.Secret(d, &a.IdentityToken.Secret) },
				"private_key": func() error { return caddyfiletext.Secret(d, &a.IdentityToken.PrivateKey) },
				"audience":    func() error { return caddyfiletext.Word(d, &a.IdentityToken.Audience) },
				"lifetime":    func() error { return caddyfiletext.Duration(d, &a.IdentityToken.Lifetime) },
				"keys_path":   func() error { return caddyfiletext.Word(d, &a.IdentityToken.KeysPath) },
			})
		},
	})
}

// Interface guard.
var _ caddyfile.Unmarshaler = (*Auth)(nil)
