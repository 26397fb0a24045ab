// Package request is what the handlers of one request tell each other: who calls, which
// checks have passed, what was charged, and which decision the client is told of. Metrics,
// traces, the access log and the record of the decision are told from it, here and nowhere
// else. It knows no handler.
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

// Exchange is what the handlers of one request tell each other. The first of
// them makes it; it lives in the request's vars, not in its context, so that it
// is the same for every handler whatever requests they derive.
type Exchange struct {
	// RequestID is set by gateway_errors; empty where that does not run. idLine is
	// the header line of the response that carries it.
	RequestID string
	idLine    []string
	// Principal is who gateway_auth found; nil is nobody.
	Principal *plugins.Principal
	// Wrapped says that a writer of gateway_errors, or of a gateway_limit, sets the final
	// header of the response.
	Wrapped bool
	// Answered says that a gateway_errors has written the answer to an error, so
	// that one around it lets it pass.
	Answered bool
	// policy and decision are of the last gateway_limit that ran, the shown-th, and
	// headerMode what of them the client is told; a nil policy is none.
	shown      uint8
	policy     *ratelimit.Policy
	decision   ratelimit.Decision
	headerMode ratelimit.HeaderMode
	// rows is room for the decision of most policies.
	rows [2]ratelimit.Row
	// timing is for Server-Timing; nil where that is off.
	timing *timing
	// payments are what the gateway_limit handlers around have charged; paymentRoom is
	// room for most requests'.
	payments    []Charge
	paymentRoom [2]Charge
	// Origin says which page may read the response; nil where no gateway_cors ran.
	Origin interface{ SetHeader(http.Header) }
	// span records the request; nil where none does.
	span trace.Span
	// cost is the innermost charge that waits for the response to tell its cost.
	cost *pendingCost
	// Watched says that a gateway_errors is around, which sees how the request ends.
	Watched bool
	// CredentialIn names the header in which the credential was.
	CredentialIn string
	// steps are the checks so far, the first stepCount of them.
	steps     [6]step
	stepCount uint8
	// dry says that nobody sent the request: `check` asks what would become of it,
	// and nothing is counted.
	dry *DryRun
	// Recorded is the last record of this request.
	Recorded *decision.Record
}

// step is one check and how it went, in a form that costs a request that passes
// nothing: texts are made when a record is.
type step struct {
	policy Policy
	result Result
	// of is what is to be told: a *plugins.Denial or an error where it did not pass,
	// else the *Roles or the *ratelimit.Policy that was asked.
	of any
	// remaining is of the limit that has the fewest left.
	remaining int64
}

// Result is a decision.Result in a byte.
type Result uint8

const (
	Passed Result = iota
	Anonymous
	Refused
	Undecided
	Shadowed
)

var stepResults = [...]decision.Result{
	decision.StepPassed, decision.StepAnonymous, decision.StepRefused, decision.StepUndecided, decision.StepShadow,
}

// Step notes a check. Of a request with more checks than there is room for, the
// last are told.
func (x *Exchange) Step(policy Policy, result Result, of any) *step {
	if int(x.stepCount) == len(x.steps) {
		copy(x.steps[:], x.steps[1:])
		x.stepCount--
	}
	s := &x.steps[x.stepCount]
	*s = step{policy: policy, result: result, of: of}
	x.stepCount++
	if x.dry == nil {
		meters[policy].count(s)
	}
	if x.span != nil {
		x.trace(s)
	}
	return s
}

// Limited notes that a limit let the request pass.
func (x *Exchange) Limited(p *ratelimit.Policy, rows []ratelimit.Row) {
	s := x.Step(PolicyLimit, Passed, p)
	s.remaining = -1
	if left, found := leastRemaining(rows); found {
		s.remaining = left
		if x.span != nil {
			x.traceLimit(p.Name, left)
		}
	}
}

// leastRemaining is what is left of the limit that has the least.
func leastRemaining(rows []ratelimit.Row) (least int64, found bool) {
	for i := range rows {
		if left := rows[i].Remaining; !found || left < least {
			least, found = left, true
		}
	}
	return least, found
}

// RowRoom is room for the decision of most policies.
func (x *Exchange) RowRoom() []ratelimit.Row { return x.rows[:0] }

// Shadowed reports whether shadow mode let the request pass.
func (x *Exchange) Shadowed() bool {
	for i := range x.stepCount {
		if x.steps[i].result == Shadowed {
			return true
		}
	}
	return false
}

// exchangeVar is the name of the exchange in the request's vars.
const exchangeVar = "gateway.exchange"

// Of returns the request's exchange, a new one for the first caller.
func Of(r *http.Request) *Exchange {
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

// Identified returns the request's exchange, a new one for the first caller, with
// the request's id in it and in the header.
func Identified(r *http.Request) *Exchange {
	vars, _ := r.Context().Value(caddyhttp.VarsCtxKey).(map[string]any)
	x, ok := vars[exchangeVar].(*Exchange)
	if ok && x.RequestID != "" {
		r.Header[auth.HeaderRequestID] = []string{x.RequestID}
		return x
	}
	a := takeArena()
	if !ok {
		x = a.exchange()
	}
	if x.RequestID = sentRequestID(r); x.RequestID == "" {
		x.RequestID = a.id(time.Now())
	}
	r.Header[auth.HeaderRequestID], x.idLine = a.idLines(x.RequestID)
	a.mu.Unlock()
	if !ok && vars != nil {
		vars[exchangeVar] = x
		x.attach(r.Context())
	}
	if x.span != nil {
		x.span.SetAttributes(attrRequestID.String(x.RequestID))
	}
	return x
}

// PrincipalOf returns who gateway_auth found, or nil.
func PrincipalOf(ctx context.Context) *plugins.Principal {
	if x, ok := caddyhttp.GetVar(ctx, exchangeVar).(*Exchange); ok {
		return x.Principal
	}
	return nil
}

// String keeps an exchange that is printed through the vars from showing what
// it holds.
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
