package errorhandler

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/ainative/portcullis/caddymodule/request"
	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/decision"
	"github.com/ainative/portcullis/plugins/problem"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

// wouldBecome is what gateway_errors in shadow mode would have made of an error.
type wouldBecome struct {
	// what is the kind of change in the shadow report: body_translated, body_replaced,
	// error_answered or not_routed.
	what  string
	found string
	p     problem.Problem
}

// Describe says it as a step of a record.
func (b *wouldBecome) Describe(_ *plugins.Principal, into *decision.Step) {
	into.Status, into.Reason = b.p.Status, plugins.Reason(b.what)
	into.SetFound(b.found, "detail "+strconv.Quote(b.p.Detail))
}

// finishShadow changes nothing that the handlers left, and records what finish would
// have made of it.
func (e *Errors) finishShadow(rw *responseWriter, r *http.Request, err error) error {
	if rw.x.Answered {
		return err
	}
	if rw.mode == nothingYet {
		// Caddy will answer, or a gateway_errors in handle_errors.
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
		e.noteShadow(rw.x, r, &wouldBecome{"error_answered", "an error of status " + strconv.Itoa(errorStatus(err)), p})
		e.recordError(rw.x, r, p, err, nil)
	case rw.mode == passing && rw.status >= 400:
		rw.x.Answered = true
		e.shadowUpstream(rw, r)
	case rw.mode == nothingYet && handled(r) == nil:
		p := e.translator.FromStatus(http.StatusNotFound)
		e.noteShadow(rw.x, r, &wouldBecome{"not_routed", "no answer", p})
	}
	return err
}

// shadowUpstream records what answerUpstream would have made of an error body that
// has passed.
func (e *Errors) shadowUpstream(rw *responseWriter, r *http.Request) {
	p, pass := e.translator.Translate(problem.Response{
		Status: rw.status, Header: rw.Header(), Body: rw.heldBody(), Truncated: rw.truncated, Method: r.Method,
	})
	if !pass || p.Body != nil || p.Status != rw.status {
		would := &wouldBecome{"body_translated", "status " + strconv.Itoa(rw.status) + ", read as " + p.Reader, p}
		if p.Original != "" {
			would.what = "body_replaced"
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

func (e *Errors) noteShadow(x *request.Exchange, r *http.Request, would *wouldBecome) {
	x.Step(request.PolicyErrors, request.Shadowed, would)
	if x.IsDryRun() {
		return
	}
	j := request.NewJudge(request.PolicyErrors, e.logger, e.journal)
	j.CountShadow(r, x, would.what, would.p.Status)
	e.logger.Info("shadow mode let an error pass that would be answered in another way", zap.String("request_id", x.RequestID),
		zap.String("what", would.what), zap.String("found", would.found), zap.Int("status", would.p.Status),
		zap.String("method", r.Method), zap.String("path", request.ShownPath(r)))
}

// errorStatus is the status that an error asks for.
func errorStatus(err error) int {
	if handlerErr, ok := errors.AsType[caddyhttp.HandlerError](err); ok && handlerErr.StatusCode >= 400 {
		return handlerErr.StatusCode
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusInternalServerError
}
