// Package errorhandler has the directive gateway_errors, which sends every error in one
// format. It stands outermost, and sees how each request ends.
package errorhandler

import (
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/ainative/portcullis/caddymodule/gateway"
	"github.com/ainative/portcullis/caddymodule/internal/pool"
	"github.com/ainative/portcullis/caddymodule/metrics"
	"github.com/ainative/portcullis/caddymodule/request"
	"github.com/ainative/portcullis/caddymodule/sitehandler"
	"github.com/ainative/portcullis/plugins/decision"
	"github.com/ainative/portcullis/plugins/problem"
)

func init() {
	caddy.RegisterModule(Errors{})
	httpcaddyfile.RegisterHandlerDirective("gateway_errors", gateway.ParseDirective[Errors])
}

// Errors sends every response with status 400 or above in one format: refusals of the
// gateway, errors of other handlers, requests that no route answers, and error responses
// of the upstream. It belongs outermost.
//
// It keeps the message that a person needs and hides what an attacker could use. Every
// response gets a request id. Responses below 400 are not touched, buffered or delayed.
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

	// How long to wait for the next byte of an upstream's error body. After that the
	// answer is sent without the body. Default: 1s.
	BodyIdleTimeout caddy.Duration `json:"body_idle_timeout,omitempty"`

	// How long to wait for an upstream's error body in all. Default: 5s, or the idle
	// timeout if that is longer.
	BodyTimeout caddy.Duration `json:"body_timeout,omitempty"`

	// Whether clients see the text of a 5xx body that is not in the format already:
	// `hide` or `show`. Default: `hide`; the text goes to the log.
	ServerMessages string `json:"server_messages,omitempty"`

	// Rules for particular upstream errors. The first that matches holds.
	Rules []ErrorRule `json:"rules,omitempty"`

	// Texts instead of the fixed ones, by status.
	Texts map[int]string `json:"texts,omitempty"`

	// ServerTiming adds a Server-Timing header to every response, with the time
	// until the upstream answered and the time that the gateway took beside it, in
	// milliseconds. Default: none, since it tells clients how the time is spent.
	ServerTiming bool `json:"server_timing,omitempty"`

	// Let every error pass as it is, and record how it would have been answered. The
	// request id is set all the same.
	Shadow bool `json:"shadow,omitempty"`

	logger     *zap.Logger
	enforcer   request.Enforcer
	translator *problem.Translator
	journal    *decision.Journal
	release    pool.Release
}

// ErrorRule replaces an upstream's error by another.
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
	e.journal, e.release = gateway.AcquireJournal()
	e.enforcer = request.NewEnforcer(request.PolicyErrors, e.logger, e.journal)
	member := e.enforcer.Member("gateway_errors")
	member.Errors = e
	if err := sitehandler.Join(ctx, member); err != nil {
		return err
	}
	return metrics.Register(ctx)
}

// Cleanup releases the journal.
func (e *Errors) Cleanup() error {
	if e.release != nil {
		e.release()
	}
	return nil
}

// Check makes the translator, or returns every mistake in the configuration.
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

// Interface guards.
var (
	_ caddy.Provisioner           = (*Errors)(nil)
	_ caddy.CleanerUpper          = (*Errors)(nil)
	_ caddyhttp.MiddlewareHandler = (*Errors)(nil)
)
