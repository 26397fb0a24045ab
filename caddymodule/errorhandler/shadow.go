package errorhandler

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/ainative/portcullis/caddymodule/request"
	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/decision"
	"github.com/ainative/portcullis/plugins/problem"
	"go.uber.org/zap"
)

// shadowedAnswer is the answer that gateway_errors would have given but for shadow mode.
type shadowedAnswer struct {
	// change is its kind in the shadow report: body_translated, body_replaced,
	// error_answered or not_routed.
	change string
	// found describes the error.
	found string
	p     problem.Problem
}

// Describe implements request.Describer.
func (a *shadowedAnswer) Describe(_ *plugins.Principal, into *decision.Step) {
	into.Status, into.Reason = a.p.Status, plugins.Reason(a.change)
	into.SetFound(a.found, "detail "+strconv.Quote(a.p.Detail))
}

// finishShadow is finish in shadow mode: it changes nothing, and records how finish would
// have answered.
func (e *Errors) finishShadow(rw *responseWriter, r *http.Request, err error) error {
	if rw.x.Answered {
		return err
	}
	if rw.mode == nothingYet {
		// Caddy answers, or a gateway_errors in handle_errors.
		rw.finalHeader(rw.Header())
	}
	switch {
	case rw.mode == hijacked:
	case err != nil:
		rw.x.Answered = true
		p := e.translator.FromStatus(errorStatus(err))
		if refused, ok := errors.AsType[*request.Refusal](err); ok {
			p = e.translator.FromDenial(refused.Denial())
		}
		e.noteShadow(rw.x, r, &shadowedAnswer{"error_answered", "an error of status " + strconv.Itoa(errorStatus(err)), p})
		e.recordError(rw.x, r, p, err, nil)
	case rw.mode == passing && rw.status >= 400:
		rw.x.Answered = true
		e.shadowUpstream(rw, r)
	case rw.mode == nothingYet && originalError(r) == nil:
		p := e.translator.FromStatus(http.StatusNotFound)
		e.noteShadow(rw.x, r, &shadowedAnswer{"not_routed", "no answer", p})
	}
	return err
}

// shadowUpstream records how answerUpstream would have answered an error body that has
// passed.
func (e *Errors) shadowUpstream(rw *responseWriter, r *http.Request) {
	p, pass := e.translator.Translate(problem.Response{
		Status: rw.status, Header: rw.Header(), Body: rw.heldBody(), Truncated: rw.truncated, Method: r.Method,
	})
	if !pass || p.Body != nil || p.Status != rw.status {
		would := &shadowedAnswer{"body_translated", "status " + strconv.Itoa(rw.status) + ", read as " + p.Reader, p}
		if p.Original != "" {
			would.change = "body_replaced"
		}
		if p.Leak != "" {
			would.found += ", leaks (" + p.Leak + ")"
		}
		e.noteShadow(rw.x, r, would)
	}
	sent := p
	sent.Status = rw.status
	e.recordUpstream(rw.x, r, rw.status, sent, true, nil)
}

func (e *Errors) noteShadow(x *request.Exchange, r *http.Request, would *shadowedAnswer) {
	e.enforcer.RecordShadow(r, x, would, would.change, would.p.Status, "shadow mode let an error pass that would be answered in another way",
		zap.String("what", would.change), zap.String("found", would.found))
}
