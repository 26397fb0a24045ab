package request

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/ainative/portcullis/caddymodule/metrics"
	"github.com/ainative/portcullis/plugins"
)

// The gateway adds to the span of Caddy's `tracing`: attributes for the outcome, and an
// event for each decision. They name a caller by the id of the key, never by subject or
// owner, because traces often go to a third party.
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

// trace adds a check to the span. The caller has made sure that there is one.
func (x *Exchange) trace(s *step) {
	result := s.result.label()
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
	if p, ok := s.finding.(*plugins.Principal); ok && s.result == Passed {
		x.span.SetAttributes(attrScheme.String(p.Scheme), attrTier.String(p.Tier))
		if p.KeyID != "" {
			x.span.SetAttributes(attrKeyID.String(p.KeyID))
		}
		if p.Issuer != "" {
			x.span.SetAttributes(attrIssuer.String(p.Issuer))
		}
	}
}

// traceLimit adds to the span what is left of a limit.
func (x *Exchange) traceLimit(policy string, remaining int64) {
	x.span.SetAttributes(attrLimit.String(policy), attrRemaining.Int64(remaining))
}
