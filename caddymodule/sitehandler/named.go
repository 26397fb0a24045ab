package sitehandler

import (
	"fmt"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// joinNamed guards the sites that invoke a named route with a handler of the gateway, if
// no site of the server has a handler of its own. Caddy provisions named routes last, when
// the server's routes are already compiled. The routes of a site block are compiled with
// each request, so that they can still be wrapped.
func joinNamed(ctx caddy.Context, server *caddyhttp.Server, m Member) error {
	for i := range server.Routes {
		for _, handler := range server.Routes[i].Handlers {
			sub, ok := handler.(*caddyhttp.Subroute)
			switch {
			case !ok && invokes(handler):
				return fmt.Errorf("%s stands in a named route, and the site that invokes it has no directive of the gateway and no host name: add `gateway_site` to that site", m.Name)
			case !ok || !invokes(sub):
				continue
			}
			g, ok := soleGuard(sub.Routes)
			if !ok {
				g = &Guard{routes: sub.Routes, inSubroute: true}
				around, err := g.route(ctx)
				if err != nil {
					return err
				}
				sub.Routes = around
			}
			g.join(everyHost, m)
		}
	}
	return nil
}

// invokes reports whether a handler, or a route inside it, invokes a named route.
func invokes(handler caddyhttp.MiddlewareHandler) bool {
	switch h := handler.(type) {
	case *caddyhttp.Invoke:
		return true
	case *Guard:
		return routesInvoke(h.routes)
	case *caddyhttp.Subroute:
		return routesInvoke(h.Routes)
	}
	return false
}

func routesInvoke(routes caddyhttp.RouteList) bool {
	for _, route := range routes {
		if slices.ContainsFunc(route.Handlers, invokes) {
			return true
		}
	}
	return false
}
