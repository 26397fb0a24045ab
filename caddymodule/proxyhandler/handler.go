// Package proxyhandler makes the handler gateway_proxy: Caddy's reverse_proxy with
// a way of its own for plain requests, which costs about half the CPU. It stands
// last in a request's way, where reverse_proxy stands.
package proxyhandler

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"go.uber.org/zap"

	"github.com/ainative/portcullis/caddymodule/sitehandler"
)

func init() {
	caddy.RegisterModule(Handler{})
}

// Handler is Caddy's reverse proxy with a fast way for plain requests. It is
// configured as `http.handlers.reverse_proxy` is, field for field, and answers as
// that does.
//
// The fast way is taken by requests to an upstream that speaks HTTP/1.1 without TLS,
// over TCP or a Unix socket. All else is given to Caddy's handler, which is part of
// this one: requests to switch protocols (WebSocket), and every request of a site
// that uses what only Caddy's handler has. Both ways choose from the same upstreams
// by the same policy, and heed the same active health checks.
//
// Beyond the placeholders of reverse_proxy it sets these:
//
// Placeholder | Description
// ------------|-------------
// `{http.gateway.proxy.way}` | `fast` or `caddy`: the way that the request took
// `{http.gateway.proxy.reason}` | Why a request took Caddy's way; empty for the fast one
type Handler struct {
	reverseproxy.Handler

	reasons []string // why no request of the site takes the fast way
	fast    *fastWay // nil if there are reasons
	logger  *zap.Logger
}

// CaddyModule returns the Caddy module information.
func (Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.gateway_proxy",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision provisions Caddy's handler, and decides whether requests may take the
// fast way.
func (h *Handler) Provision(ctx caddy.Context) error {
	h.logger = ctx.Logger()
	if err := sitehandler.Join(ctx, sitehandler.Member{Name: "gateway_proxy"}); err != nil {
		return err
	}
	if err := registerMetrics(ctx); err != nil {
		return err
	}
	// Provision removes what it has loaded: look at it before.
	configured := transportProxies(h.TransportRaw)
	chosenBy := policiesOf(h.Handler.LoadBalancing)
	if err := h.Handler.Provision(ctx); err != nil {
		return err
	}
	h.reasons = append(siteReasons(&h.Handler, chosenBy), configured...)
	if len(h.reasons) == 0 {
		fast, reason, err := newFastWay(ctx, &h.Handler, chosenBy, h.logger)
		if err != nil {
			return err
		}
		if reason != "" {
			h.reasons = append(h.reasons, reason)
		}
		h.fast = fast
	}
	upstreams := make([]string, len(h.Upstreams))
	for i, u := range h.Upstreams {
		upstreams[i] = u.Dial
	}
	if h.fast != nil {
		h.logger.Info("plain requests take the fast way", zap.Strings("upstreams", upstreams))
	} else {
		h.logger.Info("all requests take Caddy's way", zap.Strings("upstreams", upstreams), zap.Strings("reasons", h.reasons))
	}
	return nil
}

// Cleanup closes idle connections. Requests in flight go on.
func (h *Handler) Cleanup() error {
	if h.fast != nil {
		h.fast.close()
	}
	if h.logger == nil {
		return nil // Provision did not begin
	}
	return h.Handler.Cleanup()
}

// ServeHTTP proxies a request. It does not call next, unless a handle_response
// route of Caddy's handler does.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	var reason string
	if h.fast == nil {
		reason = strings.Join(h.reasons, ", ")
	} else if reason = requestReason(r); reason == "" {
		requestsFast.Inc()
		return h.fast.serve(w, r)
	}
	requestsCaddy.Inc()
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer) //nolint:forcetypeassert // Caddy's server sets it
	repl.Set(wayKey, "caddy")
	repl.Set(reasonKey, reason)
	return h.Handler.ServeHTTP(w, r, next)
}

// newFastWay makes the fast way of a site, or says why it has none.
func newFastWay(ctx caddy.Context, h *reverseproxy.Handler, chosenBy policies, logger *zap.Logger) (*fastWay, string, error) {
	transport, ok := h.Transport.(*reverseproxy.HTTPTransport)
	if !ok {
		return nil, "transport", nil
	}
	f := &fastWay{
		ctx: ctx, logger: logger, handler: h,
		compress:    transport.Compression == nil || *transport.Compression,
		noReuse:     transport.KeepAlive.Enabled != nil && !*transport.KeepAlive.Enabled,
		wholePolicy: chosenBy.any(readingPolicies),
		single:      len(h.Upstreams) == 1 && chosenBy.only(choosingPolicies),
	}
	for _, text := range h.TrustedProxies {
		prefix, err := parsePrefix(text)
		if err != nil {
			return nil, "", fmt.Errorf("trusted_proxies %q: %w", text, err)
		}
		f.trusted = append(f.trusted, prefix)
	}
	for _, configured := range h.Upstreams {
		u, reason := newUpstream(configured, transport, f.noReuse)
		if reason != "" {
			return nil, reason, nil
		}
		f.upstreams = append(f.upstreams, u)
	}
	return f, "", nil
}

func parsePrefix(text string) (netip.Prefix, error) {
	if strings.Contains(text, "/") {
		return netip.ParsePrefix(text)
	}
	address, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, err
	}
	return netip.PrefixFrom(address, address.BitLen()), nil
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.CleanerUpper          = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
