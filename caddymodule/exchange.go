package caddymodule

import (
	"context"
	"net/http"
	"net/netip"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/ratelimit"
)

// exchange is what the handlers of one request tell each other. The first of
// them makes it; it lives in the request's vars, not in its context, so that it
// is the same for every handler whatever requests they derive.
type exchange struct {
	// requestID is set by gateway_errors; empty where that does not run. idLines is
	// room for the header lines of the request and of the response that carry it.
	requestID string
	idLines   [2]string
	// principal is who gateway_auth found; nil is nobody.
	principal *plugins.Principal
	// stripped says that the client's copies of our identity headers are gone.
	stripped bool
	// writer is the response writer of gateway_errors, or of the first gateway_limit
	// where that does not run; its ResponseWriter is nil where neither does.
	writer responseWriter
	// answered says that a gateway_errors has written the answer to an error, so
	// that one around it lets it pass.
	answered bool
	// policy and decision are of the last gateway_limit that ran, and headerMode
	// what of them the client is told; a nil policy is none.
	policy     *ratelimit.Policy
	decision   ratelimit.Decision
	headerMode ratelimit.HeaderMode
	// rows is room for the decision of most policies.
	rows [2]ratelimit.Row
	// denial is the last refusal; shadowed ones are marked in shadow.
	denial *plugins.Denial
	shadow bool
}

// exchangeVar is the name of the exchange in the request's vars.
const exchangeVar = "gateway.exchange"

// exchangeOf returns the request's exchange, a new one for the first caller.
func exchangeOf(r *http.Request) *exchange {
	vars, ok := r.Context().Value(caddyhttp.VarsCtxKey).(map[string]any)
	if !ok {
		// Not a request of Caddy's server; the handlers then can't share.
		return new(exchange)
	}
	if x, ok := vars[exchangeVar].(*exchange); ok {
		return x
	}
	x := new(exchange)
	vars[exchangeVar] = x
	return x
}

// limitHeaders tells the client of the last limit, in place of what the upstream
// may have said of its own.
func (x *exchange) limitHeaders(h http.Header) {
	if x.policy == nil {
		return
	}
	ratelimit.RemoveHeaders(h)
	ratelimit.SetHeaders(h, x.policy, &x.decision, x.headerMode)
}

// principalOf returns who gateway_auth found, or nil.
func principalOf(ctx context.Context) *plugins.Principal {
	if x, ok := caddyhttp.GetVar(ctx, exchangeVar).(*exchange); ok {
		return x.principal
	}
	return nil
}

// String keeps an exchange that is printed through the vars from showing what
// it holds.
func (*exchange) String() string { return "[gateway exchange]" }

// clientIP is the caller's address as Caddy resolved it by trusted_proxies; the
// zero Addr where it is not known, on a unix socket for instance.
func clientIP(r *http.Request) netip.Addr {
	text, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}
