package sitehandler

import (
	"net/http"
	"net/url"
	"reflect"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy/fastcgi"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/rewrite"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/edge"
)

// forward wraps a handler that forwards a request or serves content by its path. It checks
// the request again, as `rewrite`, `uri` and `method` have left it, also on a route
// without a policy.
type forward struct {
	// inner is the handler. It is nil in the list of a dry run, where the handler is the
	// next element.
	inner caddyhttp.MiddlewareHandler
	info  caddy.ModuleInfo
	// byTarget says that the handler sends r.URL.RequestURI(). Others, like file_server
	// and FastCGI, read r.URL.Path.
	byTarget bool
	// rewrite is the proxy's own rewrite, such as that of forward_auth; nil for none.
	rewrite *rewrite.Rewrite
}

// newForward makes the forward of a handler.
func newForward(handler caddyhttp.MiddlewareHandler) *forward {
	f := &forward{inner: handler, info: (*Guard)(nil).CaddyModule()}
	if module, ok := handler.(caddy.Module); ok {
		f.info = module.CaddyModule()
	}
	if proxy := proxyIn(handler); proxy != nil {
		f.rewrite = proxy.Rewrite
		_, isFastCGI := proxy.Transport.(*fastcgi.Transport)
		f.byTarget = !isFastCGI
	}
	return f
}

// check is a forward in a dry run: it checks the request and calls the next handler.
func (f *forward) check() *forward {
	check := *f
	check.inner, check.info = nil, (*Guard)(nil).CaddyModule()
	return &check
}

// proxyIn returns the handler as Caddy's proxy, or the proxy that it embeds, or nil.
func proxyIn(handler caddyhttp.MiddlewareHandler) *reverseproxy.Handler {
	if proxy, ok := handler.(*reverseproxy.Handler); ok {
		return proxy
	}
	v := reflect.Indirect(reflect.ValueOf(handler))
	if v.Kind() != reflect.Struct {
		return nil
	}
	embedded := v.FieldByName("Handler")
	if !embedded.IsValid() || !embedded.CanAddr() || !embedded.CanInterface() {
		return nil
	}
	proxy, _ := reflect.TypeAssert[*reverseproxy.Handler](embedded.Addr())
	return proxy
}

// CaddyModule names the handler in traces and metrics.
func (f *forward) CaddyModule() caddy.ModuleInfo { return f.info }

// ServeHTTP checks the request that the handler would forward, and calls the handler.
func (f *forward) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	s, ok := caddyhttp.GetVar(r.Context(), siteVar).(*site)
	if !ok {
		return f.call(w, r, next)
	}
	sent, method := f.sent(r)
	if sent.Opaque != "" && sent.Opaque != r.URL.Opaque {
		return f.call(w, withURL(r, sent), next)
	}
	if d := s.checkForwarded(r, sent, method, f.byTarget); d != nil {
		return s.end(w, r, d)
	}
	if r.URL.Opaque != "" && sent.Opaque == "" {
		// u.Opaque is for the upstream. Here the proxy has a target of its own, as in
		// forward_auth, and would send u.Opaque instead. Placeholders such as {uri} keep
		// the upstream's spelling.
		plain := *r.URL
		plain.Opaque = ""
		return f.call(w, withURL(r, &plain), caddyhttp.HandlerFunc(func(w http.ResponseWriter, after *http.Request) error {
			return next.ServeHTTP(w, withURL(after, r.URL))
		}))
	}
	return f.call(w, r, next)
}

func (f *forward) call(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if f.inner == nil {
		return next.ServeHTTP(w, r)
	}
	return f.inner.ServeHTTP(w, r, next)
}

// sent is the target and the method that the handler sends.
func (f *forward) sent(r *http.Request) (*url.URL, string) {
	if f.rewrite == nil {
		if rest := trimmed(r); f.byTarget && rest != "" {
			u := *r.URL
			u.Opaque = rest
			return &u, r.Method
		}
		return r.URL, r.Method
	}
	after, u := *r, *r.URL
	after.URL = &u
	if fixedPath(f.rewrite) {
		// u.Opaque is for the upstream, and not for this server.
		u.Opaque = ""
	}
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer) //nolint:forcetypeassert // Caddy's server sets it
	f.rewrite.Rewrite(&after, repl)
	return &u, after.Method
}

// trimmed spells a path with an allowed form for the upstream after a route has removed a
// prefix; "" if no route has.
func trimmed(r *http.Request) string {
	judged := originalURL(r)
	if judged == nil || judged.Opaque == "" || r.URL.Opaque != judged.Opaque || r.URL.Path == judged.Path {
		return ""
	}
	return edge.TrimPrefix(judged.Opaque, r.URL.Path)
}

// fixedPath reports whether a rewrite leads to one path, whatever the request was.
func fixedPath(re *rewrite.Rewrite) bool {
	path, _, _ := strings.Cut(re.URI, "?")
	return strings.HasPrefix(path, "/") && !strings.Contains(path, "{") &&
		re.StripPathPrefix == "" && re.StripPathSuffix == "" && len(re.URISubstring) == 0 && len(re.PathRegexp) == 0
}

// withURL is a request with another URL.
func withURL(r *http.Request, u *url.URL) *http.Request {
	r = r.WithContext(r.Context())
	r.URL = u
	return r
}

// checkForwarded refuses a request that would be forwarded in an unchecked form.
func (s *site) checkForwarded(r *http.Request, sent *url.URL, method string, byTarget bool) *plugins.Denial {
	original, _ := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
	if original.URL == nil {
		return nil
	}
	if method != original.Method {
		if d := edge.CheckMethod(method); d != nil {
			return d
		}
	}
	return s.settings.path.CheckForwarded(original.URL, sent, byTarget)
}

// Interface guards.
var _ caddyhttp.MiddlewareHandler = (*forward)(nil)
