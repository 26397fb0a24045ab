package request

import (
	"github.com/ainative/portcullis/caddymodule/metrics"
	"github.com/ainative/portcullis/plugins"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// What the gateway adds to the span that Caddy's `tracing` made: attributes that
// say how it ended, and an event for each decision. Callers are named by the id of
// their key, never by their subject or owner: traces often go to somebody else.
const (
	attrDecision  = attribute.Key("gateway.decision")
	attrPolicy    = attribute.Key("gateway.policy")
	attrReason    = attribute.Key("gateway.reason")
	attrScheme    = attribute.Key("gateway.scheme")
	attrKeyID     = attribute.Key("gateway.key_id")
	attrIssuer    = attribute.Key("gateway.issuer")
	attrTier      = attribute.Key("gateway.tier")
	attrLimit     = attribute.Key("gateway.limit")
	attrRemaining = attribute.Key("gateway.limit.remaining")
	attrRequestID = attribute.Key("gateway.request_id")
)

// eventDecision is the name of the span's event for each decision.
const eventDecision = "gateway.decision"

// trace tells the span of a check. It is called only where there is a span that
// records.
func (x *Exchange) trace(s *step) {
	result := decisionOf(s.result)
	attrs := []attribute.KeyValue{attrPolicy.String(s.policy.String()), attrDecision.String(result)}
	reason := s.reason()
	if reason != "" {
		attrs = append(attrs, attrReason.String(reason))
	}
	x.span.AddEvent(eventDecision, trace.WithAttributes(attrs...))
	if s.result == Refused || s.result == Undecided {
		x.span.SetAttributes(attrs...)
		return
	}
	x.span.SetAttributes(attrDecision.String(metrics.Allowed))
	if p, ok := s.of.(*plugins.Principal); ok && s.result == Passed {
		x.span.SetAttributes(attrScheme.String(p.Scheme), attrTier.String(p.Tier))
		if p.KeyID != "" {
			x.span.SetAttributes(attrKeyID.String(p.KeyID))
		}
		if p.Issuer != "" {
			x.span.SetAttributes(attrIssuer.String(p.Issuer))
		}
	}
}

// traceLimit tells the span what is left of a limit.
func (x *Exchange) traceLimit(policy string, remaining int64) {
	x.span.SetAttributes(attrLimit.String(policy), attrRemaining.Int64(remaining))
}
