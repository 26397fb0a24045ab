// Package request holds what the handlers of one request share: the caller, the checks so
// far, the charges, and the limits that the client is shown. Metrics, traces, the access
// log and the decision record are all written here, from that. It knows no handler.
//
// A handler calls [ExchangeOf], decides, and then lets its [Enforcer] carry the decision
// out.
package request

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.opentelemetry.io/otel/trace"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/auth"
	"github.com/ainative/portcullis/plugins/decision"
	"github.com/ainative/portcullis/plugins/ratelimit"
)

// Exchange is what the handlers of one request share. The first handler makes it. It is
// in the request's vars and not in its context, so that every handler sees the same one,
// whatever requests they derive.
type Exchange struct {
	// RequestID is set by gateway_errors; empty where that does not run. idLine is
	// the header line of the response that carries it.
	RequestID string
	idLine    []string
	// Principal is the caller that gateway_auth found; nil for an anonymous one.
	Principal *plugins.Principal
	// CredentialIn names the header in which the credential was.
	CredentialIn string

	// UnderErrors says that the request passed a gateway_errors, which sees how it ends
	// and records that.
	UnderErrors bool
	// HasHeaderWriter says that a writer of gateway_errors, or of a gateway_limit, sets
	// the final header of the response.
	HasHeaderWriter bool
	// Answered says that a gateway_errors has written the answer to an error, so
	// that one around it lets it pass.
	Answered bool

	// steps are the checks so far, the first stepCount of them.
	steps     [6]step
	stepCount uint8
	// LastRecord is the newest decision record of this request.
	LastRecord *decision.Record

	// policy and decision are those of the last gateway_limit that ran, and headerMode
	// says what the client is shown of them; a nil policy shows nothing. shown counts
	// how often they were set.
	shown      uint8
	policy     *ratelimit.Policy
	decision   ratelimit.Decision
	headerMode ratelimit.HeaderMode
	// rowBuffer has room for the decision of most policies.
	rowBuffer [2]ratelimit.Row
	// charges are what the enclosing gateway_limit handlers have charged; chargeBuffer
	// has room for those of most requests.
	charges      []Charge
	chargeBuffer [2]Charge
	// cost is the innermost charge that waits for the response to report its cost.
	cost *pendingCost

	// timing is for Server-Timing; nil where that is off.
	timing *timing
	// Origin says which page may read the response; nil where no gateway_cors ran.
	Origin interface{ SetHeader(http.Header) }
	// span records the request; nil where none does.
	span trace.Span
	// dry is set in a dry run; see dryrun.go.
	dry *DryRun
}

// exchangeVar is the name of the exchange in the request's vars.
const exchangeVar = "gateway.exchange"

// ExchangeOf returns the request's exchange. The first call makes it.
func ExchangeOf(r *http.Request) *Exchange {
	vars, ok := r.Context().Value(caddyhttp.VarsCtxKey).(map[string]any)
	if !ok {
		// Not a request of Caddy's server; the handlers then can't share.
		return new(Exchange)
	}
	if x, ok := vars[exchangeVar].(*Exchange); ok {
		return x
	}
	x := new(Exchange)
	vars[exchangeVar] = x
	x.attach(r.Context())
	return x
}

// Begin is ExchangeOf for gateway_errors: it also gives the request an id, and puts the
// id into the request's header.
func Begin(r *http.Request) *Exchange {
	vars, _ := r.Context().Value(caddyhttp.VarsCtxKey).(map[string]any)
	x, ok := vars[exchangeVar].(*Exchange)
	if ok && x.RequestID != "" {
		r.Header[auth.HeaderRequestID] = []string{x.RequestID}
		return x
	}
	locked := arenas.Lock()
	a := &locked.State
	if !ok {
		x = a.exchange()
	}
	if x.RequestID = trustedRequestID(r); x.RequestID == "" {
		x.RequestID = a.id(time.Now())
	}
	r.Header[auth.HeaderRequestID], x.idLine = a.idLines(x.RequestID)
	locked.Unlock()
	if !ok && vars != nil {
		vars[exchangeVar] = x
		x.attach(r.Context())
	}
	if x.span != nil {
		x.span.SetAttributes(attrRequestID.String(x.RequestID))
	}
	return x
}

// PrincipalOf returns the caller that gateway_auth found, or nil.
func PrincipalOf(ctx context.Context) *plugins.Principal {
	if x, ok := caddyhttp.GetVar(ctx, exchangeVar).(*Exchange); ok {
		return x.Principal
	}
	return nil
}

// RowBuffer returns room for the decision of most policies.
func (x *Exchange) RowBuffer() []ratelimit.Row { return x.rowBuffer[:0] }

// String hides the exchange's content where the request's vars are printed.
func (*Exchange) String() string { return "[gateway exchange]" }

// ClientIP is the caller's address as Caddy resolved it by trusted_proxies; the
// zero Addr where it is not known, on a unix socket for instance.
func ClientIP(r *http.Request) netip.Addr {
	text, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}
