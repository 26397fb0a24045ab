package caddymodule

import (
	"errors"
	"net/http"
	"time"

	"github.com/ainative/portcullis/plugins/decision"
	"github.com/ainative/portcullis/plugins/problem"
	"github.com/ainative/portcullis/plugins/ratelimit"
)

// decisions is the pooled ring of records. It survives reloads.
type decisions struct{ *decision.Ring }

// Destruct has nothing to release.
func (decisions) Destruct() error { return nil }

var decisionsKey = poolKey{"decisions", ""}

func acquireDecisions() (decisions, releaser, error) {
	return acquire(decisionsKey, func() (decisions, error) {
		return decisions{decision.NewRing(decision.DefaultSize)}, nil
	})
}

// record keeps why a request did not get what it asked for. It is called for
// responses of status 400 and above only.
func (e *Errors) record(x *exchange, r *http.Request, status int, p problem.Problem, err error) {
	rec := decision.Record{
		RequestID: x.requestID, Time: time.Now().UTC(), Method: clip(r.Method, 16), Host: clip(r.Host, 128), Path: clip(r.URL.Path, 256),
		Status: p.Status, RetryAfter: p.RetryAfter,
	}
	if addr := clientIP(r); addr.IsValid() {
		rec.ClientIP = addr.String()
	}
	refused, isRefusal := errors.AsType[*refusal](err)
	switch {
	case isRefusal:
		d := refused.denial
		rec.Reason, rec.Value, rec.Bound = d.Reason, clip(d.Value, 256), clip(d.Bound, 256)
	case err != nil:
		rec.Failure = clip(err.Error(), 512)
	case status != 0:
		rec.UpstreamStatus, rec.Reader, rec.Rule, rec.Leak = status, p.Reader, p.Rule, p.Leak
	}
	if caller := x.principal; caller != nil {
		rec.Subject, rec.Roles, rec.Tier = caller.Subject, caller.Roles, caller.Tier
		rec.Scheme, rec.KeyID, rec.Issuer = caller.Scheme, caller.KeyID, caller.Issuer
	}
	if x.policy != nil {
		rec.Limits = limitRows(x.policy, x.decision.Rows)
	}
	e.decisions.Add(rec)
}

func limitRows(p *ratelimit.Policy, rows []ratelimit.Row) []decision.LimitRow {
	out := make([]decision.LimitRow, 0, len(rows))
	for i, row := range rows {
		shown := decision.LimitRow{Name: p.LimitName(i), Limit: row.Limit.String(), Remaining: row.Remaining}
		if row.RetryAfter > 0 {
			shown.RetryAfter = row.RetryAfter.Round(time.Millisecond).String()
		}
		out = append(out, shown)
	}
	return out
}

// showDecision answers with the record of a request.
func showDecision(r *adminRequest) (int, any, error) {
	kept, ok := pooled[decisions](decisionsKey)
	if !ok {
		return 0, nil, errNoRecord
	}
	record, ok := kept.Get(r.PathValue("id"))
	if !ok {
		return 0, nil, errNoRecord
	}
	return http.StatusOK, record, nil
}

// errNoRecord is the answer for a request that was not refused, or long ago.
var errNoRecord = errors.New("no record of this request: it was not refused, went through another gateway or site, or newer refusals have taken its place")
