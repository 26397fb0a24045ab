// Package metrics has the counters of all rooms. State that is read at each scrape, such
// as the size of a cache, is in gateway/metrics.go.
package metrics

import (
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"
)

// The counters live as long as the process. Caddy makes a registry for every load, and
// Register adds the counters to it, so that a reload loses no count. No label holds a
// caller, a key or an address; values come from the code or the configuration.
//
// They always count: Caddy's admin endpoint serves /metrics without the `metrics` option
// too, and a count costs a few nanoseconds.
var (
	RequestsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "caddy_gateway_requests_total",
		Help: "Decisions of each policy, by result (allowed, refused, failed, shadow) and reason.",
	}, []string{"policy", "result", "reason"})
	DecisionSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "caddy_gateway_decision_duration_seconds",
		Help:    "How long decisions of each policy took. One in 16 is measured.",
		Buckets: []float64{1e-6, 5e-6, 25e-6, 100e-6, 500e-6, 1e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 500e-3, 1, 5},
	}, []string{"policy"})
	ErrorResponses = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "caddy_gateway_error_responses_total",
		Help: "Error responses of gateway_errors, by class of status (4xx, 5xx) and source (gateway, handler, router, upstream).",
	}, []string{"class", "source"})
	ErrorBodies = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "caddy_gateway_error_bodies_total",
		Help: "Error bodies of upstreams, by the reader that understood them and what became of them (passed, translated).",
	}, []string{"reader", "outcome"})
	ErrorLeaks = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "caddy_gateway_error_leaks_total",
		Help: "Error bodies of upstreams from which something was held back, by what it was.",
	}, []string{"kind"})
	StoreSeconds = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "caddy_gateway_limiter_store_duration_seconds",
		Help:    "How long the limiter's store, Redis, took to answer.",
		Buckets: []float64{100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3, 1},
	})
	StoreErrors = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "caddy_gateway_limiter_store_errors_total",
		Help: "Questions to the limiter's store that failed, by kind (timeout, busy, reply, refused, connection).",
	}, []string{"kind"})
	Fallbacks = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "caddy_gateway_limiter_fallbacks_total",
		Help: "Decisions made without the limiter's store because it did not answer, by on_failure (local, open, closed).",
	}, []string{"policy"})
	BreakerOpened = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "caddy_gateway_limiter_breaker_opened_total",
		Help: "How often the breaker before the limiter's store opened.",
	})
	KeySetFailures = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "caddy_gateway_jwks_failures_total",
		Help: "How often an issuer's key set could not be read, a failure that repeats itself counted once.",
	}, []string{"issuer"})
	EventsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "caddy_gateway_events_total",
		Help: "Events of the gateway, by name and what became of them (emitted, unheard, dropped).",
	}, []string{"event", "outcome"})
)

// counters are the collectors above.
var counters = []prometheus.Collector{
	RequestsTotal, DecisionSeconds, ErrorResponses, ErrorBodies, ErrorLeaks,
	StoreSeconds, StoreErrors, Fallbacks, BreakerOpened, KeySetFailures, EventsTotal,
}

// Register adds the counters and more collectors to the registry of a configuration. A
// second call changes nothing.
func Register(ctx caddy.Context, more ...prometheus.Collector) error {
	registry := ctx.GetMetricsRegistry()
	if registry == nil {
		return nil
	}
	for _, collector := range append(more, counters...) {
		if err := registry.Register(collector); err != nil {
			if _, twice := errors.AsType[prometheus.AlreadyRegisteredError](err); !twice {
				return fmt.Errorf("registering metrics: %w", err)
			}
		}
	}
	return nil
}

// Results of a decision, as the label has them.
const (
	Allowed = "allowed"
	Refused = "refused"
	Failed  = "failed"
	Shadow  = "shadow"
)
