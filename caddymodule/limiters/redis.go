package limiters

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ainative/portcullis/caddymodule/gateway"
	"github.com/ainative/portcullis/caddymodule/internal/caddyfiletext"
	"github.com/ainative/portcullis/caddymodule/internal/pool"
	"github.com/ainative/portcullis/caddymodule/internal/secret"
	"github.com/ainative/portcullis/caddymodule/metrics"
	"github.com/ainative/portcullis/plugins/ratelimit"
	"github.com/ainative/portcullis/plugins/ratelimit/redisgcra"
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"
)

func init() { caddy.RegisterModule(RedisLimiter{}) }

// RedisLimiter counts in Redis, so that all nodes of a gateway hold one limit
// together. While Redis does not answer, OnFailure says what happens; a caller
// waits no longer than Timeout.
type RedisLimiter struct {
	// URLs of the servers: `redis://`, `rediss://` for TLS, `unix://`; several are
	// a cluster, `sentinel://master@h1,h2,h3` asks sentinels. Placeholders {env.*}
	// and {file.*} are supported, for passwords.
	URLs []string `json:"urls,omitempty"`

	// `exact` never admits more than the limit, `bounded` makes fewer calls and
	// admits more by a bound that the health endpoint states. Default: `exact`.
	Mode string `json:"mode,omitempty"`

	// The part of a burst that all nodes together may admit on credit in the bounded
	// mode, such as `5%`, up to 50%. `0%` gives no credit: then it saves calls only by
	// charging busy callers in advance. Default: `5%`.
	Error string `json:"error,omitempty"`

	// `redis_rate`, whose keys other users of that package share, or `native`.
	// Default: `redis_rate`.
	Engine string `json:"engine,omitempty"`

	// How long a decision may wait for Redis. Default: 50ms.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// What happens while Redis does not answer: `local` counts in memory, with
	// Share of each limit; `open` admits everything; `closed` answers 503.
	// Default: `local`.
	OnFailure string `json:"on_failure,omitempty"`

	// The share of each limit that this node grants alone while Redis does not
	// answer, above 0 and up to 1. Default: 1/N of the N gateways that share the Redis,
	// by their signs of life there; while none is known, 1/Nodes where that is given,
	// else 0.5.
	Share float64 `json:"share,omitempty"`

	// How many gateways share the limits, for the bounded mode. Default: 4.
	Nodes int `json:"nodes,omitempty"`

	options redisgcra.Options
	key     pool.Key
}

// CaddyModule returns the Caddy module information.
func (RedisLimiter) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "gateway.limiters.redis", New: func() caddy.Module { return new(RedisLimiter) }}
}

// Provision resolves the URLs. It connects to nobody.
func (l *RedisLimiter) Provision(caddy.Context) error {
	if len(l.URLs) == 0 {
		return errors.New("limiter redis needs a server: write `limiter redis redis://localhost:6379`")
	}
	fingerprint := sha256.New()
	var urls []string
	for _, url := range l.URLs {
		resolved, err := secret.Resolve("limiter redis", url)
		if err != nil {
			return err
		}
		urls = append(urls, resolved.Reveal())
		fmt.Fprintf(fingerprint, "%q", resolved.Reveal())
	}
	target, err := redisgcra.ParseURLs(urls)
	if err != nil {
		return fmt.Errorf("limiter redis: %w", err)
	}
	part, err := l.errorPart()
	if err != nil {
		return err
	}
	l.options = redisgcra.Options{
		Error:  part,
		Target: target, Mode: redisgcra.Mode(l.Mode), Engine: redisgcra.Engine(l.Engine),
		Timeout: time.Duration(l.Timeout), OnFailure: redisgcra.OnFailure(l.OnFailure), Share: l.Share, Nodes: l.Nodes,
	}
	// The key is the whole identity, credentials and database included, and holds
	// none of it.
	if err := json.NewEncoder(fingerprint).Encode(l); err != nil {
		return err
	}
	l.key = pool.Key{Kind: "redis", Name: hex.EncodeToString(fingerprint.Sum(nil))}
	return nil
}

// errorPart is Error as a fraction, as redisgcra.Options has it.
func (l *RedisLimiter) errorPart() (float64, error) {
	if l.Error == "" {
		return 0, nil
	}
	digits, isPercent := strings.CutSuffix(l.Error, "%")
	percent, err := strconv.ParseFloat(digits, 64)
	switch {
	case err != nil || !isPercent || !(percent >= 0 && percent <= 50):
		return 0, fmt.Errorf("error %s: write a part of the burst from 0%% to 50%%, like 5%%", l.Error)
	case l.Mode != string(redisgcra.ModeBounded):
		return 0, errors.New("error is of the bounded mode: write `mode bounded`, the exact mode makes none")
	case percent == 0:
		return -1, nil
	}
	return percent / 100, nil
}

// UnmarshalCaddyfile reads the limiter. Syntax:
//
//	redis <url>... {
//	    mode       exact
//	    mode       bounded {
//	        error  <percent>
//	    }
//	    engine     redis_rate|native
//	    timeout    <duration>
//	    on_failure local|open|closed
//	    share      <fraction>
//	    nodes      <count>
//	}
func (l *RedisLimiter) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // limiter name
	l.URLs = d.RemainingArgs()
	if len(l.URLs) == 0 {
		return d.Err("limiter redis needs a server: write `limiter redis redis://localhost:6379`")
	}
	return caddyfiletext.Block(d, map[string]func() error{
		"mode": func() error {
			if err := caddyfiletext.OneOf(d, &l.Mode, string(redisgcra.ModeExact), string(redisgcra.ModeBounded)); err != nil {
				return err
			}
			err := caddyfiletext.Block(d, map[string]func() error{"error": func() error { return caddyfiletext.Word(d, &l.Error) }})
			if err == nil {
				_, err = l.errorPart()
			}
			if err != nil {
				return d.WrapErr(err)
			}
			return nil
		},
		"engine": func() error {
			return caddyfiletext.OneOf(d, &l.Engine, string(redisgcra.EngineRedisRate), string(redisgcra.EngineNative))
		},
		"on_failure": func() error {
			return caddyfiletext.OneOf(d, &l.OnFailure, string(redisgcra.FailLocal), string(redisgcra.FailOpen), string(redisgcra.FailClosed))
		},
		"timeout": func() error { return caddyfiletext.Duration(d, &l.Timeout) },
		"nodes":   func() error { return caddyfiletext.Number(d, &l.Nodes) },
		"share": func() error {
			var text string
			if err := caddyfiletext.Word(d, &text); err != nil {
				return err
			}
			share, err := strconv.ParseFloat(text, 64)
			if err != nil || !(share > 0 && share <= 1) {
				return d.Errf("share %s: write a fraction above 0 and up to 1, like 0.5", text)
			}
			l.Share = share
			return nil
		},
	})
}

// redisCounts is a pooled client.
type redisCounts struct{ *redisgcra.Limiter }

// Destruct closes the client, when requests of the old configuration are done.
func (c *redisCounts) Destruct() error {
	pool.CloseLater(c.Limiter)
	return nil
}

// Zone implements LimiterProvider. One client counts for all zones.
func (l *RedisLimiter) Zone(string) (ratelimit.Limiter, func(), error) {
	counts, release, err := pool.Acquire(l.key, func() (*redisCounts, error) {
		limiter, err := redisgcra.New(l.options)
		if err == nil {
			limiter.Observe(storeObserver(limiter))
		}
		return &redisCounts{limiter}, err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("limiter redis: %w", err)
	}
	return counts.Limiter, release, nil
}

// startPatience bounds the question whether Redis is there at the start, and
// startTries how often it is asked.
const (
	startPatience = 5 * time.Second
	startTries    = 3
)

// StartLimiter makes this gateway known to the others on the same Redis, and logs
// why Redis can't be asked if it can't. That ends no start: OnFailure decides.
func (l *RedisLimiter) StartLimiter() error {
	counts, ok := pool.Find[*redisCounts](l.key)
	if !ok {
		return nil // no zone uses it
	}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), startPatience)
		defer cancel()
		if err := ask(ctx, counts.Limiter); err != nil {
			pool.Log("limiter").Error("redis can't be asked at the start, on_failure decides until it can", zap.String("redis", l.options.Target.String()),
				zap.String("on_failure", string(counts.Health().OnFailure)), zap.String("why", redisgcra.Explain(err)))
		}
		counts.Join()
	}()
	return nil
}

// ask asks Redis, again where it did not answer in time: on a busy machine that may
// happen once.
func ask(ctx context.Context, l *redisgcra.Limiter) (err error) {
	for range startTries {
		if err = l.Check(ctx); !errors.Is(err, redisgcra.ErrTimeout) {
			return err
		}
	}
	return err
}

// Health implements LimiterProvider: that of the client, if a zone uses it.
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

// outageText says what becomes of requests while Redis can't be asked.
func outageText(h *redisgcra.Health) string {
	switch h.OnFailure {
	case redisgcra.FailClosed:
		return "limited requests get 503"
	case redisgcra.FailOpen:
		return "every request passes its limits"
	}
	return "this gateway alone grants " + strconv.FormatFloat(h.Share, 'g', 3, 64) + " of each limit"
}

// storeObserver counts what a limiter does with Redis.
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

// breakerChanged logs and emits that the breaker before a Redis has opened or
// closed. Its limiter outlives configurations, so the events of the one
// in force are looked up on every call.
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

// Interface guards.
var (
	_ gateway.LimiterProvider = (*RedisLimiter)(nil)
	_ gateway.LimiterStarter  = (*RedisLimiter)(nil)
	_ caddy.Provisioner       = (*RedisLimiter)(nil)
	_ caddyfile.Unmarshaler   = (*RedisLimiter)(nil)
)
