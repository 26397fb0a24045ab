package caddymodule

import (
	"errors"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/decision"
)

// shadow records a refusal that shadow mode lets pass: a denial, or a failure to
// decide.
func (j *judge) shadow(r *http.Request, x *exchange, d *plugins.Denial, failure error) {
	x.identify(r)
	fields := []zap.Field{
		zap.String("policy", j.policy.String()),
		zap.String("request_id", x.requestID),
		zap.String("method", r.Method),
		zap.String("path", shownPath(r)),
	}
	reason, status := "undecided", http.StatusServiceUnavailable
	if d != nil {
		x.step(j.policy, stepShadow, d)
		reason, status = string(d.Reason), d.Status
		fields = append(fields, zap.Int("status", d.Status), zap.String("reason", string(d.Reason)),
			zap.String("value", d.Value), zap.String("bound", d.Bound))
	} else {
		x.step(j.policy, stepShadow, failure)
		if u, ok := errors.AsType[*plugins.Unavailable](failure); ok {
			reason = string(u.Reason)
		}
		fields = append(fields, zap.Int("status", status), zap.Error(failure))
	}
	if x.dry == nil {
		j.countShadow(r, x, reason, status)
		j.logger.Info("shadow mode let a request pass that would be refused", fields...)
	}
	if !x.watched {
		// Nobody will see how it ended.
		x.record(j.journal, r, 0, nil)
	}
}

// countShadow adds to the shadow report.
func (j *judge) countShadow(r *http.Request, x *exchange, reason string, status int) {
	j.journal.Shadows.Add(j.policy.String(), reason, decision.Route(originalPath(r)), status, x.requestID, time.Now().UTC())
}
