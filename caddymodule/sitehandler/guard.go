package sitehandler

import (
	"errors"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/auth"
	"github.com/ainative/portcullis/plugins/edge"
)

// Guard wraps all routes of a server. It refuses a request, or passes it to the routes in
// the one form that matchers, policies and the upstream read alike.
type Guard struct {
	server *guardedServer
	routes caddyhttp.RouteList
	sites  []*site
	// inSubroute says that the routes are those of a site block. The handler after them
	// then differs with each request, so that they can't be compiled once.
	inSubroute bool
	// unknown matches the hosts without a route on the server, if this guard of a site
	// block gets them; nil elsewhere.
	unknown *unknownHost
	// headers are the `header` directives that refusals of the guard have too.
	headers caddyhttp.RouteList

	compile sync.Once
	chain   caddyhttp.Handler
}

// site is a route of the server, as Caddy makes it of a site block.
type site struct {
	// route is the index of the server's route, invoked or byHosts.
	route int
	// hosts are the host matchers of the route, of which one must match; nil matches every
	// host.
	hosts []caddyhttp.RequestMatcherWithError
	// settings are the defaults unless the site has a gateway_site.
	settings settings
	explicit bool
	refuse   func(http.ResponseWriter, *http.Request, *plugins.Denial) error
	errors   caddyhttp.MiddlewareHandler
	origins  []Origins
}

// join adds a member of the route at an index, or of the sites with some hosts.
func (g *Guard) join(at int, hosts []caddyhttp.RequestMatcherWithError, m Member) {
	var s *site
	for _, known := range g.sites {
		if at == byHosts && reflect.DeepEqual(known.hosts, hosts) || at != byHosts && known.route == at {
			s = known
		}
	}
	if s == nil {
		s = &site{route: at, hosts: hosts}
		g.sites = append(g.sites, s)
	}
	if m.settings != nil {
		s.settings, s.explicit = *m.settings, true
	}
	if s.refuse == nil {
		s.refuse = m.Refuse
	}
	if s.errors == nil {
		s.errors = m.Errors
	}
	if m.Origins != nil {
		s.origins = append(s.origins, m.Origins)
	}
}

const (
	// invoked stands for the routes that invoke a named route.
	invoked = -1
	// byHosts stands for handle_errors of some hosts.
	byHosts = -2
)

// CaddyModule returns the module's information. The guard can't be configured as a module;
// the id names it in traces.
func (*Guard) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.gateway_site", New: func() caddy.Module { return new(Site) }}
}

// Routes are the routes that the guard stands around, for a dry run to walk.
func (g *Guard) Routes() caddyhttp.RouteList {
	if g.server.complete() != nil {
		// No request gets past either.
		return nil
	}
	return g.routes
}

// ServeHTTP guards a request and passes it to the routes.
func (g *Guard) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if err := g.server.complete(); err != nil {
		return caddyhttp.Error(http.StatusInternalServerError, err)
	}
	if g.inSubroute {
		return g.Serve(w, r, g.routes.Compile(next))
	}
	g.compile.Do(func() {
		g.chain = g.routes.Compile(caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
			return g.End(w, r, next)
		}))
	})
	return g.Serve(w, r, g.chain)
}

// End handles a request that no route has answered. It refuses one whose host has no site,
// and passes others to Caddy's own end, next.
func (g *Guard) End(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if g.knows(r) || g.passesUnknown() {
		return next.ServeHTTP(w, r)
	}
	return refuseHost(w, r)
}

// knows reports whether a guarded site is for a request's host.
func (g *Guard) knows(r *http.Request) bool {
	return slices.ContainsFunc(g.sites, func(s *site) bool { return s.matchesHost(r) })
}

func (g *Guard) passesUnknown() bool {
	for _, s := range g.sites {
		if s.settings.passUnknown {
			return true
		}
	}
	return false
}

// siteOf returns the guarded site of a request, or nil. If several have its host, one with
// settings of its own goes first, and among those the one with the strictest path policy.
func (g *Guard) siteOf(r *http.Request) *site {
	var found *site
	for _, s := range g.sites {
		if !s.matchesHost(r) {
			continue
		}
		if found == nil || s.explicit && !found.explicit ||
			s.explicit == found.explicit && s.settings.path.Mode < found.settings.path.Mode {
			if found != nil && s.errors == nil && found.errors != nil {
				joined := *s
				joined.errors = found.errors
				s = &joined
			}
			found = s
		}
	}
	return found
}

func (s *site) matchesHost(r *http.Request) bool {
	return s.hosts == nil || anyHost(s.hosts, r)
}

// Serve guards a request and passes it to inner.
func (g *Guard) Serve(w http.ResponseWriter, r *http.Request, inner caddyhttp.Handler) error {
	if g.unknown != nil && g.unknown.unknown(r) {
		if g.passesUnknown() {
			return nil
		}
		return refuseHost(w, r)
	}
	s := g.siteOf(r)
	if s == nil {
		return inner.ServeHTTP(w, r)
	}
	if d := s.sanitize(r); d != nil {
		return g.headers.Compile(caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
			return s.deny(w, r, d, g.originsOf(r))
		})).ServeHTTP(w, r)
	}
	body, _ := r.Body.(*edge.Body)
	var gw *writer
	if s.errors == nil || expectsContinue(r, body) {
		gw = &writer{ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w}}
		if expectsContinue(r, body) {
			gw.expected = body
		}
		w = gw
	}
	err := inner.ServeHTTP(w, r)
	if gw == nil {
		return err
	}
	gw.closeUnread()
	if err == nil && !gw.wrote {
		status, cause := Unanswered(r)
		return caddyhttp.HandlerError{StatusCode: status, Err: cause}
	}
	return err
}

// expectsContinue reports whether the client waits for 100 Continue before it sends its
// body.
func expectsContinue(r *http.Request, body *edge.Body) bool {
	return body != nil && r.ProtoMajor == 1 && len(r.Header["Expect"]) != 0
}

// sanitize refuses a request, or brings it into the form that all later handlers read.
func (s *site) sanitize(r *http.Request) *plugins.Denial {
	acceptExtendedConnect(r)
	if d := edge.CheckMethod(r.Method); d != nil {
		return d
	}
	if d := s.settings.path.Apply(r.URL); d != nil {
		return d
	}
	if original := originalURL(r); original != nil {
		// Caddy's copy of the original request gets the checked form too: FastCGI sends it
		// as REQUEST_URI, by which a PHP front controller routes, and error routes start
		// from it.
		*original = *r.URL
	}
	auth.StripIdentity(r)
	if !s.settings.allowOverride {
		edge.StripOverrides(r.Header)
	}
	s.settings.upgrades.Strip(r)
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = edge.NewBody(r, auth.StripTrailers)
	}
	caddyhttp.SetVar(r.Context(), siteVar, s)
	return nil
}

// deny refuses a request in the site's format.
func (s *site) deny(w http.ResponseWriter, r *http.Request, d *plugins.Denial, origins Origins) error {
	refuse := caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error { return s.end(w, r, d) })
	if origins != nil {
		inner := refuse
		refuse = func(w http.ResponseWriter, r *http.Request) error { return origins.ServeHTTP(w, r, inner) }
	}
	if r.ProtoMajor == 1 && len(r.Header["Expect"]) != 0 {
		w.Header().Set("Connection", "close")
	}
	if s.errors != nil {
		return s.errors.ServeHTTP(w, r, refuse)
	}
	return refuse(w, r)
}

// end ends the chain of a request that is refused.
func (s *site) end(w http.ResponseWriter, r *http.Request, d *plugins.Denial) error {
	if s.refuse == nil {
		return caddyhttp.HandlerError{StatusCode: d.Status, Err: errors.New(string(d.Reason))}
	}
	return s.refuse(w, r, d)
}

// The causes of a request without an answer.
var (
	ErrUnrouted = errors.New("no route of the configuration answers this request")
	errSilent   = errors.New("the handler gave no answer")
)

// Unanswered is the status and cause of a request that no handler has answered: 404 if no
// route matches, and 502 if a handler returned without an answer, as Caddy's proxy does
// when an upstream switches protocols without a request for it.
func Unanswered(r *http.Request) (status int, cause error) {
	if unhandled, _ := caddyhttp.GetVar(r.Context(), "unhandled").(bool); unhandled {
		return http.StatusNotFound, ErrUnrouted
	}
	return http.StatusBadGateway, errSilent
}

// siteVar is the name of the guarded site in the request's vars.
const siteVar = "gateway.site"

// CheckRewritten refuses a request that was rewritten, after the guard has checked it, to a
// path that matchers and the upstream could read differently. Policies call it, because a
// rewrite can put a client's input into the path.
func CheckRewritten(r *http.Request) *plugins.Denial {
	s, ok := caddyhttp.GetVar(r.Context(), siteVar).(*site)
	if !ok {
		return nil
	}
	checked := originalURL(r)
	if checked == nil {
		return nil
	}
	return s.settings.path.CheckRewritten(checked, r.URL)
}

// originalURL is the request's URL before any rewrite, as Caddy keeps it. After sanitize it
// is the form that the guard has checked.
func originalURL(r *http.Request) *url.URL {
	original, _ := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
	return original.URL
}

// Interface guards.
var _ caddyhttp.MiddlewareHandler = (*Guard)(nil)
