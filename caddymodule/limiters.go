package caddymodule

import "github.com/ainative/portcullis/plugins/ratelimit/redisgcra"

// limiterProvider is what a module in the namespace `gateway.limiters` is: it
// says where requests are counted.
type limiterProvider interface {
	// acquire returns the counts of a zone, which outlive the configuration.
	acquire(zone string) (zone, releaser, error)
	// health is how the limiter does.
	health() limiterHealth
}

// limiterHealth is what GET /gateway/health says of the limiter.
type limiterHealth struct {
	Name string `json:"name"`
	// Redis is null for other limiters, and while no zone uses it.
	Redis *redisgcra.Health `json:"redis"`
}
