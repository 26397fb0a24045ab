package sitehandler

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/headers"
)

// headerRoutes finds, in the routes of a server or of a site block, the handlers that set
// response headers before any policy. Browsers need some of them to read a refusal, such
// as Access-Control-Allow-Origin. The guard refuses before any route has run, because
// matchers can't decide about an ambiguous path. So headerRoutes takes the handlers whose
// matchers do not look at the path.
func headerRoutes(routes caddyhttp.RouteList) caddyhttp.RouteList {
	var found caddyhttp.RouteList
	for _, route := range routes {
		own := caddyhttp.Route{MatcherSets: route.MatcherSets}
		ended := false
		for _, handler := range route.Handlers {
			if ended = isPolicy(handler); ended {
				break
			}
			switch h := handler.(type) {
			case *headers.Handler:
				if h.Response != nil {
					own.Handlers = append(own.Handlers, h)
				}
			case *caddyhttp.Subroute:
				// A site block, or `route { header ... }`.
				if inner := headerRoutes(h.Routes); len(inner) != 0 {
					own.Handlers = append(own.Handlers, &caddyhttp.Subroute{Routes: inner})
				}
			}
		}
		if route.Terminal {
			// Of several sites for a host the first one answers, with headers or without.
			own.Group = "gateway_site"
		}
		if route.Group == "" && pathless(route.MatcherSets) && (len(own.Handlers) != 0 || route.Terminal) {
			found = append(found, own)
		}
		if ended && !route.Terminal {
			break
		}
	}
	return found
}

// provisionHeaders compiles the routes that headerRoutes has found.
func provisionHeaders(ctx caddy.Context, routes caddyhttp.RouteList) error {
	for _, route := range routes {
		for _, handler := range route.Handlers {
			if sub, ok := handler.(*caddyhttp.Subroute); ok {
				if err := provisionHeaders(ctx, sub.Routes); err != nil {
					return err
				}
			}
		}
	}
	return routes.ProvisionHandlers(ctx, nil)
}

// pathless reports whether no matcher looks at the path.
func pathless(sets caddyhttp.MatcherSets) bool {
	for _, set := range sets {
		for _, matcher := range set {
			switch matcher.(type) {
			case *caddyhttp.MatchHeader, *caddyhttp.MatchHeaderRE, *caddyhttp.MatchMethod, *caddyhttp.MatchProtocol,
				*caddyhttp.MatchHost, *caddyhttp.MatchRemoteIP, *caddyhttp.MatchClientIP:
			default:
				return false
			}
		}
	}
	return true
}
