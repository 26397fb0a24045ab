package request

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/ainative/portcullis/caddymodule/sitehandler"
	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/auth"
	"github.com/ainative/portcullis/plugins/decision"
	"github.com/ainative/portcullis/plugins/problem"
)

// Refusal carries a denial up Caddy's handler chain, which knows only errors.
type Refusal struct {
	denial *plugins.Denial
	// fields are what is wrong with the body, where that is why.
	fields []problem.FieldError
}

// Denial is what the refusal carries.
func (e *Refusal) Denial() *plugins.Denial { return e.denial }

// Fields are what is wrong with the body, where that is why.
func (e *Refusal) Fields() []problem.FieldError { return e.fields }

// Error is what clients may read: {err.message} of handle_errors shows it.
func (e *Refusal) Error() string {
	d := e.denial
	switch {
	case d.Detail != "":
		return d.Detail
	case d.Status == http.StatusTooManyRequests:
		return problem.RateLimitText(plugins.RetrySeconds(d.RetryAfter))
	}
	return problem.Text(d.Status)
}

// cause is why, for the log.
func (e *Refusal) cause() string {
	d := e.denial
	text := "refused: " + string(d.Reason)
	if d.Value != "" {
		text += ": " + d.Value
	}
	if d.Bound != "" {
		text += ", want " + d.Bound
	}
	return decision.Text(text)
}

// failure carries what kept a policy from deciding up Caddy's handler chain. Its
// text is for clients, and what it wraps for the log.
type failure struct{ err error }

func (*failure) Error() string   { return problem.Text(http.StatusServiceUnavailable) }
func (e *failure) Unwrap() error { return e.err }

// Cause is the private text of an error, for the log.
func Cause(err error) string {
	if refused, ok := errors.AsType[*Refusal](err); ok {
		return refused.cause()
	}
	if failed, ok := errors.AsType[*failure](err); ok {
		return problem.Redact(failed.err.Error())
	}
	return err.Error()
}

// Judge says what a handler decided: to the client, to the log, and to the
// journal of decisions.
type Judge struct {
	policy  Policy
	Logger  *zap.Logger
	journal *decision.Journal
}

// NewJudge makes the judge of a handler.
func NewJudge(policy Policy, logger *zap.Logger, journal *decision.Journal) Judge {
	return Judge{policy, logger, journal}
}

// Policy is the name of the directive that decided, in a byte.
type Policy uint8

// The policies.
const (
	PolicyErrors Policy = iota
	PolicyAuth
	PolicyRoles
	PolicyLimit
	PolicyAccounts
	PolicySite
	PolicyCORS
)

var policyNames = [...]string{"gateway_errors", "gateway_auth", "gateway_roles", "gateway_limit", "gateway_accounts", "gateway_site", "gateway_cors"}

// String is the name as in the Caddyfile.
func (p Policy) String() string { return policyNames[p] }

// Member is what a handler joins its site as. What the guard refuses is the
// site's own decision, not the handler's.
func (j *Judge) Member(name string) sitehandler.Member {
	site := &Judge{PolicySite, j.Logger, j.journal}
	return sitehandler.Member{
		Name: name,
		Refuse: func(w http.ResponseWriter, r *http.Request, d *plugins.Denial) error {
			return site.Refuse(w, r, Of(r), d)
		},
	}
}

// Refuse says no: it sets the headers that belong to the denial and returns the
// error that ends the chain. The headers reach the client by whichever way the
// error is answered, handle_errors included.
func (j *Judge) Refuse(w http.ResponseWriter, r *http.Request, x *Exchange, d *plugins.Denial, fields ...problem.FieldError) error {
	x.Step(j.policy, Refused, d)
	h := w.Header()
	if len(d.Challenges) != 0 {
		h["Www-Authenticate"] = append([]string(nil), d.Challenges...)
	}
	if d.RetryAfter > 0 {
		h["Retry-After"] = []string{strconv.Itoa(plugins.RetrySeconds(d.RetryAfter))}
	}
	NoStore(h)
	err := &Refusal{d, fields}
	j.unwatched(w, r, x, d.Status, err)
	// Not caddyhttp.Error: its id and stack trace cost more than the decision, and
	// the request id and the reason say more.
	return caddyhttp.HandlerError{StatusCode: d.Status, Err: err}
}

// Undecided answers for a decision that could not be made: 503 with Retry-After,
// whatever the failure was.
func (j *Judge) Undecided(w http.ResponseWriter, r *http.Request, x *Exchange, err error) error {
	x.Step(j.policy, Undecided, err)
	retryAfter := plugins.DefaultRetryAfter
	if u, ok := errors.AsType[*plugins.Unavailable](err); ok && u.RetryAfter > 0 {
		retryAfter = u.RetryAfter
	}
	h := w.Header()
	h["Retry-After"] = []string{strconv.Itoa(plugins.RetrySeconds(retryAfter))}
	NoStore(h)
	failed := &failure{err}
	j.unwatched(w, r, x, http.StatusServiceUnavailable, failed)
	return caddyhttp.HandlerError{StatusCode: http.StatusServiceUnavailable, Err: failed}
}

// unwatched records a refusal where no gateway_errors will, and gives it the
// request id to ask by.
func (j *Judge) unwatched(w http.ResponseWriter, r *http.Request, x *Exchange, status int, err error) {
	if x.Watched {
		return
	}
	x.Identify(r)
	w.Header()[auth.HeaderRequestID] = []string{x.RequestID}
	level := zap.DebugLevel
	if status >= 500 {
		level = zap.ErrorLevel
	}
	if c := x.Log(j.Logger).Check(level, "request refused"); c != nil {
		c.Write(zap.String("request_id", x.RequestID), zap.Int("status", status), zap.String("method", r.Method),
			zap.String("host", r.Host), zap.String("path", ShownPath(r)), zap.String("cause", Cause(err)))
	}
	x.Record(j.journal, r, status, func(rec *decision.Record) { x.RecordCause(rec, err) })
}

// RestoreDenial returns the gateway's own error where Caddy's authentication handler
// says 401 for it, and else the error that it got.
func (x *Exchange) RestoreDenial(err error) error {
	bare, ok := errors.AsType[caddyhttp.HandlerError](err)
	if !ok || bare.StatusCode != http.StatusUnauthorized || bare.Err == nil || bare.Err.Error() != "not authenticated" || x.stepCount == 0 {
		return err
	}
	last := x.steps[x.stepCount-1]
	if denial, ok := last.of.(*plugins.Denial); ok && last.policy == PolicyAuth && last.result == Refused {
		return caddyhttp.HandlerError{StatusCode: denial.Status, Err: &Refusal{denial: denial}}
	}
	if failure, ok := last.of.(error); ok && last.policy == PolicyAuth && last.result == Undecided {
		return caddyhttp.HandlerError{StatusCode: http.StatusServiceUnavailable, Err: failure}
	}
	return err
}

// NoStore keeps shared caches from giving one caller's refusal to another.
func NoStore(h http.Header) { h["Cache-Control"] = []string{"no-store"} }
