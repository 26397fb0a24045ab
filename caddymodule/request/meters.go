package request

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/ainative/portcullis/caddymodule/metrics"
	"github.com/ainative/portcullis/plugins"
	"github.com/prometheus/client_golang/prometheus"
)

// reasonAnonymous is the reason of a request that was let pass without a
// credential.
const reasonAnonymous = "anonymous"

// meter counts what one policy decides.
type meter struct {
	policy string
	// What most requests add to is looked up once.
	allowed, anonymous prometheus.Counter
	took               prometheus.Observer
}

// meters are those of the policies, by policyName.
var meters = func() (all [len(policyNames)]meter) {
	for i, name := range policyNames {
		if Policy(i) != PolicyErrors {
			all[i] = meter{
				policy:    name,
				allowed:   metrics.RequestsTotal.WithLabelValues(name, metrics.Allowed, ""),
				anonymous: metrics.RequestsTotal.WithLabelValues(name, metrics.Allowed, reasonAnonymous),
				took:      metrics.DecisionSeconds.WithLabelValues(name),
			}
		}
	}
	return all
}()

// One decision in sampleEvery is timed: reading the clock twice costs more than
// everything else that is counted.
const sampleEvery = 16

// Begin is when a decision of the policy begins, if it is one to be timed.
func (p Policy) Begin() time.Time {
	if rand.Uint32()%sampleEvery != 0 {
		return time.Time{}
	}
	return time.Now()
}

// End times the decision that began then.
func (p Policy) End(begun time.Time) {
	if !begun.IsZero() {
		meters[p].took.Observe(time.Since(begun).Seconds())
	}
}

// count counts a decision.
func (m *meter) count(s *step) {
	switch s.result {
	case Passed:
		m.allowed.Inc()
	case Anonymous:
		m.anonymous.Inc()
	default:
		metrics.RequestsTotal.WithLabelValues(m.policy, decisionOf(s.result), s.reason()).Inc()
	}
}

// reasonOf is the reason of a failure to decide; `other` where it has none.
func reasonOf(failure error) string {
	if u, ok := errors.AsType[*plugins.Unavailable](failure); ok {
		return string(u.Reason)
	}
	return "other"
}
