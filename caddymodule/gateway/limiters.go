package gateway

import (
	"context"

	"github.com/ainative/portcullis/plugins/ratelimit"
	"github.com/ainative/portcullis/plugins/ratelimit/redisgcra"
)

// LimiterProvider is a module in the namespace `gateway.limiters`: it decides where
// requests are counted.
type LimiterProvider interface {
	// Zone returns the limiter of a zone, and the function that releases it. Zone is called
	// when a configuration is provisioned, and release when it ends. A reload acquires the
	// zones of the new configuration before it releases those of the old one: a provider
	// whose counts should survive a reload keeps them in a caddy.UsagePool. The counts of
	// a limiter that is also a durable.Counts are written to the store.
	Zone(name string) (limiter ratelimit.Limiter, release func(), err error)
	// Health is the health of the limiter. It may ask a server until ctx ends.
	Health(ctx context.Context) LimiterHealth
}

// LimiterStarter is a LimiterProvider with work to do when its configuration starts, such
// as connecting. An error ends the start.
type LimiterStarter interface {
	StartLimiter() error
}

// RedisStater is a LimiterProvider that counts in Redis. RedisState is the state of its
// client, and does not ask Redis; nil while no zone uses it.
type RedisStater interface {
	RedisState() *redisgcra.Health
}

// redisState is the state of the limiter's Redis; nil for other limiters.
func (a *App) redisState() *redisgcra.Health {
	if l, ok := a.limiters.(RedisStater); ok {
		return l.RedisState()
	}
	return nil
}

// LimiterHealth is the limiter's part of GET /gateway/health.
type LimiterHealth struct {
	Name string `json:"name"`
	// Redis is null for other limiters, and while no zone uses the client.
	Redis *redisgcra.Health `json:"redis"`
	// Problem is nil if the limiter works.
	Problem *Problem `json:"-"`
}
