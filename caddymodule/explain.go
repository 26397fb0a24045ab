package caddymodule

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/decision"
	"github.com/ainative/portcullis/plugins/problem"
	"github.com/ainative/portcullis/plugins/ratelimit"
)

// journal is the pooled journal of decisions. It survives reloads.
type journal struct{ *decision.Journal }

// Destruct has nothing to release.
func (journal) Destruct() error { return nil }

var journalKey = poolKey{"journal", ""}

func acquireJournal() (*decision.Journal, releaser, error) {
	j, release, err := acquire(journalKey, func() (journal, error) {
		return journal{decision.NewJournal(decision.DefaultSize)}, nil
	})
	return j.Journal, release, err
}

// What bounds a record, in bytes of a text and in elements of a list.
const (
	maxRecordText = 256
	maxRecordList = 32
)

// record keeps what is known of the request. finish, which may be nil, adds how
// it ended. A later record of the same request takes the place of an earlier one.
func (x *exchange) record(j *decision.Journal, r *http.Request, status int, finish func(*decision.Record)) {
	rec := &decision.Record{
		RequestID: x.requestID, Time: time.Now().UTC(), Method: clip(r.Method, 16), Host: clip(r.Host, maxRecordText),
		Path: clip(originalPath(r), maxRecordText), Outcome: decision.Shadow, Status: status, CredentialIn: x.credentialIn,
	}
	if path := clip(r.URL.Path, maxRecordText); path != rec.Path {
		rec.RewrittenPath = path
	}
	if addr := clientIP(r); addr.IsValid() {
		rec.ClientIP = addr.String()
	}
	if caller := x.principal; caller != nil {
		rec.Subject, rec.Owner, rec.Tier = clip(caller.Subject, maxRecordText), clip(caller.Owner, maxRecordText), clip(caller.Tier, maxRecordText)
		rec.Roles, rec.Scopes = clipList(caller.Roles), clipList(caller.Scopes)
		rec.Scheme, rec.KeyID, rec.Issuer, rec.SigningKey = caller.Scheme, caller.KeyID, caller.Issuer, caller.SigningKey
	} else {
		x.accuse(rec)
	}
	if x.policy != nil {
		rec.Limits = limitRows(x.policy, &x.decision)
	}
	rec.Steps = make([]decision.Step, 0, x.stepCount)
	for i := range x.stepCount {
		rec.Steps = append(rec.Steps, x.tellStep(&x.steps[i]))
	}
	if finish != nil {
		finish(rec)
	}
	switch {
	case x.dry != nil:
	case x.recorded != nil:
		j.Replace(x.recorded, rec)
	default:
		j.Add(rec)
	}
	x.recorded = rec
}

// accuse says whose credential was refused, where one was and the request did not
// get another caller.
func (x *exchange) accuse(rec *decision.Record) {
	for i := range x.stepCount {
		if d, ok := x.steps[i].of.(*plugins.Denial); ok && x.steps[i].policy == policyAuth {
			of := d.Of
			rec.Owner, rec.Scheme, rec.KeyID, rec.Issuer, rec.SigningKey = of.Owner, of.Scheme, of.KeyID, of.Issuer, clip(of.SigningKey, maxRecordText)
		}
	}
}

// tellStep says a check in words.
func (x *exchange) tellStep(s *step) decision.Step {
	told := decision.Step{Policy: s.policy.String(), Result: stepResults[s.result]}
	switch of := s.of.(type) {
	case *plugins.Denial:
		told.Status, told.Reason = of.Status, of.Reason
		told.Value, told.Bound = clip(of.Value, maxRecordText), clip(of.Bound, maxRecordText)
	case *wouldBecome:
		of.tell(&told)
	case error:
		told.Status = http.StatusServiceUnavailable
		if u, ok := errors.AsType[*plugins.Unavailable](of); ok {
			told.Reason = u.Reason
		}
		told.Value = clip(causeText(of), maxRecordText)
	case *plugins.Principal:
		told.Value = "a described caller"
		if x.dry == nil || x.dry.as != of {
			told.Value = clip(credentialText(of), maxRecordText)
		}
	case *Roles:
		if x.principal != nil {
			told.Value, told.Bound = of.policy.Describe(x.principal)
			told.Value, told.Bound = clip(told.Value, maxRecordText), clip(told.Bound, maxRecordText)
		}
	case *ratelimit.Policy:
		if s.remaining >= 0 {
			told.Value = strconv.FormatInt(s.remaining, 10) + " left"
		}
		told.Bound = clip(of.Name+" "+policyText(of), maxRecordText)
	}
	return told
}

// credentialText says a good credential in words.
func credentialText(p *plugins.Principal) string {
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

// policyText is the limits of a policy in the Caddyfile's own syntax.
func policyText(p *ratelimit.Policy) string {
	parts := make([]string, 0, len(p.Limits)+1)
	for _, limit := range p.Limits {
		parts = append(parts, limit.String())
	}
	if p.Concurrency != 0 {
		parts = append(parts, "concurrency "+strconv.Itoa(p.Concurrency))
	}
	return strings.Join(parts, ", ")
}

// blame says why a request was not answered by who it was meant for.
func (x *exchange) blame(rec *decision.Record, err error) {
	last := (*step)(nil)
	if x.stepCount != 0 {
		last = &x.steps[x.stepCount-1]
	}
	var denial *plugins.Denial
	if refused, ok := errors.AsType[*refusal](err); ok {
		denial = refused.denial
	} else if last != nil && last.result == stepRefused {
		// Caddy's own authentication asked the gateway, and says no in its own words.
		denial, _ = last.of.(*plugins.Denial)
	}
	switch unavailable, ok := errors.AsType[*plugins.Unavailable](err); {
	case denial != nil:
		rec.Outcome = decision.Refused
		rec.Reason, rec.Value, rec.Bound = denial.Reason, clip(denial.Value, maxRecordText), clip(denial.Bound, maxRecordText)
		if denial.RetryAfter > 0 {
			rec.RetryAfter = ratelimit.RetrySeconds(denial.RetryAfter)
		}
	case ok || last != nil && last.result == stepUndecided:
		rec.Outcome = decision.Undecided
		rec.Failure = clip(causeText(err), 2*maxRecordText)
		if ok {
			rec.Reason = unavailable.Reason
		}
	case errors.Is(err, errUnrouted):
		rec.Outcome, rec.Failure = decision.Unrouted, err.Error()
		return
	default:
		rec.Outcome, rec.Failure = decision.Failed, clip(causeText(err), 2*maxRecordText)
		return
	}
	if last != nil {
		rec.Policy = last.policy.String()
	}
}

// causeText is the private text of a failure, without what the record says
// elsewhere and without secrets.
func causeText(err error) string {
	for {
		u, ok := errors.AsType[*plugins.Unavailable](err)
		if !ok || u.Err == nil {
			return problem.Redact(err.Error())
		}
		err = u.Err
	}
}

// recordError keeps why a request was answered by the gateway itself.
func (e *Errors) recordError(x *exchange, r *http.Request, p problem.Problem, err error) {
	x.record(e.journal, r, p.Status, func(rec *decision.Record) {
		x.blame(rec, err)
		rec.RetryAfter = p.RetryAfter
	})
}

// recordUpstream keeps what an upstream's error was and what became of it.
func (e *Errors) recordUpstream(x *exchange, r *http.Request, status int, p problem.Problem, passed bool) {
	x.record(e.journal, r, p.Status, func(rec *decision.Record) {
		rec.Outcome, rec.RetryAfter = decision.Upstream, p.RetryAfter
		rec.UpstreamStatus, rec.Reader, rec.Rule, rec.Leak = status, p.Reader, p.Rule, p.Leak
		switch {
		case passed:
			rec.Body = decision.BodyPassed
		case p.Message == problem.FateHidden, p.Message == problem.FateLeak, p.Message == problem.FateRule:
			rec.Body = decision.BodyReplaced
		default:
			rec.Body = decision.BodyTranslated
		}
	})
}

// recordShadow keeps what shadow mode let pass of a request that went well.
func (e *Errors) recordShadow(rw *responseWriter, r *http.Request) {
	if x := rw.x; x.recorded == nil && x.shadowed() {
		x.record(e.journal, r, rw.status, nil)
	}
}

func limitRows(p *ratelimit.Policy, d *ratelimit.Decision) []decision.LimitRow {
	out := make([]decision.LimitRow, 0, len(d.Rows))
	for i, row := range d.Rows {
		shown := decision.LimitRow{
			Name: p.LimitName(i), Limit: row.Limit.String(), Remaining: row.Remaining, Blocking: !d.Allowed && i == d.Blocking,
		}
		if row.RetryAfter > 0 {
			shown.RetryAfter = row.RetryAfter.Truncate(time.Millisecond).String()
		}
		out = append(out, shown)
	}
	return out
}

// originalPath is the path as the client sent it, before any rewrite.
func originalPath(r *http.Request) string {
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok && original.URL != nil {
		return original.URL.Path
	}
	return r.URL.Path
}

// clipList bounds a list for a record.
func clipList(list []string) []string {
	list = slices.Clone(list[:min(len(list), maxRecordList)])
	for i := range list {
		list[i] = clip(list[i], maxRecordText)
	}
	return list
}

// showDecision answers with the record of a request.
func showDecision(j *decision.Journal, r *http.Request) (int, any, error) {
	record, ok := j.Get(r.PathValue("id"))
	if !ok {
		return 0, nil, errNoRecord
	}
	return http.StatusOK, record, nil
}

// errNoRecord is the answer for a request that was not refused, or long ago.
var errNoRecord = errors.New("no record of this request: it was not refused, went through another gateway, or newer refusals have taken its place")
