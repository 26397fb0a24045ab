package caddymodule

import (
	"errors"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/auth/bearer"
	"github.com/ainative/portcullis/plugins/problem"
	"github.com/ainative/portcullis/plugins/ratelimit/redisgcra"
)

// Caddy makes a registry for every load: the same collectors are registered in
// each, keep their values, and satisfy the linter of metrics.
func TestMetricsInTwoRegistries(t *testing.T) {
	new(exchange).countErrorBody(problem.Problem{Status: 502, Reader: "html", Leak: "path"}, false)
	observeCall(time.Millisecond, nil)
	observeCall(time.Millisecond, redisgcra.ErrTimeout)
	observeCall(time.Millisecond, errors.New("refused"))
	storeObserver(nil).OnFallback(redisgcra.FailLocal)
	countKeyEvent(bearer.Event{Kind: bearer.EventKeysFailed, Issuer: "main"})
	eventsTotal.WithLabelValues(eventKeyCreated, eventEmitted).Inc()
	meters[policyAuth].took.Observe(1e-6)
	meters[policyAuth].count(&step{policy: policyAuth, result: stepRefused, of: &plugins.Denial{Reason: plugins.ReasonKeyUnknown}})
	meters[policyAuth].count(&step{policy: policyAuth, result: stepUndecided, of: errors.New("x")})
	meters[policyAuth].count(&step{policy: policyAuth, result: stepShadow, of: &plugins.Unavailable{Reason: plugins.ReasonStoreUnavailable}})

	var before float64
	for generation := range 2 {
		registry := prometheus.NewPedanticRegistry()
		for _, collector := range countedMetrics {
			if err := registry.Register(collector); err != nil {
				t.Fatal(err)
			}
		}
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		if len(families) != len(countedMetrics) {
			t.Errorf("got %d metrics, want %d: each must be counted above", len(families), len(countedMetrics))
		}
		problems, err := promlint.NewWithMetricFamilies(families).Lint()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range problems {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
		var now float64
		for _, family := range families {
			if family.GetName() == "caddy_gateway_requests_total" {
				for _, metric := range family.GetMetric() {
					now += metric.GetCounter().GetValue()
				}
			}
		}
		if now < 3 || now < before {
			t.Errorf("generation %d: got %v, after %v", generation, now, before)
		}
		before = now
	}
}

// Counting an allowed request costs next to nothing: no allocation, no look-up.
func TestCountingAllocatesNothing(t *testing.T) {
	x := new(exchange)
	allocated := testing.AllocsPerRun(1000, func() {
		x.stepCount = 0
		m := &meters[policyAuth]
		begun := m.begin()
		m.end(begun)
		x.step(policyAuth, stepPassed, x.principal)
		x.step(policyRoles, stepPassed, nil)
		x.step(policyLimit, stepPassed, x.policy)
	})
	if allocated != 0 {
		t.Errorf("counting three decisions allocates %v times", allocated)
	}
}

// BenchmarkCounting measures what metrics add to an allowed request: three
// decisions counted, one in 16 of them timed.
func BenchmarkCounting(b *testing.B) {
	count := func(x *exchange) {
		x.stepCount = 0
		for _, policy := range [...]policyName{policyAuth, policyRoles, policyLimit} {
			m := &meters[policy]
			begun := m.begin()
			m.end(begun)
			x.step(policy, stepPassed, nil)
		}
	}
	b.Run("one", func(b *testing.B) {
		b.ReportAllocs()
		x := new(exchange)
		for b.Loop() {
			count(x)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			x := new(exchange)
			for pb.Next() {
				count(x)
			}
		})
	})
}

// A handler that does not come back costs events, never requests.
func TestEventsNeverWait(t *testing.T) {
	e := &events{queue: make(chan event, maxEvents)}
	for range 2 * maxEvents {
		e.emit(eventLimitExceeded, nil)
	}
	if got := len(e.queue); got != maxEvents {
		t.Errorf("%d wait, want %d", got, maxEvents)
	}
}
