package errorhandler

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/ainative/portcullis/caddymodule/request"
	"github.com/ainative/portcullis/caddymodule/sitehandler"
	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/problem"
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// ServeHTTP calls the next handler and answers the errors of the handlers behind it.
func (e *Errors) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	x := request.Begin(r)
	if e.ServerTiming {
		x.StartTiming(r)
	}
	rw := wrap(w, x, e.MaxBody)
	rw.shadow, rw.errors, rw.request = e.Shadow, e, r
	if !e.Shadow {
		rw.watch.arm(r, time.Duration(e.BodyIdleTimeout), time.Duration(e.BodyTimeout))
	}
	defer rw.release(r)
	defer e.answerBroken(rw, r)
	outer := x.UnderErrors
	x.UnderErrors = true
	err := next.ServeHTTP(rw, r)
	if e.Shadow {
		err = e.finishShadow(rw, r, err)
	} else {
		err = e.finish(rw, r, err)
	}
	if !outer {
		e.recordShadow(rw, r)
	}
	return err
}

// answerBroken answers when an upstream breaks off in the middle of an error body.
// Nothing has been sent yet, so that the client gets the status in the format instead of
// a broken connection. It passes on any other panic.
func (e *Errors) answerBroken(rw *responseWriter, r *http.Request) {
	if rw.mode != holding && rw.mode != draining {
		return
	}
	switch v := recover(); v {
	case nil:
	case http.ErrAbortHandler:
		rw.truncated = true
		_ = e.finish(rw, r, nil)
	default:
		panic(v)
	}
}

// finish answers what the handlers left: an error, a held body, or nothing.
func (e *Errors) finish(rw *responseWriter, r *http.Request, err error) error {
	rw.watch.stop()
	switch {
	case rw.mode == draining && rw.watch.connectionSpent():
		// The answer was sent without `Connection: close`.
		panic(http.ErrAbortHandler)
	case rw.mode == draining:
		// The client has its answer already.
		return nil
	case rw.mode == hijacked || rw.mode == passing:
		// Too late to change anything; the server logs the error.
		return err
	case err != nil && rw.mode == holding && rw.watch.over.Load():
		rw.truncated = true
		e.answerUpstream(rw, r)
	case err != nil:
		e.answerError(rw, r, err)
	case originalError(r) != nil && len(rw.heldBody()) == 0 && !rw.truncated:
		// In handle_errors, with no handler that wrote a body: Caddy's own writes the
		// status alone.
		e.answerError(rw, r, originalError(r))
	case rw.mode == holding:
		e.answerUpstream(rw, r)
	default:
		// Nothing was written. Caddy would send an empty 200.
		status, cause := sitehandler.Unanswered(r)
		p := e.translator.FromStatus(status)
		countErrorResponse(rw.x, p.Status, sourceRouter)
		e.write(rw, r, p, nil, func(body []byte) { e.recordError(rw.x, r, p, cause, body) })
	}
	return nil
}

// originalError is the error that handle_errors answers; nil elsewhere.
func originalError(r *http.Request) error {
	err, _ := r.Context().Value(caddyhttp.ErrorCtxKey).(error)
	return err
}

// answerError answers an error that a handler returned. Its text is private, since it may
// hold addresses and file names. The gateway's own denials have a public text.
func (e *Errors) answerError(rw *responseWriter, r *http.Request, err error) {
	err = rw.x.RestoreDenial(err)
	status := errorStatus(err)
	var p problem.Problem
	source := sourceGateway
	if refused, ok := errors.AsType[*request.Refusal](err); ok {
		p = e.translator.FromDenial(refused.Denial())
		p.Fields = refused.Fields()
	} else if unavailable, ok := errors.AsType[*plugins.Unavailable](err); ok {
		p = e.translator.FromUnavailable(unavailable)
	} else {
		source = sourceHandler
		p = e.translator.FromStatus(status)
		// The handler may have set headers before it failed.
		h := rw.Header()
		if after := problem.RetryAfter(status, h, time.Now()); after > 0 {
			p.RetryAfter = after
		}
		problem.StripEntityHeaders(h)
	}
	level := zap.DebugLevel
	if status >= 500 {
		level = zap.ErrorLevel
	}
	if c := rw.x.Log(e.logger).Check(level, "request failed"); c != nil {
		c.Write(zap.String("request_id", rw.x.RequestID), zap.Int("status", status), zap.String("method", r.Method),
			zap.String("host", r.Host), zap.String("path", request.LogPath(r)), zap.String("error", request.Cause(err)))
	}
	countErrorResponse(rw.x, p.Status, source)
	e.write(rw, r, p, nil, func(body []byte) { e.recordError(rw.x, r, p, err, body) })
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

// answerUpstream answers an error body that a handler wrote, in most cases reverse_proxy:
// it passes the body or translates it.
func (e *Errors) answerUpstream(rw *responseWriter, r *http.Request) {
	h := rw.Header()
	body := rw.heldBody()
	p, pass := e.translator.Translate(problem.Response{
		Status: rw.status, Header: h, Body: body, Truncated: rw.truncated, Method: r.Method,
	})
	pass = pass && e.preparePass(h, r, p)
	countErrorBody(rw.x, p, pass)
	record := func(body []byte) { e.recordUpstream(rw.x, r, rw.status, p, pass, body) }
	switch {
	case pass && r.Method == http.MethodHead:
		e.write(rw, r, p, h, record)
		return
	case pass:
		if p.Body != nil {
			contentType := h["Content-Type"]
			problem.StripEntityHeaders(h)
			h["Content-Type"], h["Content-Length"] = contentType, []string{strconv.Itoa(len(p.Body))}
			body = p.Body
		}
		if h.Get("Content-Encoding") == "" {
			record(body)
		} else {
			record(nil)
		}
		rw.finalHeader(h)
		rw.mode, rw.x.Answered = passing, true
		rw.ResponseWriter.WriteHeader(p.Status)
		_, _ = rw.ResponseWriter.Write(body) //nolint:gosec // the upstream's own answer, with the upstream's content type
		return
	}
	if c := rw.x.Log(e.logger).Check(upstreamLevel(p), "upstream error translated"); c != nil {
		c.Write(zap.String("request_id", rw.x.RequestID), zap.Int("upstream_status", rw.status), zap.Int("status", p.Status),
			zap.String("reader", p.Reader), zap.String("message", string(p.Message)), zap.String("leak", p.Leak), zap.String("method", r.Method),
			zap.String("host", r.Host), zap.String("path", request.LogPath(r)), zap.String("original", p.Original))
	}
	e.write(rw, r, p, h, record)
}

// preparePass sets the header of a body that is in the format already, and reports
// whether it may pass. It may not if the client asks for another format, or speaks gRPC.
func (e *Errors) preparePass(h http.Header, r *http.Request, p problem.Problem) bool {
	if grpcContentType(r) != "" {
		return false
	}
	if format := e.translator.Negotiate(r.Header["Accept"]); format != problem.FormatFastAPI {
		if format != problem.FormatProblem || !hasMediaType(h.Get("Content-Type"), format.ContentType()) {
			return false
		}
	} else {
		problem.PassedContentType(h)
	}
	setRetryAfter(h, p)
	return true
}

// setRetryAfter sets Retry-After in whole seconds, and removes an upstream's value that
// is not believed.
func setRetryAfter(h http.Header, p problem.Problem) {
	if p.RetryAfter > 0 {
		h["Retry-After"] = []string{strconv.Itoa(p.RetryAfter)}
	} else {
		delete(h, "Retry-After")
	}
}

// upstreamLevel is the log level of a translated error. The log must have what the
// client does not see.
func upstreamLevel(p problem.Problem) zapcore.Level {
	switch {
	case p.Status >= 500:
		return zap.ErrorLevel
	case p.Leak != "":
		return zap.WarnLevel
	}
	return zap.DebugLevel
}

// write sends a problem in the format that the client asks for, or as a gRPC status.
// upstream is the upstream's header, nil where the gateway answers by itself. write calls
// record with the body before it sends that: a client may ask about its answer at once.
func (e *Errors) write(rw *responseWriter, r *http.Request, p problem.Problem, upstream http.Header, record func(body []byte)) {
	h := rw.Header()
	if rw.mode == nothingYet {
		rw.status = p.Status
	}
	rw.finalHeader(h)
	if upstream != nil {
		problem.StripEntityHeaders(h)
	} else if h["Cache-Control"] == nil {
		request.NoStore(h)
	}
	setRetryAfter(h, p)
	rw.mode, rw.x.Answered = passing, true
	if contentType := grpcContentType(r); contentType != "" {
		h["Content-Type"] = []string{contentType}
		h["Grpc-Status"] = []string{strconv.Itoa(problem.GRPCStatus(p.Status))}
		h["Grpc-Message"] = []string{problem.GRPCMessage(p.GRPCText())}
		record(nil)
		rw.ResponseWriter.WriteHeader(http.StatusOK)
		return
	}
	format := e.translator.Negotiate(r.Header["Accept"])
	contentType, body := e.translator.Render(p, format, problem.Env{RequestID: rw.x.RequestID, Lookup: lookup(r)})
	record(body)
	h["Content-Type"] = []string{contentType}
	if r.Method != http.MethodHead || upstream == nil {
		// An upstream's answer to HEAD does not say how long the answer to GET would be.
		h["Content-Length"] = []string{strconv.Itoa(len(body))}
	}
	rw.ResponseWriter.WriteHeader(p.Status)
	if r.Method != http.MethodHead {
		_, _ = rw.ResponseWriter.Write(body) //nolint:gosec // Render returns JSON, and the content type says so
	}
}

// grpcContentType is the content type of the answer to a gRPC or gRPC-Web call; empty
// for any other request.
func grpcContentType(r *http.Request) string {
	if r.Method != http.MethodPost {
		return ""
	}
	return problem.GRPCContentType(r.Header.Get("Content-Type"))
}

// lookup resolves the placeholders of a custom template.
func lookup(r *http.Request) func(string) (string, bool) {
	return func(name string) (string, bool) {
		repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
		if !ok {
			return "", false
		}
		return repl.GetString(name)
	}
}
