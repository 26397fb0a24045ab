package request

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/ainative/portcullis/caddymodule/sitehandler"
	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/auth"
	"github.com/ainative/portcullis/plugins/decision"
	"github.com/ainative/portcullis/plugins/problem"
)

// Enforcer carries out what the policy of a handler decided:
//
//   - Refuse ends the request with the status of a denial.
//   - Undecided ends it with 503.
//   - Shadow lets it pass and records what would have happened.
//
// Each of them also writes the step, the log line and the decision record.
type Enforcer struct {
	policy  Policy
	Logger  *zap.Logger
	journal *decision.Journal
}

// NewEnforcer makes the enforcer of a handler.
func NewEnforcer(policy Policy, logger *zap.Logger, journal *decision.Journal) Enforcer {
	return Enforcer{policy, logger, journal}
}

// Member is the handler as a member of its site. The guard's refusals count as decisions
// of the site, not of the handler.
func (e *Enforcer) Member(name string) sitehandler.Member {
	site := &Enforcer{PolicySite, e.Logger, e.journal}
	return sitehandler.Member{
		Name: name,
		Refuse: func(w http.ResponseWriter, r *http.Request, d *plugins.Denial) error {
			return site.Refuse(w, r, ExchangeOf(r), d)
		},
	}
}

// Refuse sets the headers of a denial and returns the error that ends the chain. The
// headers reach the client whichever handler answers the error, handle_errors included.
// fields are the invalid fields of the body, if that is the reason.
func (e *Enforcer) Refuse(w http.ResponseWriter, r *http.Request, x *Exchange, d *plugins.Denial, fields ...problem.FieldError) error {
	x.Step(e.policy, Refused, d)
	h := w.Header()
	if len(d.Challenges) != 0 {
		h["Www-Authenticate"] = append([]string(nil), d.Challenges...)
	}
	if d.RetryAfter > 0 {
		setRetryAfter(h, d.RetryAfter)
	}
	// Not caddyhttp.Error: its id and stack trace cost more than the decision, and
	// the request id and the reason say more.
	return e.end(w, r, x, caddyhttp.HandlerError{StatusCode: d.Status, Err: &Refusal{d, fields}})
}

// Undecided ends the request with 503 and Retry-After, whatever kept the policy from
// deciding.
func (e *Enforcer) Undecided(w http.ResponseWriter, r *http.Request, x *Exchange, err error) error {
	x.Step(e.policy, Undecided, err)
	retryAfter := plugins.DefaultRetryAfter
	if u, ok := errors.AsType[*plugins.Unavailable](err); ok && u.RetryAfter > 0 {
		retryAfter = u.RetryAfter
	}
	setRetryAfter(w.Header(), retryAfter)
	return e.end(w, r, x, caddyhttp.HandlerError{StatusCode: http.StatusServiceUnavailable, Err: &failure{err}})
}

// end returns the error that ends the chain. Where no gateway_errors will see it, end
// logs and records it, and sends the client the request id.
func (e *Enforcer) end(w http.ResponseWriter, r *http.Request, x *Exchange, err caddyhttp.HandlerError) error {
	NoStore(w.Header())
	if x.UnderErrors {
		return err
	}
	x.EnsureRequestID(r)
	w.Header()[auth.HeaderRequestID] = []string{x.RequestID}
	level := zap.DebugLevel
	if err.StatusCode >= 500 {
		level = zap.ErrorLevel
	}
	if c := x.Log(e.Logger).Check(level, "request refused"); c != nil {
		c.Write(zap.String("request_id", x.RequestID), zap.Int("status", err.StatusCode), zap.String("method", r.Method),
			zap.String("host", r.Host), zap.String("path", LogPath(r)), zap.String("cause", Cause(err.Err)))
	}
	x.Record(e.journal, r, err.StatusCode, func(rec *decision.Record) { x.RecordCause(rec, err.Err) })
	return err
}

// Shadow records a refusal that shadow mode lets pass: a denial, or a failure to decide.
func (e *Enforcer) Shadow(r *http.Request, x *Exchange, d *plugins.Denial, failure error) {
	x.EnsureRequestID(r)
	const message = "shadow mode let a request pass that would be refused"
	if d != nil {
		e.RecordShadow(r, x, d, string(d.Reason), d.Status, message,
			zap.String("reason", string(d.Reason)), zap.String("value", d.Value), zap.String("bound", d.Bound))
	} else {
		reason := "undecided"
		if u, ok := errors.AsType[*plugins.Unavailable](failure); ok {
			reason = string(u.Reason)
		}
		e.RecordShadow(r, x, failure, reason, http.StatusServiceUnavailable, message, zap.Error(failure))
	}
	if !x.UnderErrors {
		// No gateway_errors sees how the request ends, so that it is recorded now.
		x.Record(e.journal, r, 0, nil)
	}
}

// RecordShadow adds what shadow mode lets pass to the steps, the shadow report and the
// log. finding explains it, as in a step; status is what the client would have got.
func (e *Enforcer) RecordShadow(r *http.Request, x *Exchange, finding any, reason string, status int, message string, fields ...zap.Field) {
	x.Step(e.policy, Shadowed, finding)
	if x.IsDryRun() {
		return
	}
	e.journal.Shadows.Add(e.policy.String(), reason, decision.Route(originalPath(r)), status, x.RequestID, time.Now().UTC())
	e.Logger.Info(message, append(fields, zap.String("policy", e.policy.String()), zap.String("request_id", x.RequestID),
		zap.String("method", r.Method), zap.String("path", LogPath(r)), zap.Int("status", status))...)
}

// setRetryAfter sets Retry-After to a wait in whole seconds.
func setRetryAfter(h http.Header, wait time.Duration) {
	h["Retry-After"] = []string{strconv.Itoa(plugins.RetrySeconds(wait))}
}

// NoStore keeps shared caches from giving one caller's refusal to another.
func NoStore(h http.Header) { h["Cache-Control"] = []string{"no-store"} }
