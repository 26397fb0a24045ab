package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/decision"
	"github.com/ainative/portcullis/plugins/problem"
)

// Errors makes every response with status 400 or above leave in one format:
// what the gateway refuses, what any other handler returns as an error, what the
// router does not find, and what the upstream answers. It belongs outermost.
//
// The message that a person needs is kept from an upstream's error, and what an
// attacker wants is not. A request id is on every response. Responses below 400
// are not touched, buffered or delayed.
type Errors struct {
	// The format: `fastapi`, {"detail": ...}, `problem`, RFC 9457, or `custom`, the
	// Template. A client that asks for application/problem+json gets that in any
	// case. Default: `fastapi`.
	Format string `json:"format,omitempty"`

	// The JSON of the custom format, with placeholders as values.
	Template string `json:"template,omitempty"`

	// How much of an upstream's error body is read, in bytes. A longer body is
	// replaced whole. Default: 1 MiB.
	MaxBody int64 `json:"max_body,omitempty"`

	// Whether the text of a 5xx body that is not in the format already is shown:
	// `hide` or `show`. Default: `hide`; the text goes to the log.
	ServerMessages string `json:"server_messages,omitempty"`

	// What to make of particular upstream errors; the first that matches counts.
	Rules []ErrorRule `json:"rules,omitempty"`

	// Texts instead of the fixed ones, by status.
	Texts map[int]string `json:"texts,omitempty"`

	// ServerTiming adds a Server-Timing header to every response, with the time
	// until the upstream answered and the time that the gateway took beside it, in
	// milliseconds. Default: none, since it tells clients how the time is spent.
	ServerTiming bool `json:"server_timing,omitempty"`

	// Let every error pass as it is, and note what would have become of it. The
	// request id is set all the same.
	Shadow bool `json:"shadow,omitempty"`

	logger     *zap.Logger
	translator *problem.Translator
	journal    *decision.Journal
	acquired   releaser
}

// ErrorRule turns an upstream's error into another.
type ErrorRule struct {
	// Status that the upstream answered with; 4 or 5 is the class. Default: any.
	Status int `json:"status,omitempty"`
	// Contains is a text that must be in the body. Default: any body.
	Contains string `json:"contains,omitempty"`
	// NewStatus for the client. Default: as it was.
	NewStatus int `json:"new_status,omitempty"`
	// RetryAfter in seconds. Default: none, 5 for a 503.
	RetryAfter int `json:"retry_after,omitempty"`
	// Detail for the client. Default: the fixed text of the status.
	Detail string `json:"detail,omitempty"`
}

// defaultMaxBody bounds an upstream's error body, in bytes.
const defaultMaxBody = 1 << 20

// CaddyModule returns the Caddy module information.
func (Errors) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.gateway_errors", New: func() caddy.Module { return new(Errors) }}
}

// Provision makes the translator.
func (e *Errors) Provision(ctx caddy.Context) error {
	e.logger = ctx.Logger()
	if err := e.check(nil); err != nil {
		return err
	}
	var err error
	if e.journal, e.acquired, err = acquireJournal(); err != nil {
		return err
	}
	return registerMetrics(ctx)
}

// Cleanup gives the records back.
func (e *Errors) Cleanup() error {
	if e.acquired != nil {
		e.acquired()
	}
	return nil
}

// check makes the translator and finds every mistake.
func (e *Errors) check(*App) error {
	cfg := problem.Config{Template: e.Template, Texts: e.Texts, MaxBody: e.MaxBody}
	var errs []error
	if e.Format != "" {
		var err error
		if cfg.Format, err = problem.ParseFormat(e.Format); err != nil {
			errs = append(errs, err)
		}
	}
	switch e.ServerMessages {
	case "", "hide":
	case "show":
		cfg.ServerMessages = true
	default:
		errs = append(errs, fmt.Errorf("server_messages %s: write `server_messages hide` or `server_messages show`", e.ServerMessages))
	}
	for _, rule := range e.Rules {
		cfg.Rules = append(cfg.Rules, problem.Rule(rule))
	}
	if e.MaxBody == 0 {
		e.MaxBody = defaultMaxBody
	}
	var err error
	if e.translator, err = problem.New(cfg); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// ServeHTTP calls the next handler and translates what becomes an error.
func (e *Errors) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	x := identified(r)
	x.stripIdentity(r)
	if x.span != nil {
		x.span.SetAttributes(attrRequestID.String(x.requestID))
	}
	if e.ServerTiming {
		x.time(r)
	}
	rw := x.wrap(w, e.MaxBody)
	rw.shadow, rw.errors, rw.request = e.Shadow, e, r
	defer rw.release(r)
	defer e.answerBroken(rw, r)
	outer := x.watched
	x.watched = true
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

// answerBroken answers for an upstream that breaks off in the middle of an error
// body: nothing has been sent yet, so that the client gets the status in the
// format instead of a broken connection. Any other panic goes on.
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

// finish answers for what the handlers left: an error, a held body, or nothing.
func (e *Errors) finish(rw *responseWriter, r *http.Request, err error) error {
	switch {
	case rw.mode == draining:
		// The client has its answer; that the rest was given up is no news.
		return nil
	case rw.mode == hijacked || rw.mode == passing:
		// Too late to change anything; the server logs the error.
		return err
	case err != nil:
		e.answerError(rw, r, err)
	case handled(r) != nil && len(rw.heldBody()) == 0 && !rw.truncated:
		// In handle_errors, with no handler that wrote a body: Caddy's own writes the
		// status alone.
		e.answerError(rw, r, handled(r))
	case rw.mode == holding:
		e.answerUpstream(rw, r)
	default:
		// Nothing matched and nothing was written: not Caddy's empty 200.
		p := e.translator.FromStatus(http.StatusNotFound)
		rw.x.countErrorResponse(p.Status, sourceRouter)
		e.recordError(rw.x, r, p, errUnrouted)
		e.write(rw, r, p, nil)
	}
	return nil
}

// errUnrouted is why a request was answered by nobody.
var errUnrouted = errors.New("no route of the configuration answers this request")

// handled is the error that led to handle_errors; nil elsewhere.
func handled(r *http.Request) error {
	err, _ := r.Context().Value(caddyhttp.ErrorCtxKey).(error)
	return err
}

// answerError answers for an error that a handler returned. Its text is private:
// it holds addresses and file names. Our own denials carry a public text.
func (e *Errors) answerError(rw *responseWriter, r *http.Request, err error) {
	err = rw.x.provided(err)
	status := errorStatus(err)
	var p problem.Problem
	source := sourceGateway
	if refused, ok := errors.AsType[*refusal](err); ok {
		p = e.translator.FromDenial(refused.denial)
		p.Fields = refused.fields
	} else if unavailable, ok := errors.AsType[*plugins.Unavailable](err); ok {
		p = e.translator.FromUnavailable(unavailable)
	} else {
		source = sourceHandler
		p = e.translator.FromStatus(status)
		// What a handler may have set before it failed.
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
	if c := rw.x.log(e.logger).Check(level, "request failed"); c != nil {
		c.Write(zap.String("request_id", rw.x.requestID), zap.Int("status", status), zap.String("method", r.Method),
			zap.String("host", r.Host), zap.String("path", shownPath(r)), zap.Error(err))
	}
	rw.x.countErrorResponse(p.Status, source)
	e.recordError(rw.x, r, p, err)
	e.write(rw, r, p, nil)
}

// answerUpstream answers for an error body that a handler wrote, the upstream's
// in most cases.
func (e *Errors) answerUpstream(rw *responseWriter, r *http.Request) {
	h := rw.Header()
	body := rw.heldBody()
	p, pass := e.translator.Translate(problem.Response{
		Status: rw.status, Header: h, Body: body, Truncated: rw.truncated, Method: r.Method,
	})
	pass = pass && e.leavesAsItIs(h, r, p)
	rw.x.countErrorBody(p, pass)
	e.recordUpstream(rw.x, r, rw.status, p, pass)
	if pass {
		rw.mode, rw.x.answered = passing, true
		rw.ResponseWriter.WriteHeader(p.Status)
		_, _ = rw.ResponseWriter.Write(body)
		return
	}
	if c := rw.x.log(e.logger).Check(upstreamLevel(p), "upstream error translated"); c != nil {
		c.Write(zap.String("request_id", rw.x.requestID), zap.Int("upstream_status", rw.status), zap.Int("status", p.Status),
			zap.String("reader", p.Reader), zap.String("message", string(p.Message)), zap.String("leak", p.Leak), zap.String("method", r.Method),
			zap.String("host", r.Host), zap.String("path", shownPath(r)), zap.String("original", p.Original))
	}
	e.write(rw, r, p, h)
}

// leavesAsItIs readies the header of a body that is in the format already and
// reports whether it may leave byte for byte: not if the client asks for another
// format. A response to HEAD has no body, and keeps its header if that announces
// the format.
func (e *Errors) leavesAsItIs(h http.Header, r *http.Request, p problem.Problem) bool {
	isProblem := hasMediaType(h.Get("Content-Type"), problem.FormatProblem.ContentType())
	if format := e.translator.Negotiate(r.Header["Accept"]); format != problem.FormatFastAPI {
		return format == problem.FormatProblem && isProblem
	}
	if r.Method == http.MethodHead && !isProblem && !hasMediaType(h.Get("Content-Type"), problem.FormatFastAPI.ContentType()) {
		problem.StripEntityHeaders(h)
	}
	problem.PassedContentType(h)
	setRetryAfter(h, p)
	return true
}

// setRetryAfter sets Retry-After in whole seconds, whatever form it came in, and
// drops one that can't be meant.
func setRetryAfter(h http.Header, p problem.Problem) {
	if p.RetryAfter > 0 {
		h["Retry-After"] = []string{strconv.Itoa(p.RetryAfter)}
	} else {
		delete(h, "Retry-After")
	}
}

// upstreamLevel is the level at which a translated error is logged: what the
// client does not see must be in the log.
func upstreamLevel(p problem.Problem) zapcore.Level {
	switch {
	case p.Status >= 500:
		return zap.ErrorLevel
	case p.Leak != "":
		return zap.WarnLevel
	}
	return zap.DebugLevel
}

// write sends a problem in the format that the client asks for.
func (e *Errors) write(rw *responseWriter, r *http.Request, p problem.Problem, upstream http.Header) {
	h := rw.Header()
	if rw.mode == nothingYet {
		rw.status = p.Status
		rw.finalHeader(h)
	}
	if upstream != nil {
		problem.StripEntityHeaders(h)
	} else if h["Cache-Control"] == nil {
		noStore(h)
	}
	format := e.translator.Negotiate(r.Header["Accept"])
	contentType, body := e.translator.Render(p, format, problem.Env{RequestID: rw.x.requestID, Lookup: lookup(r)})
	setRetryAfter(h, p)
	h["Content-Type"] = []string{contentType}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	rw.mode, rw.x.answered = passing, true
	rw.ResponseWriter.WriteHeader(p.Status)
	if r.Method != http.MethodHead {
		_, _ = rw.ResponseWriter.Write(body)
	}
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

// Interface guards.
var (
	_ caddy.Provisioner           = (*Errors)(nil)
	_ caddy.CleanerUpper          = (*Errors)(nil)
	_ caddyhttp.MiddlewareHandler = (*Errors)(nil)
)
