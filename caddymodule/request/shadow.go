package request

import (
	"errors"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/decision"
)

// Shadow records a refusal that shadow mode lets pass: a denial, or a failure to
// decide.
func (j *Judge) Shadow(r *http.Request, x *Exchange, d *plugins.Denial, failure error) {
	x.Identify(r)
	fields := []zap.Field{
		zap.String("policy", j.policy.String()),
		zap.String("request_id", x.RequestID),
		zap.String("method", r.Method),
		zap.String("path", ShownPath(r)),
	}
	reason, status := "undecided", http.StatusServiceUnavailable
	if d != nil {
		x.Step(j.policy, Shadowed, d)
		reason, status = string(d.Reason), d.Status
		fields = append(fields, zap.Int("status", d.Status), zap.String("reason", string(d.Reason)),
			zap.String("value", d.Value), zap.String("bound", d.Bound))
	} else {
		x.Step(j.policy, Shadowed, failure)
		if u, ok := errors.AsType[*plugins.Unavailable](failure); ok {
			reason = string(u.Reason)
		}
		fields = append(fields, zap.Int("status", status), zap.Error(failure))
	}
	if x.dry == nil {
		j.CountShadow(r, x, reason, status)
		j.Logger.Info("shadow mode let a request pass that would be refused", fields...)
	}
	if !x.Watched {
		// Nobody will see how it ended.
		x.Record(j.journal, r, 0, nil)
	}
}

// CountShadow adds to the shadow report.
func (j *Judge) CountShadow(r *http.Request, x *Exchange, reason string, status int) {
	j.journal.Shadows.Add(j.policy.String(), reason, decision.Route(originalPath(r)), status, x.RequestID, time.Now().UTC())
}
