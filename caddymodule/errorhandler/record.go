package errorhandler

import (
	"net/http"

	"github.com/ainative/portcullis/caddymodule/request"
	"github.com/ainative/portcullis/plugins/decision"
	"github.com/ainative/portcullis/plugins/problem"
)

// recordError records an error that the gateway answered by itself.
func (e *Errors) recordError(x *request.Exchange, r *http.Request, p problem.Problem, err error, body []byte) {
	x.Record(e.journal, r, p.Status, func(rec *decision.Record) {
		x.RecordCause(rec, err)
		rec.RetryAfter = p.RetryAfter
		rec.SetAnswer(body)
	})
}

// recordUpstream records an upstream's error, and whether its body passed.
func (e *Errors) recordUpstream(x *request.Exchange, r *http.Request, status int, p problem.Problem, passed bool, body []byte) {
	x.Record(e.journal, r, p.Status, func(rec *decision.Record) {
		rec.Outcome, rec.RetryAfter = decision.Upstream, p.RetryAfter
		rec.SetAnswer(body)
		rec.UpstreamStatus, rec.Reader, rec.Rule, rec.Leak = status, p.Reader, p.Rule, p.Leak
		switch {
		case passed:
			rec.Body = decision.BodyPassed
		case p.Message == problem.FateHidden, p.Message == problem.FateLeak, p.Message == problem.FateRule:
			rec.Body = decision.BodyReplaced
		default:
			rec.Body = decision.BodyTranslated
		}
	})
}

// recordShadow records a request that shadow mode let pass, where no error has been recorded.
func (e *Errors) recordShadow(rw *responseWriter, r *http.Request) {
	if x := rw.x; x.LastRecord == nil && x.Shadowed() {
		x.Record(e.journal, r, rw.status, nil)
	}
}
