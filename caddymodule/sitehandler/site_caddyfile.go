package sitehandler

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/ainative/portcullis/caddymodule/internal/caddyfiletext"
)

func init() {
	caddy.RegisterModule(Site{})
	caddy.RegisterModule(Page{})
	httpcaddyfile.RegisterHandlerDirective("gateway_site", parse)
}

func parse(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	s := new(Site)
	if err := s.UnmarshalCaddyfile(h.Dispenser); err != nil {
		return nil, err
	}
	if _, err := s.settings(); err != nil {
		h.Reset()
		h.Next()
		return nil, h.WrapErr(err)
	}
	return s, nil
}

// UnmarshalCaddyfile reads the directive. Syntax:
//
//	gateway_site {
//		path_policy    strict|normalize|off
//		allow          <form>...
//		upgrades       <protocol>...
//		allow_override
//		unknown_hosts  refuse|pass
//	}
//
// Forms are encoded_slash, path_parameters, encoded_semicolon, empty_segments,
// backslash, double_escape, trailing_dot and trailing_space.
func (s *Site) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive's name
	if d.NextArg() {
		return caddyfiletext.Surplus(d, "gateway_site takes a block only")
	}
	return caddyfiletext.Block(d, map[string]func() error{
		"path_policy":    func() error { return caddyfiletext.OneOf(d, &s.PathPolicy, "strict", "normalize", "off") },
		"allow":          func() error { return caddyfiletext.Words(d, &s.Allow) },
		"upgrades":       func() error { return caddyfiletext.Words(d, &s.Upgrades) },
		"allow_override": func() error { return caddyfiletext.Flag(d, &s.AllowOverride) },
		"unknown_hosts":  func() error { return caddyfiletext.OneOf(d, &s.UnknownHosts, unknownRefuse, unknownPass) },
	})
}

// Interface guards.
var _ caddyfile.Unmarshaler = (*Site)(nil)
