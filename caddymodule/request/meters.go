package request

import (
	"math/rand/v2"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ainative/portcullis/caddymodule/metrics"
)

// meter counts what one policy decides.
type meter struct {
	policy string
	// Most requests add to these, so they are looked up once.
	allowed, anonymous prometheus.Counter
	took               prometheus.Observer
}

// meters has the meter of each Policy but gateway_errors.
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

// sampleEvery is how many decisions share one that is timed: reading the clock twice
// costs more than all counting.
const sampleEvery = 16

// Begin starts the clock of a decision. The zero time means that it is not sampled.
func (p Policy) Begin() time.Time {
	if rand.Uint32()%sampleEvery != 0 {
		return time.Time{}
	}
	return time.Now()
}

// End measures the decision that Begin started.
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
		metrics.RequestsTotal.WithLabelValues(m.policy, s.result.label(), s.reason()).Inc()
	}
}
