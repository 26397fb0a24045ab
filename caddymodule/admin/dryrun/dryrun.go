package dryrun

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/caddyauth"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/ainative/portcullis/caddymodule/accounthandler"
	"github.com/ainative/portcullis/caddymodule/authhandler"
	"github.com/ainative/portcullis/caddymodule/proxyhandler"
	"github.com/ainative/portcullis/caddymodule/request"
	"github.com/ainative/portcullis/caddymodule/sitehandler"
	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/decision"
)

// dryRun walks the routes of a running server as a request would, with the real
// matchers and the gateway's real handlers, and stops before any handler that
// would do something: no upstream is called. It follows RouteList.Compile of
// Caddy's modules/caddyhttp/routes.go.
type dryRun struct {
	request.DryRun

	server *caddyhttp.Server
	// stopped is the handler that the request would have been passed to; answered
	// says that this one was run, because it does nothing but answer.
	stopped  string
	answered bool
	// upstreams are the addresses that a stopped reverse_proxy would choose from.
	upstreams []string
}

// serve does what caddyhttp.Server does with a request that it has read and
// prepared: its checks, its routes, and its routes for errors.
func (d *dryRun) serve(w http.ResponseWriter, r *http.Request) error {
	err := d.primary(w, r)
	if err == nil {
		return nil
	}
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		r.Method, r.RequestURI = original.Method, original.RequestURI
		*r.URL = *original.URL
	}
	status := http.StatusInternalServerError
	if handlerErr, ok := errors.AsType[caddyhttp.HandlerError](err); ok && handlerErr.StatusCode != 0 {
		status = handlerErr.StatusCode
	}
	if d.server.Errors == nil || len(d.server.Errors.Routes) == 0 {
		w.WriteHeader(status)
		return err
	}
	if again := d.routes(d.server.Errors.Routes, errorEnd).ServeHTTP(w, d.server.Errors.WithError(r, err)); again != nil {
		w.WriteHeader(status)
	}
	return err
}

// primary is caddyhttp.Server.serveHTTP.
func (d *dryRun) primary(w http.ResponseWriter, r *http.Request) error {
	if len(r.Method) > 32 {
		return caddyhttp.HandlerError{StatusCode: http.StatusMethodNotAllowed, Err: errors.New("the method is too long")}
	}
	for name := range r.Header {
		if d.drops(name) {
			delete(r.Header, name)
		}
	}
	return d.routes(d.server.Routes, end).ServeHTTP(w, r)
}

// drops reports whether the server takes a header away before any handler sees
// it (GHSA-f59h-q822-g45g).
func (d *dryRun) drops(name string) bool {
	underscore, dot := strings.Contains(name, "_"), strings.Contains(name, ".")
	listed := func(list []string, fold string, globs bool) bool {
		return slices.ContainsFunc(list, func(entry string) bool {
			entry, glob := strings.CutSuffix(entry, "*")
			if fold != "" {
				entry = strings.ReplaceAll(entry, fold, "-")
			}
			entry = http.CanonicalHeaderKey(entry)
			return name == entry && !glob || glob && globs && strings.HasPrefix(name, entry)
		})
	}
	underscores, dots := d.server.ExpectedUnderscoreHeaders, d.server.ExpectedDotHeaders
	switch {
	case underscore && dot:
		return !listed(underscores, "", false) && !listed(dots, "", false)
	case underscore:
		return !listed(underscores, "", true)
	case dot:
		return !listed(dots, "", true)
	}
	return listed(underscores, "_", true) || listed(dots, ".", true)
}

// end is what comes after the last route, and errorEnd the same for errors.
var (
	end = caddyhttp.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
		caddyhttp.SetVar(r.Context(), "unhandled", true)
		return nil
	})
	errorEnd = caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		status := http.StatusInternalServerError
		if err, ok := r.Context().Value(caddyhttp.ErrorCtxKey).(caddyhttp.HandlerError); ok {
			status = err.StatusCode
		}
		w.WriteHeader(status)
		return nil
	})
)

// groupsKey is where Caddy notes the groups of routes of which one has run.
var groupsKey = caddy.CtxKey("route_group")

// routes is RouteList.Compile with this dry run's handlers.
func (d *dryRun) routes(list caddyhttp.RouteList, next caddyhttp.Handler) caddyhttp.Handler {
	for i := len(list) - 1; i >= 0; i-- {
		next = d.route(&list[i], next)
	}
	return next
}

// route is Route.Compile.
func (d *dryRun) route(route *caddyhttp.Route, next caddyhttp.Handler) caddyhttp.Handler {
	return caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		groups, _ := r.Context().Value(groupsKey).(map[string]struct{})
		if _, had := groups[route.Group]; had && route.Group != "" {
			return next.ServeHTTP(w, r)
		}
		matches, err := route.MatcherSets.AnyMatchWithError(r)
		if err != nil {
			return err
		}
		if !matches {
			return next.ServeHTTP(w, r)
		}
		if route.Group != "" && groups != nil {
			groups[route.Group] = struct{}{}
		}
		following := next
		if route.Terminal {
			following = end
			if _, failed := r.Context().Value(caddyhttp.ErrorCtxKey).(error); failed {
				following = errorEnd
			}
		}
		for _, handler := range slices.Backward(route.Handlers) {
			following = d.handler(handler, following)
		}
		return following.ServeHTTP(w, r)
	})
}

// harmless are the handlers that change nothing but the request, and are run.
var harmless = map[caddy.ModuleID]bool{
	"http.handlers.rewrite": true, "http.handlers.vars": true, "http.handlers.map": true,
	"http.handlers.headers": true, "http.handlers.request_body": true,
	"http.handlers.gateway_cors": true, "http.handlers.gateway_errors": true, "http.handlers.gateway_auth": true,
	"http.handlers.gateway_roles": true, "http.handlers.gateway_limit": true,
	"http.handlers.gateway_site": true, "http.handlers.gateway_page": true,
}

// responseOnly are the handlers that do something to the response only, or to the log,
// and are passed over.
var responseOnly = map[caddy.ModuleID]bool{
	"http.handlers.encode": true, "http.handlers.templates": true, "http.handlers.push": true, "http.handlers.intercept": true,
	"http.handlers.tracing": true, "http.handlers.log_append": true, "http.handlers.timeouts": true,
}

// handler is a handler of the dry run.
func (d *dryRun) handler(handler caddyhttp.MiddlewareHandler, next caddyhttp.Handler) caddyhttp.Handler {
	return caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		switch h := handler.(type) {
		case *sitehandler.Guard:
			last := caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error { return h.End(w, r, next) })
			return h.Serve(w, r, d.routes(h.Routes(), last))
		case *caddyhttp.Subroute:
			err := d.routes(h.Routes, next).ServeHTTP(w, r)
			if err != nil && h.Errors != nil {
				return d.routes(h.Errors.Routes, next).ServeHTTP(w, h.Errors.WithError(r, err))
			}
			return err
		case *caddyhttp.Invoke:
			route, ok := d.server.NamedRoutes[h.Name]
			if !ok {
				return fmt.Errorf("invoke: route %q not found", h.Name)
			}
			return d.route(route, next).ServeHTTP(w, r)
		case *caddyhttp.StaticError:
			return h.ServeHTTP(w, r, next)
		case *caddyhttp.StaticResponse:
			return d.respond(h, w, r, next)
		case *accounthandler.Accounts:
			if !h.Serves(r) {
				return next.ServeHTTP(w, r)
			}
		case *caddyauth.Authentication:
			if harmlessProviders(h.Providers) {
				return h.ServeHTTP(w, r, next)
			}
		}
		module, ok := handler.(caddy.Module)
		switch {
		case ok && harmless[module.CaddyModule().ID]:
			return handler.ServeHTTP(w, r, next)
		case ok && responseOnly[module.CaddyModule().ID]:
			return next.ServeHTTP(w, r)
		}
		d.stop(handler)
		// The gateway adds its headers to a response of status 200.
		w.WriteHeader(http.StatusOK)
		return nil
	})
}

// respond runs a handler that does nothing but answer.
func (d *dryRun) respond(h *caddyhttp.StaticResponse, w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	d.stop(h)
	if h.Abort {
		w.WriteHeader(http.StatusOK)
		return nil
	}
	d.answered = true
	return h.ServeHTTP(w, r, next)
}

// stop notes what the request would have been passed to.
func (d *dryRun) stop(handler caddyhttp.MiddlewareHandler) {
	d.stopped = fmt.Sprintf("%T", handler)
	if module, ok := handler.(caddy.Module); ok {
		d.stopped = module.CaddyModule().ID.Name()
	}
	proxy, ok := handler.(*reverseproxy.Handler)
	if lean, isLean := handler.(*proxyhandler.Handler); isLean {
		proxy, ok = &lean.Handler, true
	}
	if ok {
		for _, upstream := range proxy.Upstreams {
			d.upstreams = append(d.upstreams, decision.Clip(upstream.Dial, decision.MaxText))
		}
	}
}

// harmlessProviders reports whether asking the providers of Caddy's authentication
// changes nothing.
func harmlessProviders(providers map[string]caddyauth.Authenticator) bool {
	for _, provider := range providers {
		switch provider.(type) {
		case *authhandler.Provider, *caddyauth.HTTPBasicAuth:
		default:
			return false
		}
	}
	return true
}

// serverFor finds the server that a URL leads to: one that listens on its port,
// the one that listens on its very address before one that listens on all.
func serverFor(app *caddyhttp.App, host, port string) (*caddyhttp.Server, error) {
	var all []string
	var found *caddyhttp.Server
	exact := false
	for _, name := range slices.Sorted(maps.Keys(app.Servers)) {
		server := app.Servers[name]
		for _, listen := range server.Listen {
			all = append(all, listen)
			address, err := caddy.ParseNetworkAddress(listen)
			if err != nil || address.IsUnixNetwork() || !covers(address, port) {
				continue
			}
			isExact := address.Host != "" && address.Host == host
			if found == nil && (isExact || listensOn(address.Host, host)) || isExact && !exact {
				found, exact = server, isExact
			}
		}
	}
	if found == nil {
		return nil, plugins.Invalid("url", fmt.Sprintf("no server of the running configuration listens there: they listen on %s", strings.Join(all, ", ")))
	}
	return found, nil
}

func covers(address caddy.NetworkAddress, port string) bool {
	for at := address.StartPort; at <= address.EndPort && at-address.StartPort < 1024; at++ {
		if fmt.Sprint(at) == port {
			return true
		}
	}
	return false
}

// listensOn reports whether a listener of this host may get what is sent to the
// URL's host, which can be any name that leads here.
func listensOn(listener, host string) bool {
	ip := net.ParseIP(listener)
	if listener == "" || ip == nil || ip.IsUnspecified() {
		return true
	}
	// A name leads to whatever address it resolves to; an address only to itself.
	return net.ParseIP(host) == nil
}
