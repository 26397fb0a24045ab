package decision

import (
	"errors"
	"time"

	"github.com/ainative/portcullis/plugins"
)

// SetCaller sets the caller.
func (r *Record) SetCaller(p *plugins.Principal) {
	r.Subject, r.Owner, r.Tier = Text(p.Subject), Text(p.Owner), Text(p.Tier)
	r.Roles, r.Scopes = list(p.Roles), list(p.Scopes)
	r.Scheme, r.KeyID, r.Issuer, r.SigningKey = p.Scheme, Text(p.KeyID), p.Issuer, Text(p.SigningKey)
}

// SetRefusedCredential sets what is known about a refused credential.
func (r *Record) SetRefusedCredential(of plugins.Evidence) {
	r.Owner, r.Scheme, r.KeyID, r.Issuer, r.SigningKey = Text(of.Owner), of.Scheme, Text(of.KeyID), of.Issuer, Text(of.SigningKey)
}

// SetDenial sets the refusal of a check.
func (s *Step) SetDenial(d *plugins.Denial) {
	s.Status, s.Reason = d.Status, d.Reason
	s.SetFound(d.Value, d.Bound)
}

// SetFailure sets the error that kept a check from deciding. redact removes secrets from
// its text.
func (s *Step) SetFailure(err error, redact func(string) string) {
	s.Status = statusUndecided
	if u, ok := errors.AsType[*plugins.Unavailable](err); ok {
		s.Reason = u.Reason
	}
	s.Value = Text(redact(Cause(err)))
}

// SetFound sets what was found and what was wanted.
func (s *Step) SetFound(value, bound string) { s.Value, s.Bound = Text(value), Text(bound) }

// statusUndecided is the status of a request for which a check could not decide.
const statusUndecided = 503

// CredentialText describes a valid credential without revealing it.
func CredentialText(p *plugins.Principal) string {
	text := "token of issuer " + p.Issuer
	if p.SigningKey != "" {
		text += ", kid " + p.SigningKey
	}
	if p.Scheme == plugins.SchemeAPIKey {
		text = "API key " + p.KeyID
	}
	if !p.ExpiresAt.IsZero() {
		text += ", expires " + p.ExpiresAt.UTC().Format(time.RFC3339)
	}
	return text
}

// Cause is the private text of a failure, without the reason, which has its own field.
func Cause(err error) string {
	for {
		u, ok := errors.AsType[*plugins.Unavailable](err)
		switch {
		case !ok:
			return err.Error()
		case u.Err == nil:
			return u.Error()
		}
		err = u.Err
	}
}

// Ending is the end of a request that its handlers did not answer.
type Ending struct {
	// Denial is the refusal; nil where nothing refused.
	Denial *plugins.Denial
	// RetryAfter of the refusal in whole seconds, as the client gets it.
	RetryAfter int
	// Err is what the handlers returned.
	Err error
	// LastStep is the result of the last check, and Policy made it; empty for no check.
	LastStep Result
	Policy   string
	// Unrouted says that no route answered.
	Unrouted bool
}

// SetEnding sets why the request did not reach its upstream:
//
//   - a denial is a refusal,
//   - an Unavailable, or a last check that could not decide, is undecided,
//   - no route is unrouted, and every other error a failure of a handler.
func (r *Record) SetEnding(e Ending, redact func(string) string) {
	unavailable, undecided := errors.AsType[*plugins.Unavailable](e.Err)
	switch {
	case e.Denial != nil:
		r.Outcome, r.Policy = Refused, e.Policy
		r.Reason, r.Value, r.Bound = e.Denial.Reason, Text(e.Denial.Value), Text(e.Denial.Bound)
		if e.RetryAfter > 0 {
			r.RetryAfter = e.RetryAfter
		}
	case undecided, e.LastStep == StepUndecided:
		r.Outcome, r.Policy = Undecided, e.Policy
		r.Failure = text(redact(Cause(e.Err)), 2*MaxText)
		if undecided {
			r.Reason = unavailable.Reason
		}
	case e.Unrouted:
		r.Outcome, r.Failure = Unrouted, e.Err.Error()
	default:
		r.Outcome, r.Failure = Failed, text(redact(Cause(e.Err)), 2*MaxText)
	}
}
