package caddymodule

import (
	"net/http"

	"go.uber.org/zap"

	"github.com/ainative/portcullis/plugins"
)

// logShadow records a refusal that shadow mode let pass.
func logShadow(logger *zap.Logger, r *http.Request, x *exchange, policy string, d *plugins.Denial, failure error) {
	fields := []zap.Field{
		zap.String("policy", policy),
		zap.String("request_id", x.requestID),
		zap.String("method", r.Method),
		zap.String("path", r.URL.Path),
	}
	if d != nil {
		x.denial, x.shadow = d, true
		fields = append(fields, zap.Int("status", d.Status), zap.String("reason", string(d.Reason)),
			zap.String("value", d.Value), zap.String("bound", d.Bound))
	} else {
		fields = append(fields, zap.Int("status", http.StatusServiceUnavailable), zap.Error(failure))
	}
	logger.Info("shadow mode let a request pass that would be refused", fields...)
}
