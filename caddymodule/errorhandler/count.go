package errorhandler

import (
	"github.com/ainative/portcullis/caddymodule/metrics"
	"github.com/ainative/portcullis/caddymodule/request"
	"github.com/ainative/portcullis/plugins/problem"
)

// Sources of an error response, as the label has them.
const (
	sourceGateway  = "gateway"
	sourceHandler  = "handler"
	sourceRouter   = "router"
	sourceUpstream = "upstream"
)

// countErrorResponse counts a response of status 400 or above.
func countErrorResponse(x *request.Exchange, status int, source string) {
	if x.IsDryRun() {
		return
	}
	class := "4xx"
	if status >= 500 {
		class = "5xx"
	}
	metrics.ErrorResponses.WithLabelValues(class, source).Inc()
}

// countErrorBody counts an upstream's error body.
func countErrorBody(x *request.Exchange, p problem.Problem, passed bool) {
	outcome := "translated"
	if passed {
		outcome = "passed"
	}
	countErrorResponse(x, p.Status, sourceUpstream)
	metrics.ErrorBodies.WithLabelValues(p.Reader, outcome).Inc()
	if p.Leak != "" {
		metrics.ErrorLeaks.WithLabelValues(p.Leak).Inc()
	}
}
