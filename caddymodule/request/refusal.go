package request

import (
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/decision"
	"github.com/ainative/portcullis/plugins/problem"
)

// Refusal is a denial as an error: Caddy's handlers pass nothing else up the chain.
type Refusal struct {
	denial *plugins.Denial
	fields []problem.FieldError
}

// Denial is what the refusal carries.
func (e *Refusal) Denial() *plugins.Denial { return e.denial }

// Fields are the invalid fields of the body; empty where the body is not the reason.
func (e *Refusal) Fields() []problem.FieldError { return e.fields }

// Error is the public text: {err.message} of handle_errors shows it to clients.
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

// cause is the private text, for the log.
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

// failure is an error that kept a policy from deciding. Its own text is public, and the
// error that it wraps is private.
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

// RestoreDenial replaces the bare 401 of Caddy's authentication handler by the gateway's
// own error, where the gateway's provider caused it. Other errors stay as they are.
func (x *Exchange) RestoreDenial(err error) error {
	bare, ok := errors.AsType[caddyhttp.HandlerError](err)
	if !ok || bare.StatusCode != http.StatusUnauthorized || bare.Err == nil || bare.Err.Error() != "not authenticated" || x.stepCount == 0 {
		return err
	}
	last := x.steps[x.stepCount-1]
	if denial, ok := last.finding.(*plugins.Denial); ok && last.policy == PolicyAuth && last.result == Refused {
		return caddyhttp.HandlerError{StatusCode: denial.Status, Err: &Refusal{denial: denial}}
	}
	if failure, ok := last.finding.(error); ok && last.policy == PolicyAuth && last.result == Undecided {
		return caddyhttp.HandlerError{StatusCode: http.StatusServiceUnavailable, Err: failure}
	}
	return err
}
