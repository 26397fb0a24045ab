// Package sitehandler guards every site that has a directive of the gateway. The guard
// runs before any matcher reads the request, so that it protects routes with and without
// a policy, in a Caddyfile and in JSON. It needs no directive: handlers of the gateway
// install it by [Join] when they are provisioned. The directive gateway_site changes its
// settings.
package sitehandler

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/ainative/portcullis/plugins/edge"
)

// Site changes how the gateway guards a site. A site with any directive of the gateway is
// guarded with these defaults, also without gateway_site.
//
// The guard refuses with 400 a path that two servers could read differently, and a method
// in lower case. It removes identity headers of the client, in headers and trailers;
// headers that give an upstream another path or method; and upgrades other than to
// WebSocket.
type Site struct {
	// What happens to a path that servers read differently: `strict` refuses it,
	// `normalize` forwards its cleaned form, `off` lets it pass, so that matchers
	// and the upstream may see different paths. Default: `strict`.
	PathPolicy string `json:"path_policy,omitempty"`

	// Forms that pass because the API needs them: `encoded_slash`,
	// `path_parameters`, `encoded_semicolon`, `empty_segments`, `backslash`,
	// `double_escape`, `trailing_dot`, `trailing_space`. Matchers then see the path
	// as the upstream reads it. Default: none.
	Allow []string `json:"allow,omitempty"`

	// Protocols to which a connection may be upgraded. Default: `websocket`.
	Upgrades []string `json:"upgrades,omitempty"`

	// Headers such as X-Original-URL and X-HTTP-Method-Override pass to the upstream.
	// Default: they are removed.
	AllowOverride bool `json:"allow_override,omitempty"`

	// The answer to a request whose host has no site on this server: `refuse` is 404, or
	// 421 over TLS; `pass` is Caddy's empty 200. Default: `refuse`.
	UnknownHosts string `json:"unknown_hosts,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (Site) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.gateway_site", New: func() caddy.Module { return new(Site) }}
}

// Provision gives the settings to the guard.
func (s *Site) Provision(ctx caddy.Context) error {
	set, err := s.settings()
	if err != nil {
		return err
	}
	return Join(ctx, Member{Name: "gateway_site", settings: set})
}

// The values of UnknownHosts.
const (
	unknownRefuse = "refuse"
	unknownPass   = "pass"
)

// settings are the parsed settings of a site.
type settings struct {
	path          edge.PathPolicy
	upgrades      edge.Upgrades
	allowOverride bool
	passUnknown   bool
}

// settings parses the settings, or returns every mistake in them.
func (s *Site) settings() (*settings, error) {
	set := &settings{allowOverride: s.AllowOverride}
	var errs []error
	if s.PathPolicy != "" {
		var err error
		if set.path.Mode, err = edge.ParseMode(s.PathPolicy); err != nil {
			errs = append(errs, err)
		}
	}
	for _, name := range s.Allow {
		form, err := edge.ParseForm(name)
		if err != nil {
			errs = append(errs, fmt.Errorf("allow: %w", err))
		}
		set.path.Allow |= form
	}
	for _, name := range s.Upgrades {
		name = strings.ToLower(name)
		if name == "h2c" || name == "tls" || strings.HasPrefix(name, "http") {
			errs = append(errs, fmt.Errorf("upgrades %s: a connection that is switched to it carries requests that no policy reads; name another protocol, like `upgrades websocket`", name))
		}
		set.upgrades = append(set.upgrades, name)
	}
	if !slices.Contains([]string{"", unknownRefuse, unknownPass}, s.UnknownHosts) {
		errs = append(errs, fmt.Errorf("unknown_hosts %s: write `unknown_hosts refuse` or `unknown_hosts pass`", s.UnknownHosts))
	}
	set.passUnknown = s.UnknownHosts == unknownPass
	return set, errors.Join(errs...)
}

// ServeHTTP calls the next handler: the guard has done its work before.
func (*Site) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	return next.ServeHTTP(w, r)
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*Site)(nil)
	_ caddyhttp.MiddlewareHandler = (*Site)(nil)
)
