package sitehandler

import (
	"reflect"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// guardedServer is a server with one guard around all its routes, or with one in each of
// some site blocks.
type guardedServer struct {
	ctx    caddy.Context
	server *caddyhttp.Server

	once sync.Once
	err  error
	// errors says that handle_errors is complete.
	errors bool
}

// complete finishes the set-up that needs all handlers of the server to be provisioned. The
// first request or dry run calls it. Every request passes a guard, so that no request is
// served before it is done.
func (s *guardedServer) complete() error {
	s.once.Do(func() {
		metrics := metricsOf(s.ctx)
		s.err = s.routes(s.server.Routes, metrics)
		for _, route := range s.server.NamedRoutes {
			if s.err == nil {
				s.err = s.route(route, metrics)
			}
		}
		if s.err == nil {
			s.err = s.completeErrors()
		}
	})
	return s.err
}

// completeErrors is complete for handle_errors. Caddy has compiled these routes, and
// compiles their subroutes with each request.
func (s *guardedServer) completeErrors() error {
	if s.errors || s.server.Errors == nil {
		return nil
	}
	s.errors = true
	for _, route := range s.server.Errors.Routes {
		for _, handler := range route.Handlers {
			if err := s.nested(reflect.ValueOf(handler)); err != nil {
				return err
			}
		}
	}
	return nil
}

// metricsOf are the metrics of the app that is being provisioned, or nil.
func metricsOf(ctx caddy.Context) *caddyhttp.Metrics {
	for _, module := range ctx.Modules() {
		if app, ok := module.(*caddyhttp.App); ok {
			return app.Metrics
		}
	}
	return nil
}

func (s *guardedServer) routes(routes caddyhttp.RouteList, metrics *caddyhttp.Metrics) error {
	for i := range routes {
		if err := s.route(&routes[i], metrics); err != nil {
			return err
		}
	}
	return nil
}

// route puts a [forward] around the handlers of a route that need one, also in the routes
// inside its handlers.
func (s *guardedServer) route(route *caddyhttp.Route, metrics *caddyhttp.Metrics) error {
	var run, walked []caddyhttp.MiddlewareHandler
	for _, handler := range route.Handlers {
		if g, ok := handler.(*Guard); ok {
			if g.inSubroute {
				metrics = nil
			}
			if err := s.routes(g.routes, metrics); err != nil {
				return err
			}
			g.headers = headerRoutes(g.routes)
			if err := provisionHeaders(s.ctx, g.headers); err != nil {
				return err
			}
		} else if err := s.nested(reflect.ValueOf(handler)); err != nil {
			return err
		}
		if passesOn(handler) {
			run, walked = append(run, handler), append(walked, handler)
			continue
		}
		f := newForward(handler)
		run, walked = append(run, f), append(walked, f.check(), handler)
	}
	if len(run) == len(walked) {
		return nil
	}
	// Requests run the chain of ProvisionHandlers, with the handlers' own names in Caddy's
	// metrics. A dry run walks Handlers, and needs the handlers themselves.
	route.Handlers = run
	err := route.ProvisionHandlers(s.ctx, metrics)
	route.Handlers = walked
	return err
}

// nested calls route for the routes inside a handler, such as subroute, intercept and
// reverse_proxy. It also finds routes in fields of the same types in foreign handlers.
func (s *guardedServer) nested(v reflect.Value) error {
	v = reflect.Indirect(v)
	if v.Kind() != reflect.Struct {
		return nil
	}
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if !field.IsExported() {
			continue
		}
		var err error
		switch field.Type {
		case reflect.TypeFor[caddyhttp.RouteList]():
			routes, _ := reflect.TypeAssert[caddyhttp.RouteList](v.Field(i))
			err = s.routes(routes, nil)
		case reflect.TypeFor[[]caddyhttp.ResponseHandler]():
			handlers, _ := reflect.TypeAssert[[]caddyhttp.ResponseHandler](v.Field(i))
			for j := range handlers {
				if err == nil {
					err = s.routes(handlers[j].Routes, nil)
				}
			}
		case reflect.TypeFor[*caddyhttp.HTTPErrorConfig]():
			if errs, _ := reflect.TypeAssert[*caddyhttp.HTTPErrorConfig](v.Field(i)); errs != nil {
				err = s.routes(errs.Routes, nil)
			}
		default:
			if field.Anonymous {
				err = s.nested(v.Field(i))
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// passesOn reports whether a handler neither forwards a request nor serves content by its
// path. Policies check the request themselves.
func passesOn(handler caddyhttp.MiddlewareHandler) bool {
	return servesNoContent[nameOf(handler)] || isPolicy(handler)
}

// isPolicy reports whether a handler is a policy: it calls the next handler, or refuses.
func isPolicy(handler caddyhttp.MiddlewareHandler) bool {
	switch nameOf(handler) {
	case "authentication", "gateway_accounts", "gateway_auth", "gateway_roles", "gateway_limit":
		return true
	}
	return false
}

// nameOf is the name of a handler's module, empty if it is none.
func nameOf(handler caddyhttp.MiddlewareHandler) string {
	module, ok := handler.(caddy.Module)
	if !ok {
		return ""
	}
	return module.CaddyModule().ID.Name()
}
