package sitehandler

import (
	"fmt"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Caddy provisions handle_errors and then named routes when the server's own routes are
// already compiled. If only those have a handler of the gateway, the guard comes too late
// to wrap all routes. It then goes into the site blocks, which Caddy compiles with each
// request.

// joinErrors guards the hosts of a site with a handler of the gateway in its
// handle_errors.
func joinErrors(ctx caddy.Context, g *Guard, server *caddyhttp.Server, hosts []caddyhttp.RequestMatcherWithError, m Member) error {
	// The handler is in handle_errors, which gets the guard's refusals.
	m.Errors = nil
	if g != nil {
		g.join(byHosts, hosts, m)
		return nil
	}
	everything := func(caddyhttp.MiddlewareHandler) bool { return true }
	guards, err := installLate(ctx, server, everything, fmt.Errorf("%s stands in handle_errors, and no route of the site has a directive of the gateway: add `gateway_site` to the site", m.Name))
	if err != nil {
		return err
	}
	for _, g := range guards {
		g.join(byHosts, hosts, m)
	}
	return guardErrorRoutes(server.Errors.Routes)
}

// joinNamed guards the sites that invoke a named route with a handler of the
// gateway.
func joinNamed(ctx caddy.Context, server *caddyhttp.Server, m Member) error {
	guards, err := installLate(ctx, server, invokes, fmt.Errorf("%s stands in a named route, and the site that invokes it has no directive of the gateway and no host name: add `gateway_site` to that site", m.Name))
	if err != nil {
		return err
	}
	for _, g := range guards {
		g.join(invoked, nil, m)
	}
	if len(guards) == 0 {
		return nil
	}
	// Requests of other sites, without a guard, can invoke the route too.
	return guards[0].server.completeErrors()
}

// installLate puts a guard into each site block that wanted selects, unless it has one, and
// returns all of them. A selected handler outside any site block is an error.
func installLate(ctx caddy.Context, server *caddyhttp.Server, wanted func(caddyhttp.MiddlewareHandler) bool, mistake error) ([]*Guard, error) {
	var guards []*Guard
	common := lateServer(server)
	if common == nil {
		common = &guardedServer{ctx: ctx, server: server}
	}
	for i := range server.Routes {
		for _, handler := range server.Routes[i].Handlers {
			if !wanted(handler) {
				continue
			}
			sub, ok := handler.(*caddyhttp.Subroute)
			if !ok {
				return nil, mistake
			}
			g, ok := soleGuard(sub.Routes)
			if !ok {
				g = &Guard{server: common, routes: sub.Routes, inSubroute: true}
				around, err := g.route(ctx)
				if err != nil {
					return nil, err
				}
				sub.Routes = around
				catchUnknown(server, i, g)
			}
			guards = append(guards, g)
		}
	}
	return guards, nil
}

// lateServer returns the guardedServer of the guards in site blocks; nil if there are none.
func lateServer(server *caddyhttp.Server) *guardedServer {
	for _, route := range server.Routes {
		for _, handler := range route.Handlers {
			if sub, ok := handler.(*caddyhttp.Subroute); ok {
				if g, ok := soleGuard(sub.Routes); ok {
					return g.server
				}
			}
		}
	}
	return nil
}

// catchUnknown makes a route of the server also match hosts without a route, so that the
// guard in it can refuse them. The compiled route uses these matcher sets, not a copy.
func catchUnknown(server *caddyhttp.Server, at int, g *Guard) {
	unknown := &unknownHost{own: hostsOf(server.Routes[at])}
	for _, route := range server.Routes {
		hosts := hostsOf(route)
		if hosts == nil || isCaught(route) {
			// Every host has a route, or another guard gets the hosts without one.
			return
		}
		unknown.known = append(unknown.known, hosts...)
	}
	sets := server.Routes[at].MatcherSets
	unknown.set = sets[0]
	sets[0] = caddyhttp.MatcherSet{unknown}
	g.unknown = unknown
}

func isCaught(route caddyhttp.Route) bool {
	if len(route.MatcherSets) == 0 || len(route.MatcherSets[0]) == 0 {
		return false
	}
	_, ok := route.MatcherSets[0][0].(*unknownHost)
	return ok
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

// hostsOfInvokers are the host matchers of the routes that invoke a named route; all says
// that one of these routes has no host matcher.
func hostsOfInvokers(routes caddyhttp.RouteList) (hosts []caddyhttp.RequestMatcherWithError, all bool) {
	for _, route := range routes {
		if !slices.ContainsFunc(route.Handlers, invokes) {
			continue
		}
		own := hostsOf(route)
		all = all || own == nil
		hosts = append(hosts, own...)
	}
	return hosts, all
}
