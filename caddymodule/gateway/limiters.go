package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ainative/portcullis/caddymodule/internal/pool"
	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/ratelimit"
	"github.com/ainative/portcullis/plugins/ratelimit/durable"
	"github.com/ainative/portcullis/plugins/ratelimit/redisgcra"
	"github.com/caddyserver/caddy/v2"
)

// LimiterProvider is what a module in the namespace `gateway.limiters` is: it says
// where requests are counted.
type LimiterProvider interface {
	// Zone returns what counts the requests of a zone, and what gives it back. It is
	// called while a configuration is provisioned, and release when that one ends. A
	// reload asks for the zones of the new configuration before it gives back those of
	// the old one: a provider whose counts shall survive it keeps them in a
	// caddy.UsagePool. A limiter that is a durable.Counts too is written to the store.
	Zone(name string) (limiter ratelimit.Limiter, release func(), err error)
	// Health says how the limiter is. It may ask, as long as ctx lasts.
	Health(ctx context.Context) LimiterHealth
}

// LimiterStarter is a LimiterProvider that does something when its configuration
// starts, such as connecting. An error ends the start.
type LimiterStarter interface {
	StartLimiter() error
}

// RedisStater is a LimiterProvider that counts in Redis. It tells the state of its
// client without asking Redis; nil while no zone uses it.
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

// LimiterHealth is what GET /gateway/health says of the limiter.
type LimiterHealth struct {
	Name string `json:"name"`
	// Redis is null for other limiters, and while no zone uses it.
	Redis *redisgcra.Health `json:"redis"`
	// Problem is what is wrong, null where nothing is.
	Problem *Problem `json:"-"`
}

// Zone is where the requests of one zone are counted.
type Zone struct {
	Limiter  ratelimit.Limiter
	InFlight *ratelimit.InFlight
	// durable says that long counts are written to the store.
	durable bool
}

// maxInFlight bounds the callers of a zone that have something under way.
const maxInFlight = 1 << 20

// inFlightZone is the pooled count of what a zone has under way. It is per node:
// what is under way ends with the node.
type inFlightZone struct{ *ratelimit.InFlight }

// Destruct has nothing to release.
func (inFlightZone) Destruct() error { return nil }

// AcquireZone returns the counts of a zone, and makes those that can follow the
// store.
func (a *App) AcquireZone(ctx caddy.Context, name string) (_ Zone, _ pool.Release, err error) {
	var acquired []func()
	release := func() {
		for _, give := range slices.Backward(acquired) {
			give()
		}
		acquired = nil
	}
	defer func() {
		if err != nil {
			release()
			err = fmt.Errorf("making the counts of zone %s: %w", name, err)
		}
	}()
	limiter, give, err := a.limiters.Zone(name)
	if err != nil {
		return Zone{}, nil, err
	}
	acquired = append(acquired, give)
	flights, giveFlights, err := pool.Acquire(pool.Key{Kind: "in flight", Name: name}, func() (inFlightZone, error) {
		return inFlightZone{ratelimit.NewInFlight(maxInFlight)}, nil
	})
	if err != nil {
		return Zone{}, nil, err
	}
	acquired = append(acquired, giveFlights)
	counts, isDurable := limiter.(durable.Counts)
	if isDurable {
		stop, err := a.records.counts.Keep(ctx, name, counts)
		if err != nil {
			return Zone{}, nil, err
		}
		acquired = append(acquired, stop)
	}
	return Zone{limiter, flights.InFlight, isDurable}, release, nil
}

// RestoreCounts makes sure that the counts of long periods have been taken in. For a
// known caller the store is open already; for others this may be the first question
// to it.
func (a *App) RestoreCounts(ctx context.Context, z *Zone, limits []ratelimit.Limit) error {
	if a.records.opened.Load() != nil || !z.durable || !durable.Needed(limits) {
		return nil
	}
	if _, err := a.records.open(ctx); err != nil && !errors.Is(err, errStoreClosed) {
		return &plugins.Unavailable{Reason: plugins.ReasonLimiterUnavailable, Err: err}
	}
	return nil
}
