package sitehandler

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/problem"
)

// guardErrorRoutes puts a [Page] before every handler of handle_errors that could serve
// content. Error routes see the path of the original request, so that
// `handle_errors { file_server }` would answer a 401 with the page that the 401 protects.
//
// The routes are still raw JSON: Caddy provisions them after the server's routes.
func guardErrorRoutes(routes caddyhttp.RouteList) error {
	for i := range routes {
		raw, err := json.Marshal(routes[i].HandlersRaw)
		if err != nil {
			return err
		}
		if raw, err = insertPages(raw); err != nil {
			return fmt.Errorf("guarding the routes of handle_errors: %w", err)
		}
		var handlers []json.RawMessage
		if err := json.Unmarshal(raw, &handlers); err != nil {
			return err
		}
		routes[i].HandlersRaw = handlers
	}
	return nil
}

// servesNoContent lists the handlers that serve no content by the request's path.
var servesNoContent = map[string]bool{
	"static_response": true, "error": true, "headers": true, "rewrite": true, "vars": true, "map": true,
	"subroute": true, "encode": true, "log_append": true, "tracing": true, "templates": true, "intercept": true,
	"request_body": true, "copy_response_headers": true, "invoke": true,
	"gateway_cors": true, "gateway_errors": true, "gateway_site": true, "gateway_page": true,
}

// insertPages puts Pages into a list of handlers, and into the routes inside it.
func insertPages(raw json.RawMessage) (json.RawMessage, error) {
	var handlers []map[string]json.RawMessage
	if err := json.Unmarshal(raw, &handlers); err != nil {
		return nil, err
	}
	var out []map[string]json.RawMessage
	for _, handler := range handlers {
		var name string
		if err := json.Unmarshal(handler["handler"], &name); err != nil {
			return nil, err
		}
		if !servesNoContent[name] {
			out = append(out, map[string]json.RawMessage{"handler": json.RawMessage(`"gateway_page"`)})
		}
		if name == "subroute" {
			var err error
			if handler["routes"], err = insertIntoRoutes(handler["routes"]); err != nil {
				return nil, err
			}
		}
		out = append(out, handler)
	}
	return json.Marshal(out)
}

func insertIntoRoutes(raw json.RawMessage) (json.RawMessage, error) {
	if len(bytes.TrimSpace(raw)) == 0 {
		return json.RawMessage("[]"), nil
	}
	var routes []map[string]json.RawMessage
	if err := json.Unmarshal(raw, &routes); err != nil {
		return nil, err
	}
	for _, route := range routes {
		if len(route["handle"]) == 0 {
			continue
		}
		var err error
		if route["handle"], err = insertPages(route["handle"]); err != nil {
			return nil, err
		}
	}
	return json.Marshal(routes)
}

// Page answers, in handle_errors, a request that a policy of the gateway has refused,
// unless a route has rewritten the path to another one. The guard inserts it; it can't be
// configured.
type Page struct{}

// CaddyModule returns the Caddy module information.
func (Page) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.gateway_page", New: func() caddy.Module { return new(Page) }}
}

// ServeHTTP calls the next handler if that can't serve the protected content.
func (Page) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if s, ok := caddyhttp.GetVar(r.Context(), siteVar).(*site); ok {
		if d := s.checkForwarded(r, r.URL, r.Method, false); d != nil {
			answer(w, r, defaultFormat().FromDenial(d))
			return nil
		}
	}
	err, _ := r.Context().Value(caddyhttp.ErrorCtxKey).(error)
	p, refused := problemOf(err)
	if !refused || !keepsPath(r) {
		return next.ServeHTTP(w, r)
	}
	answer(w, r, p)
	return nil
}

// problemOf is the answer to an error of a policy of the gateway; false for errors of other
// handlers.
func problemOf(err error) (problem.Problem, bool) {
	if r, ok := errors.AsType[interface {
		error
		Denial() *plugins.Denial
	}](err); ok {
		return defaultFormat().FromDenial(r.Denial()), true
	}
	if u, ok := errors.AsType[*plugins.Unavailable](err); ok {
		return defaultFormat().FromUnavailable(u), true
	}
	return problem.Problem{}, false
}

// keepsPath reports whether the path is still the one of the original request, or names
// the same file below another root.
func keepsPath(r *http.Request) bool {
	original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
	if !ok || original.URL == nil {
		return true
	}
	was, now := strings.TrimSuffix(original.URL.Path, "/"), strings.TrimSuffix(r.URL.Path, "/")
	return strings.HasSuffix(was, now) || strings.HasSuffix(now, was)
}

// Interface guards.
var _ caddyhttp.MiddlewareHandler = (*Page)(nil)
