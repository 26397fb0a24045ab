package sitehandler

import (
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/ainative/portcullis/plugins"
)

// Member is a handler of the gateway, whose site is to be guarded.
type Member struct {
	// Name of the directive, for messages.
	Name string
	// Refuse answers and records a request that the guard refuses. It returns the error
	// that ends Caddy's chain.
	Refuse func(http.ResponseWriter, *http.Request, *plugins.Denial) error
	// Errors is the gateway_errors handler that formats the site's refusals; nil for other
	// handlers.
	Errors caddyhttp.MiddlewareHandler

	// Origins is gateway_cors; nil for others.
	Origins Origins

	settings *settings
}

// Join guards the site that is being provisioned. Handlers of the gateway call it in
// Provision with their own context.
//
// The site is the server's route with the handler, a site block of a Caddyfile. All
// requests for its hosts are guarded, whichever route answers them.
func Join(ctx caddy.Context, m Member) error {
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok {
		// Not in a server's routes: provisioned alone, for a check.
		return nil
	}
	g := installed(server)
	if at := routeInProvision(server, g); at >= 0 {
		if g == nil {
			var err error
			if g, err = install(ctx, server); err != nil {
				return err
			}
		}
		g.join(at, hostsOf(g.routes[at]), m)
		return nil
	}
	if server.Errors != nil {
		if at := rawRoute(server.Errors.Routes); at >= 0 {
			return joinErrors(ctx, g, server, hostsOf(server.Errors.Routes[at]), m)
		}
	}
	// A named route, which any route may invoke.
	if g == nil {
		return joinNamed(ctx, server, m)
	}
	hosts, all := hostsOfInvokers(g.routes)
	if server.Errors != nil && !all {
		var more []caddyhttp.RequestMatcherWithError
		more, all = hostsOfInvokers(server.Errors.Routes)
		hosts = append(hosts, more...)
	}
	if all {
		hosts = nil
	}
	if all || len(hosts) != 0 {
		g.join(invoked, hosts, m)
	}
	return nil
}

// installed returns the guard of a server, or nil.
func installed(server *caddyhttp.Server) *Guard {
	g, _ := soleGuard(server.Routes)
	return g
}

// soleGuard returns the guard that wraps all routes of a list.
func soleGuard(routes caddyhttp.RouteList) (*Guard, bool) {
	if len(routes) != 1 || len(routes[0].Handlers) != 1 {
		return nil, false
	}
	g, ok := routes[0].Handlers[0].(*Guard)
	return g, ok
}

// routeInProvision is the index of the server's route that is being provisioned; -1 when all
// are complete.
func routeInProvision(server *caddyhttp.Server, g *Guard) int {
	if g != nil {
		return rawRoute(g.routes)
	}
	return rawRoute(server.Routes)
}

// rawRoute is the index of the first route with raw handlers: Caddy clears them when all
// handlers of the route are provisioned.
func rawRoute(routes caddyhttp.RouteList) int {
	return slices.IndexFunc(routes, func(r caddyhttp.Route) bool { return len(r.HandlersRaw) != 0 })
}

// install wraps all routes of a server that is being provisioned. Caddy provisions the
// routes in place and then compiles server.Routes, which is the guard alone by then; the
// guard compiles the routes inside it.
func install(ctx caddy.Context, server *caddyhttp.Server) (*Guard, error) {
	g := &Guard{server: &guardedServer{ctx: ctx, server: server}, routes: server.Routes}
	around, err := g.route(ctx)
	if err != nil {
		return nil, err
	}
	server.Routes = around
	if server.Errors != nil {
		if err := guardErrorRoutes(server.Errors.Routes); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// route is the route that replaces the guarded ones in the server.
func (g *Guard) route(ctx caddy.Context) (caddyhttp.RouteList, error) {
	around := caddyhttp.Route{Handlers: []caddyhttp.MiddlewareHandler{g}}
	if err := around.ProvisionHandlers(ctx, nil); err != nil {
		return nil, err
	}
	return caddyhttp.RouteList{around}, nil
}
