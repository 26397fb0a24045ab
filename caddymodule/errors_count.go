package caddymodule

import "github.com/ainative/portcullis/plugins/problem"

// Sources of an error response, as the label has them.
const (
	sourceGateway  = "gateway"
	sourceHandler  = "handler"
	sourceRouter   = "router"
	sourceUpstream = "upstream"
)

// countErrorResponse counts a response of status 400 or above.
func countErrorResponse(x *exchange, status int, source string) {
	if x.isDryRun() {
		return
	}
	class := "4xx"
	if status >= 500 {
		class = "5xx"
	}
	errorResponses.WithLabelValues(class, source).Inc()
}

// countErrorBody counts an upstream's error body.
func countErrorBody(x *exchange, p problem.Problem, passed bool) {
	outcome := "translated"
	if passed {
		outcome = "passed"
	}
	countErrorResponse(x, p.Status, sourceUpstream)
	errorBodies.WithLabelValues(p.Reader, outcome).Inc()
	if p.Leak != "" {
		errorLeaks.WithLabelValues(p.Leak).Inc()
	}
}
