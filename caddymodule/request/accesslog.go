package request

import (
	"context"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/ainative/portcullis/caddymodule/metrics"
)

// attach adds the gateway's decision to the access log and the trace of the request,
// where it has them.
func (x *Exchange) attach(ctx context.Context) {
	if server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); ok && server.Logs != nil {
		if extra, ok := ctx.Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields); ok {
			// The fields are made when the line is written, after the last decision.
			extra.Set(zap.Object("gateway", (*accessFields)(x)))
		}
	}
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		x.span = span
	}
}

// accessFields are the fields of an exchange in the access log, under `gateway`. They
// hold no credential.
type accessFields Exchange

// MarshalLogObject implements zapcore.ObjectMarshaler.
func (f *accessFields) MarshalLogObject(e zapcore.ObjectEncoder) error {
	text := func(name, value string) {
		if value != "" {
			e.AddString(name, value)
		}
	}
	text("request_id", f.RequestID)
	if f.stepCount == 0 {
		return nil
	}
	last := f.steps[f.stepCount-1]
	for i := range f.stepCount {
		if result := f.steps[i].result; result == Refused || result == Undecided {
			last = f.steps[i]
		}
	}
	switch last.result {
	case Refused, Undecided:
		e.AddString("decision", last.result.label())
		e.AddString("policy", last.policy.String())
		text("reason", last.reason())
	default:
		e.AddString("decision", metrics.Allowed)
	}
	if p := f.Principal; p != nil {
		e.AddString("scheme", p.Scheme)
		text("key_id", p.KeyID)
		text("issuer", p.Issuer)
		text("tier", p.Tier)
	}
	if f.policy != nil {
		e.AddString("limit", f.policy.Name)
		if left, ok := leastRemaining(f.decision.Rows); ok {
			e.AddInt64("limit_remaining", left)
		}
	}
	return f.shadows(e)
}

// shadows lists what shadow mode let pass.
func (f *accessFields) shadows(e zapcore.ObjectEncoder) error {
	var shadowed []string
	for i := range f.stepCount {
		if s := &f.steps[i]; s.result == Shadowed {
			shadowed = append(shadowed, s.policy.String()+": "+s.reason())
		}
	}
	if len(shadowed) == 0 {
		return nil
	}
	return e.AddArray("shadow", zapcore.ArrayMarshalerFunc(func(list zapcore.ArrayEncoder) error {
		for _, s := range shadowed {
			list.AppendString(s)
		}
		return nil
	}))
}
