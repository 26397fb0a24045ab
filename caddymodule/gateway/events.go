package gateway

import (
	"maps"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"go.uber.org/zap"

	"github.com/ainative/portcullis/caddymodule/internal/pool"
	"github.com/ainative/portcullis/caddymodule/metrics"
	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/decision"
	"github.com/ainative/portcullis/plugins/ratelimit"
)

// Names of the events on Caddy's event bus. Each reports a change, once; none is emitted
// for each request. They are for the operator: they name owners and keys by id, and hold
// no credential.
const (
	eventKeyCreated    = "gateway.key_created"
	eventKeyRevoked    = "gateway.key_revoked"
	eventKeyRotated    = "gateway.key_rotated"
	eventLimitExceeded = "gateway.limit_exceeded"
	EventBreakerOpened = "gateway.breaker_opened"
	EventBreakerClosed = "gateway.breaker_closed"
	eventJWKSStale     = "gateway.jwks_stale"
	eventJWKSRecovered = "gateway.jwks_recovered"
)

// Outcomes of an event, as in the label of the metric.
const (
	eventEmitted = "emitted"
	eventUnheard = "unheard"
	eventDropped = "dropped"
)

// event is an event that waits to be emitted.
type event struct {
	name string
	data map[string]any
}

// maxEvents is how many events may wait. Handlers may be slow, since they may run
// commands; further events are dropped and counted.
const maxEvents = 1024

// events emits on Caddy's event bus from a goroutine of its own, so that no request waits.
// It is pooled, because the clients that emit outlive a configuration, and so must the
// memory of what was emitted.
type events struct {
	queue   chan event
	stop    chan struct{}
	stopped sync.WaitGroup

	// exceeded remembers the callers for which limit_exceeded was emitted.
	exceeded decision.Once[ratelimit.Key]
	// stale remembers the issuers whose key sets can't be read.
	stale decision.Turns[string]
}

var eventsKey = pool.Key{Kind: "events", Name: ""}

func acquireEvents() (*events, pool.Release, error) {
	return pool.Acquire(eventsKey, func() (*events, error) {
		e := &events{
			queue: make(chan event, maxEvents), stop: make(chan struct{}),
		}
		e.stopped.Go(e.run)
		return e, nil
	})
}

// Destruct stops the goroutine.
func (e *events) Destruct() error {
	close(e.stop)
	e.stopped.Wait()
	return nil
}

// emit queues an event. It never waits.
func (e *events) emit(name string, data map[string]any) {
	select {
	case e.queue <- event{name, data}:
	default:
		metrics.EventsTotal.WithLabelValues(name, eventDropped).Inc()
		pool.Log("events").Warn("too many events wait for their handlers, one is dropped", zap.String("event", name))
	}
}

func (e *events) run() {
	for {
		select {
		case <-e.stop:
			return
		case next := <-e.queue:
			metrics.EventsTotal.WithLabelValues(next.name, deliver(next)).Inc()
		}
	}
}

// deliver emits an event on the bus of the running configuration. A configuration that is
// still starting may not have its subscriptions yet.
func deliver(next event) (outcome string) {
	loaded, err := caddy.ActiveContext().AppIfConfigured("gateway")
	if err != nil {
		return eventUnheard
	}
	app, ok := loaded.(*App)
	if !ok || app.bus == nil || !app.bus.ShouldEmit(next.name) {
		return eventUnheard
	}
	defer func() {
		// A foreign handler must not end the gateway.
		if v := recover(); v != nil {
			pool.Log("events").Error("a handler of an event panicked", zap.String("event", next.name), zap.Any("panic", v))
			outcome = eventDropped
		}
	}()
	app.bus.Emit(app.ctx, next.name, next.data)
	return eventEmitted
}

// openBus finds the event bus of the configuration.
func (a *App) openBus(ctx caddy.Context) error {
	a.ctx = ctx
	loaded, err := ctx.App("events")
	if err != nil {
		return err
	}
	a.bus, _ = loaded.(*caddyevents.App)
	var release pool.Release
	if a.events, release, err = acquireEvents(); err != nil {
		return err
	}
	a.acquired = append(a.acquired, release)
	return nil
}

// keyEvent emits an event about a key that was created or changed.
func (a *App) keyEvent(name string, key plugins.APIKey, more map[string]any) {
	data := map[string]any{
		"id": key.ID, "owner": key.Owner, "name": key.Name, "prefix": key.Prefix, "role": key.Role, "tier": key.Tier,
	}
	maps.Copy(data, more)
	a.events.emit(name, data)
}

// LimitExceeded emits an event for a caller over a limit, once in each period of that
// limit.
func (a *App) LimitExceeded(key ratelimit.Key, limit ratelimit.Limit, data map[string]any) {
	if a.events.exceeded.First(key, limit.Period, time.Now()) {
		a.events.emit(eventLimitExceeded, data)
	}
}

// Emit emits an event of an object that outlives configurations, such as a client.
func Emit(name string, data map[string]any) {
	if e, ok := pool.Find[*events](eventsKey); ok {
		e.emit(name, data)
	}
}
