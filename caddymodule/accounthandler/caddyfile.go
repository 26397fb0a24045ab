package accounthandler

import (
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/ainative/portcullis/caddymodule/gateway"
	"github.com/ainative/portcullis/caddymodule/internal/caddyfiletext"
)

// parseAccounts reads the directive. A first word that begins with a slash is the
// prefix, where Caddy would take it for a matcher of that path alone.
func parseAccounts(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	h.Next() // directive name
	var matcher caddy.ModuleMap
	if h.NextArg() && !strings.HasPrefix(h.Val(), "/") {
		h.Reset()
		h.Next()
		var err error
		if matcher, err = h.ExtractMatcherSet(); err != nil {
			return nil, err
		}
	}
	h.Reset()
	handler, err := gateway.ParseDirective[Accounts](h)
	if err != nil {
		return nil, err
	}
	return h.NewRoute(matcher, handler), nil
}

// UnmarshalCaddyfile reads the directive. Syntax:
//
//	gateway_accounts [<matcher>] <prefix> {
//	    issuer         <name>
//	    registration   open|closed
//	    require        <field>...
//	    token_lifetime <duration>
//	    refresh_window <duration>
//	    refresh_reuse_interval <duration>
//	    default_role   <name>
//	    default_tier   <name>
//	    login_limit    <limit>|off
//	    keys_per_owner <count>
//	    foreign_key_lifetime <duration>
//	    key_header     <name>
//	    realm          <text>
//	    failures       <limit>|off
//	}
//
// The matcher is `*` or a named one.
func (a *Accounts) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // directive name
	if !d.NextArg() {
		return d.Err("gateway_accounts needs the prefix of its paths: write `gateway_accounts /v1`, or `/` for none")
	}
	a.Prefix = d.Val()
	if d.NextArg() {
		return caddyfiletext.Surplus(d, "gateway_accounts takes a prefix and a block only")
	}
	return caddyfiletext.Block(d, map[string]func() error{
		"issuer":         func() error { return caddyfiletext.Word(d, &a.Issuer) },
		"registration":   func() error { return caddyfiletext.OneOf(d, &a.Registration, registrationOpen, registrationClosed) },
		"token_lifetime": func() error { return caddyfiletext.Duration(d, &a.TokenLifetime) },
		"refresh_window": func() error { a.RefreshWindow = new(caddy.Duration); return caddyfiletext.Duration(d, a.RefreshWindow) },
		"require":        func() error { return caddyfiletext.Words(d, &a.Require) },
		"refresh_reuse_interval": func() error {
			a.RefreshReuseInterval = new(caddy.Duration)
			return caddyfiletext.Duration(d, a.RefreshReuseInterval)
		},
		"default_role":         func() error { return caddyfiletext.Word(d, &a.DefaultRole) },
		"default_tier":         func() error { return caddyfiletext.Word(d, &a.DefaultTier) },
		"login_limit":          func() error { return caddyfiletext.Line(d, &a.LoginLimit) },
		"keys_per_owner":       func() error { return caddyfiletext.Number(d, &a.KeysPerOwner) },
		"foreign_key_lifetime": func() error { return caddyfiletext.Duration(d, &a.ForeignKeyLifetime) },
		"key_header":           func() error { return caddyfiletext.Word(d, &a.KeyHeader) },
		"realm":                func() error { return caddyfiletext.Word(d, &a.Realm) },
		"failures":             func() error { return caddyfiletext.Line(d, &a.Failures) },
	})
}

// Interface guard.
var _ caddyfile.Unmarshaler = (*Accounts)(nil)
