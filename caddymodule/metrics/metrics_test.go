package metrics

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// Caddy makes a registry for every load: the same collectors are registered in
// each, keep their values, and satisfy the linter of metrics.
func TestMetricsInTwoRegistries(t *testing.T) {
	RequestsTotal.WithLabelValues("gateway_auth", Refused, "key_unknown").Inc()
	RequestsTotal.WithLabelValues("gateway_auth", Failed, "other").Inc()
	RequestsTotal.WithLabelValues("gateway_auth", Shadow, "store_unavailable").Inc()
	DecisionSeconds.WithLabelValues("gateway_auth").Observe(1e-6)
	ErrorResponses.WithLabelValues("5xx", "upstream").Inc()
	ErrorBodies.WithLabelValues("html", "translated").Inc()
	ErrorLeaks.WithLabelValues("path").Inc()
	StoreSeconds.Observe(time.Millisecond.Seconds())
	StoreErrors.WithLabelValues("timeout").Inc()
	Fallbacks.WithLabelValues("local").Inc()
	BreakerOpened.Inc()
	KeySetFailures.WithLabelValues("main").Inc()
	EventsTotal.WithLabelValues("gateway.key_created", "emitted").Inc()

	var before float64
	for generation := range 2 {
		registry := prometheus.NewPedanticRegistry()
		for _, collector := range counters {
			if err := registry.Register(collector); err != nil {
				t.Fatal(err)
			}
		}
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		if len(families) != len(counters) {
			t.Errorf("got %d metrics, want %d: each must be counted above", len(families), len(counters))
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
