package proxyhandler

import (
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"
)

// requests lives as long as the process and is registered anew with the registry
// of each configuration, of which Caddy makes one for every load: a reload loses
// no count.
var requests = prometheus.NewCounterVec(prometheus.CounterOpts{
	Name: "caddy_gateway_proxy_requests_total",
	Help: "Requests of gateway_proxy, by the way they took (fast, caddy).",
}, []string{"way"})

var (
	requestsFast  = requests.WithLabelValues("fast")
	requestsCaddy = requests.WithLabelValues("caddy")
)

func registerMetrics(ctx caddy.Context) error {
	registry := ctx.GetMetricsRegistry()
	if registry == nil {
		return nil
	}
	if err := registry.Register(requests); err != nil {
		if _, twice := errors.AsType[prometheus.AlreadyRegisteredError](err); !twice {
			return fmt.Errorf("registering metrics: %w", err)
		}
	}
	return nil
}
