package errorhandler

import (
	"net/http"

	"github.com/ainative/portcullis/caddymodule/request"
	"github.com/ainative/portcullis/plugins/decision"
	"github.com/ainative/portcullis/plugins/problem"
)

// recordError keeps why a request was answered by the gateway itself.
func (e *Errors) recordError(x *request.Exchange, r *http.Request, p problem.Problem, err error, body []byte) {
	x.Record(e.journal, r, p.Status, func(rec *decision.Record) {
		x.RecordCause(rec, err)
		rec.RetryAfter = p.RetryAfter
		rec.SetAnswer(body)
	})
}

// recordUpstream keeps what an upstream's error was and what became of it.
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

// recordShadow keeps what shadow mode let pass of a request that went well.
func (e *Errors) recordShadow(rw *responseWriter, r *http.Request) {
	if x := rw.x; x.Recorded == nil && x.Shadowed() {
		x.Record(e.journal, r, rw.status, nil)
	}
}
