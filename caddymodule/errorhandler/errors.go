// Package errorhandler is the directive gateway_errors: every error leaves in one format.
// It stands outermost, and sees how each request ends.
package errorhandler

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/ainative/portcullis/caddymodule/gateway"
	"github.com/ainative/portcullis/caddymodule/internal/pool"
	"github.com/ainative/portcullis/caddymodule/metrics"
	"github.com/ainative/portcullis/caddymodule/request"
	"github.com/ainative/portcullis/caddymodule/sitehandler"
	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/decision"
	"github.com/ainative/portcullis/plugins/problem"
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

func init() {
	caddy.RegisterModule(Errors{})
	httpcaddyfile.RegisterHandlerDirective("gateway_errors", gateway.ParseHandler[Errors])
}

// Errors makes every response with status 400 or above leave in one format:
// what the gateway refuses, what any other handler returns as an error, what the
// router does not find, and what the upstream answers. It belongs outermost.
//
// It keeps the message that a person needs and holds back what an attacker wants. A request id is on every response. Responses below 400
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

	// How long to wait for the next byte of an upstream's error body before it is
	// answered for without. Default: 1s.
	BodyIdleTimeout caddy.Duration `json:"body_idle_timeout,omitempty"`

	// How long to wait for an upstream's error body in all. Default: 5s, or the idle
	// timeout if that is longer.
	BodyTimeout caddy.Duration `json:"body_timeout,omitempty"`

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
	acquired   pool.Release
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
	// Detail is the text for the client. Default: the fixed text of the status.
	Detail string `json:"detail,omitempty"`
	// KeepDetail shows the upstream's own message also under a 5xx, unless it leaks.
	KeepDetail bool `json:"keep_detail,omitempty"`
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
	if err := e.Check(nil); err != nil {
		return err
	}
	var err error
	if e.journal, e.acquired, err = gateway.AcquireJournal(); err != nil {
		return err
	}
	site := request.NewJudge(request.PolicySite, e.logger, e.journal)
	member := site.Member("gateway_errors")
	member.Errors = e
	if err := sitehandler.Join(ctx, member); err != nil {
		return err
	}
	return metrics.Register(ctx)
}

// Cleanup gives the records back.
func (e *Errors) Cleanup() error {
	if e.acquired != nil {
		e.acquired()
	}
	return nil
}

// Check makes the translator and finds every mistake.
func (e *Errors) Check(*gateway.App) error {
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
	if e.BodyIdleTimeout < 0 || e.BodyTimeout < 0 {
		errs = append(errs, errors.New("body_timeout is negative: write two durations like `body_timeout 1s 5s`"))
	}
	if e.BodyIdleTimeout == 0 {
		e.BodyIdleTimeout = caddy.Duration(defaultBodyIdle)
	}
	if e.BodyTimeout == 0 {
		e.BodyTimeout = max(e.BodyIdleTimeout, caddy.Duration(defaultBodyTotal))
	}
	var err error
	if e.translator, err = problem.New(cfg); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// ServeHTTP calls the next handler and answers for the errors that come of it.
func (e *Errors) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	x := request.Identified(r)
	if e.ServerTiming {
		x.Time(r)
	}
	rw := wrap(w, x, e.MaxBody)
	rw.shadow, rw.errors, rw.request = e.Shadow, e, r
	if !e.Shadow {
		rw.watch.arm(r, time.Duration(e.BodyIdleTimeout), time.Duration(e.BodyTimeout))
	}
	defer rw.release(r)
	defer e.answerBroken(rw, r)
	outer := x.Watched
	x.Watched = true
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
// Nothing has been sent yet, so the client gets the status in the format instead of
// a broken connection. Any other panic goes on.
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

// finish writes the answer to what the handlers left: an error, a held body, or nothing.
func (e *Errors) finish(rw *responseWriter, r *http.Request, err error) error {
	rw.watch.stop()
	switch {
	case rw.mode == draining && rw.watch.spent():
		// The answer is out, and did not say that it is the last on this connection.
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
	case handled(r) != nil && len(rw.heldBody()) == 0 && !rw.truncated:
		// In handle_errors, with no handler that wrote a body: Caddy's own writes the
		// status alone.
		e.answerError(rw, r, handled(r))
	case rw.mode == holding:
		e.answerUpstream(rw, r)
	default:
		// Nothing was written: not Caddy's empty 200.
		status, cause := sitehandler.Unanswered(r)
		p := e.translator.FromStatus(status)
		countErrorResponse(rw.x, p.Status, sourceRouter)
		e.write(rw, r, p, nil, func(body []byte) { e.recordError(rw.x, r, p, cause, body) })
	}
	return nil
}

// handled is the error that led to handle_errors; nil elsewhere.
func handled(r *http.Request) error {
	err, _ := r.Context().Value(caddyhttp.ErrorCtxKey).(error)
	return err
}

// answerError answers for an error that a handler returned. Its text is private:
// it holds addresses and file names. Our own denials carry a public text.
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
			zap.String("host", r.Host), zap.String("path", request.ShownPath(r)), zap.String("error", request.Cause(err)))
	}
	countErrorResponse(rw.x, p.Status, source)
	e.write(rw, r, p, nil, func(body []byte) { e.recordError(rw.x, r, p, err, body) })
}

// answerUpstream answers with what may leave of an error body that a handler wrote.
// The handler is reverse_proxy in most cases.
func (e *Errors) answerUpstream(rw *responseWriter, r *http.Request) {
	h := rw.Header()
	body := rw.heldBody()
	p, pass := e.translator.Translate(problem.Response{
		Status: rw.status, Header: h, Body: body, Truncated: rw.truncated, Method: r.Method,
	})
	pass = pass && e.leavesAsItIs(h, r, p)
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
		_, _ = rw.ResponseWriter.Write(body) //nolint:gosec // the upstream's own answer, under the type that the upstream gave it
		return
	}
	if c := rw.x.Log(e.logger).Check(upstreamLevel(p), "upstream error translated"); c != nil {
		c.Write(zap.String("request_id", rw.x.RequestID), zap.Int("upstream_status", rw.status), zap.Int("status", p.Status),
			zap.String("reader", p.Reader), zap.String("message", string(p.Message)), zap.String("leak", p.Leak), zap.String("method", r.Method),
			zap.String("host", r.Host), zap.String("path", request.ShownPath(r)), zap.String("original", p.Original))
	}
	e.write(rw, r, p, h, record)
}

// leavesAsItIs readies the header of a body that is in the format already and
// reports whether it may leave: not if the client asks for another format, or
// speaks gRPC.
func (e *Errors) leavesAsItIs(h http.Header, r *http.Request, p problem.Problem) bool {
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

// write sends a problem in the format that the client asks for, or as gRPC does. record
// is called with the body before that is sent: a client may ask about its answer at once.
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
		// How long the answer to a GET would be is not known of an upstream's HEAD.
		h["Content-Length"] = []string{strconv.Itoa(len(body))}
	}
	rw.ResponseWriter.WriteHeader(p.Status)
	if r.Method != http.MethodHead {
		_, _ = rw.ResponseWriter.Write(body) //nolint:gosec // what Render returns is JSON, and says so, whatever the request holds
	}
}

// grpcContentType is the content type to answer a gRPC or gRPC-Web call with; empty
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

// Interface guards.
var (
	_ caddy.Provisioner           = (*Errors)(nil)
	_ caddy.CleanerUpper          = (*Errors)(nil)
	_ caddyhttp.MiddlewareHandler = (*Errors)(nil)
)
