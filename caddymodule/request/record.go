package request

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/ainative/portcullis/caddymodule/sitehandler"
	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/decision"
	"github.com/ainative/portcullis/plugins/problem"
	"github.com/ainative/portcullis/plugins/ratelimit"
)

// Record writes a decision record of the request, with the steps so far. finish, which
// may be nil, adds how the request ended. A later record replaces an earlier one.
func (x *Exchange) Record(j *decision.Journal, r *http.Request, status int, finish func(*decision.Record)) {
	rec := &decision.Record{
		RequestID: x.RequestID, Time: time.Now().UTC(), Method: decision.Clip(r.Method, 16), Host: decision.Text(r.Host),
		Path: decision.Text(originalPath(r)), Outcome: decision.Shadow, Status: status, CredentialIn: x.CredentialIn,
	}
	if path := decision.Text(r.URL.Path); path != rec.Path {
		rec.RewrittenPath = path
	}
	rec.UserAgent, rec.HeaderNames = decision.Text(r.UserAgent()), headerNames(r.Header, x.CredentialIn)
	if addr := ClientIP(r); addr.IsValid() {
		rec.ClientIP = addr.String()
	}
	if x.Principal != nil {
		rec.SetCaller(x.Principal)
	} else {
		x.recordCredential(rec)
	}
	if x.policy != nil {
		rec.Limits = limitRows(x.policy, &x.decision)
	}
	rec.Steps = make([]decision.Step, 0, x.stepCount)
	for i := range x.stepCount {
		rec.Steps = append(rec.Steps, x.describe(&x.steps[i]))
	}
	if finish != nil {
		finish(rec)
	}
	switch {
	case x.dry != nil:
	case x.LastRecord != nil:
		j.Replace(x.LastRecord, rec)
	default:
		j.Add(rec)
	}
	x.LastRecord = rec
}

// recordCredential adds what is known about a refused credential.
func (x *Exchange) recordCredential(rec *decision.Record) {
	for i := range x.stepCount {
		if d, ok := x.steps[i].finding.(*plugins.Denial); ok && x.steps[i].policy == PolicyAuth {
			rec.SetRefusedCredential(d.Of)
		}
	}
}

// Describer is a finding that describes itself in a decision record.
type Describer interface {
	// Describe fills in the step. p is the caller, nil for an anonymous one.
	Describe(p *plugins.Principal, into *decision.Step)
}

// describe makes the entry of a check in a decision record.
func (x *Exchange) describe(s *step) decision.Step {
	entry := decision.Step{Policy: s.policy.String(), Result: stepResults[s.result]}
	switch finding := s.finding.(type) {
	case *plugins.Denial:
		entry.SetDenial(finding)
	case Describer:
		finding.Describe(x.Principal, &entry)
	case error:
		entry.SetFailure(finding, problem.Redact)
	case *plugins.Principal:
		entry.SetFound("a described caller", "")
		if x.DescribedCaller() != finding {
			entry.SetFound(decision.CredentialText(finding), "")
		}
	case *ratelimit.Policy:
		left := ""
		if s.remaining >= 0 {
			left = strconv.FormatInt(s.remaining, 10) + " left"
		}
		entry.SetFound(left, finding.Name+" "+finding.Text())
	}
	return entry
}

// RecordCause adds to a record why the request did not reach its upstream.
func (x *Exchange) RecordCause(rec *decision.Record, err error) {
	ending := decision.Ending{Err: err, Unrouted: errors.Is(err, sitehandler.ErrUnrouted)}
	var last *step
	if x.stepCount != 0 {
		last = &x.steps[x.stepCount-1]
		ending.LastStep, ending.Policy = stepResults[last.result], last.policy.String()
	}
	if refused, ok := errors.AsType[*Refusal](err); ok {
		ending.Denial = refused.denial
	} else if last != nil && last.result == Refused {
		// Caddy's authentication handler returned an error of its own for our denial.
		ending.Denial, _ = last.finding.(*plugins.Denial)
	}
	if ending.Denial != nil && ending.Denial.RetryAfter > 0 {
		ending.RetryAfter = plugins.RetrySeconds(ending.Denial.RetryAfter)
	}
	rec.SetEnding(ending, problem.Redact)
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

// LogPath is the path of a request as a log line may hold it.
func LogPath(r *http.Request) string { return decision.Text(r.URL.Path) }
