package limiters

import (
	"context"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/ainative/portcullis/caddymodule/gateway"
	"github.com/ainative/portcullis/caddymodule/internal/pool"
	"github.com/ainative/portcullis/caddymodule/metrics"
	"github.com/ainative/portcullis/plugins/ratelimit/redisgcra"
)

// Health implements LimiterProvider. It is that of the client, if a zone uses it.
func (l *RedisLimiter) Health(ctx context.Context) gateway.LimiterHealth {
	h := gateway.LimiterHealth{Name: "redis"}
	counts, ok := pool.Find[*redisCounts](l.key)
	if !ok {
		return h
	}
	err := ask(ctx, counts.Limiter)
	state := counts.Health()
	h.Redis = &state
	if err == nil && state.Breaker == "closed" {
		return h
	}
	why := state.LastError
	if err != nil {
		why = redisgcra.Explain(err)
	}
	h.Problem = &gateway.Problem{Undecided: state.OnFailure == redisgcra.FailClosed, Why: "redis at " + state.Target + " can't be asked: " + why + "; " + outageText(&state)}
	switch {
	case state.OpenSince != nil:
		h.Problem.Since = *state.OpenSince
	case state.FailedAt != nil:
		h.Problem.Since = *state.FailedAt
	}
	return h
}

// RedisState implements RedisStater.
func (l *RedisLimiter) RedisState() *redisgcra.Health {
	counts, ok := pool.Find[*redisCounts](l.key)
	if !ok {
		return nil
	}
	state := counts.Health()
	return &state
}

// outageText says what happens to requests while Redis can't be asked.
func outageText(h *redisgcra.Health) string {
	switch h.OnFailure {
	case redisgcra.FailClosed:
		return "limited requests get 503"
	case redisgcra.FailOpen:
		return "every request passes its limits"
	}
	return "this gateway alone grants " + strconv.FormatFloat(h.Share, 'g', 3, 64) + " of each limit"
}

// storeObserver counts the calls and failures of a limiter.
func storeObserver(limiter *redisgcra.Limiter) redisgcra.Observer {
	return redisgcra.Observer{
		OnCall:     observeCall,
		OnFallback: func(policy redisgcra.OnFailure) { metrics.Fallbacks.WithLabelValues(string(policy)).Inc() },
		OnBreaker:  func(open bool) { breakerChanged(limiter, open) },
	}
}

func observeCall(took time.Duration, err error) {
	metrics.StoreSeconds.Observe(took.Seconds())
	if err != nil {
		metrics.StoreErrors.WithLabelValues(redisgcra.ErrorKind(err)).Inc()
	}
}

// breakerChanged logs and emits that the circuit breaker of a Redis has opened or closed.
// The limiter outlives configurations, so that the event sink is looked up on every call.
func breakerChanged(limiter *redisgcra.Limiter, open bool) {
	name, data := gateway.EventBreakerClosed, map[string]any{"limiter": "redis"}
	if h := limiter.Health(); open {
		metrics.BreakerOpened.Inc()
		name = gateway.EventBreakerOpened
		data["error"] = h.LastError
		pool.Log("limiter").Error("redis can't be asked, on_failure decides until it can", zap.String("redis", h.Target),
			zap.String("on_failure", string(h.OnFailure)), zap.String("why", h.LastError))
	} else {
		pool.Log("limiter").Info("redis answers again", zap.String("redis", h.Target))
	}
	gateway.Emit(name, data)
}
