package request

import (
	"errors"

	"github.com/ainative/portcullis/caddymodule/metrics"
	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/decision"
	"github.com/ainative/portcullis/plugins/ratelimit"
)

// Policy is the directive that decided, in a byte.
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

// Result is a decision.Result in a byte.
type Result uint8

// The results of a check.
const (
	Passed Result = iota
	Anonymous
	Refused
	Undecided
	Shadowed
)

var stepResults = [...]decision.Result{
	decision.StepPassed, decision.StepAnonymous, decision.StepRefused, decision.StepUndecided, decision.StepShadow,
}

// step is one check and its result. A request that passes pays nothing for it: texts are
// made when a record is.
type step struct {
	policy Policy
	result Result
	// finding explains the result. It is a *plugins.Denial, an error, a
	// *plugins.Principal, a *ratelimit.Policy, a Describer, or nil.
	finding any
	// remaining is what the limit with the fewest units has left; -1 for none.
	remaining int64
}

// Step notes a check, and adds it to the metrics and the trace. If a request has more
// checks than there is room for, the last ones are kept.
func (x *Exchange) Step(policy Policy, result Result, finding any) {
	x.step(policy, result, finding)
}

// PassedLimit notes that a limit let the request pass.
func (x *Exchange) PassedLimit(p *ratelimit.Policy, rows []ratelimit.Row) {
	s := x.step(PolicyLimit, Passed, p)
	s.remaining = -1
	if left, found := leastRemaining(rows); found {
		s.remaining = left
		if x.span != nil {
			x.traceLimit(p.Name, left)
		}
	}
}

func (x *Exchange) step(policy Policy, result Result, finding any) *step {
	if int(x.stepCount) == len(x.steps) {
		copy(x.steps[:], x.steps[1:])
		x.stepCount--
	}
	s := &x.steps[x.stepCount]
	*s = step{policy: policy, result: result, finding: finding}
	x.stepCount++
	if x.dry == nil {
		meters[policy].count(s)
	}
	if x.span != nil {
		x.trace(s)
	}
	return s
}

// leastRemaining is what the limit with the fewest units has left.
func leastRemaining(rows []ratelimit.Row) (least int64, found bool) {
	for i := range rows {
		if left := rows[i].Remaining; !found || left < least {
			least, found = left, true
		}
	}
	return least, found
}

// Shadowed reports whether shadow mode let the request pass.
func (x *Exchange) Shadowed() bool {
	for i := range x.stepCount {
		if x.steps[i].result == Shadowed {
			return true
		}
	}
	return false
}

// label is a result as metrics, traces and the access log name it.
func (r Result) label() string {
	switch r {
	case Refused:
		return metrics.Refused
	case Undecided:
		return metrics.Failed
	case Shadowed:
		return metrics.Shadow
	}
	return metrics.Allowed
}

// reason says why a check did not simply pass; empty where it did.
func (s *step) reason() string {
	switch finding := s.finding.(type) {
	case *plugins.Denial:
		return string(finding.Reason)
	case error:
		return reasonOf(finding)
	}
	if s.result == Anonymous {
		return reasonAnonymous
	}
	return ""
}

// reasonAnonymous is the reason of a request that passed without a credential.
const reasonAnonymous = "anonymous"

// reasonOf is the reason of a failure to decide; `other` where it has none.
func reasonOf(failure error) string {
	if u, ok := errors.AsType[*plugins.Unavailable](failure); ok {
		return string(u.Reason)
	}
	return "other"
}
