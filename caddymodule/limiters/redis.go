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

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/ainative/portcullis/caddymodule/gateway"
	"github.com/ainative/portcullis/caddymodule/internal/pool"
	"github.com/ainative/portcullis/caddymodule/internal/secret"
	"github.com/ainative/portcullis/plugins/ratelimit"
	"github.com/ainative/portcullis/plugins/ratelimit/redisgcra"
)

func init() { caddy.RegisterModule(RedisLimiter{}) }

// RedisLimiter counts in Redis, so that all nodes of a gateway share one limit. OnFailure
// says what happens while Redis does not answer; a caller waits no longer than Timeout.
type RedisLimiter struct {
	// URLs of the servers: `redis://`, `rediss://` for TLS, `unix://`. Several URLs are a
	// cluster, `sentinel://master@h1,h2,h3` asks sentinels. Placeholders {env.*}
	// and {file.*} are supported, for passwords.
	URLs []string `json:"urls,omitempty"`

	// `exact` never admits more than the limit. `bounded` makes fewer calls and may admit
	// more, up to a bound that the health endpoint shows. Default: `exact`.
	Mode string `json:"mode,omitempty"`

	// In the bounded mode, the part of a burst that all nodes together may admit on
	// credit, such as `5%`, up to 50%. `0%` gives no credit; the mode then saves calls only
	// by charging busy callers in advance. Default: `5%`.
	Error string `json:"error,omitempty"`

	// `redis_rate` shares its keys with other users of that package, `native` does not.
	// Default: `redis_rate`.
	Engine string `json:"engine,omitempty"`

	// How long a decision may wait for Redis. Default: 50ms.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// What happens while Redis does not answer: `local` counts in memory, with
	// Share of each limit; `open` admits everything; `closed` answers 503.
	// Default: `local`.
	OnFailure string `json:"on_failure,omitempty"`

	// The share of each limit that this node grants alone while Redis does not answer,
	// above 0 and up to 1. Default: 1/N, where N is how many gateways were last seen on
	// the same Redis; while none was seen, 1/Nodes if that is given, else 0.5.
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

// Provision resolves the URLs. It does not connect.
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
	// The key identifies the whole configuration, credentials included, and reveals none
	// of it.
	if err := json.NewEncoder(fingerprint).Encode(l); err != nil {
		return err
	}
	l.key = pool.Key{Kind: "redis", Name: hex.EncodeToString(fingerprint.Sum(nil))}
	return nil
}

// errorPart is Error as a fraction, in the form of redisgcra.Options: -1 for `0%`.
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

// redisCounts is a pooled client.
type redisCounts struct{ *redisgcra.Limiter }

// Destruct closes the client once requests of the old configuration are done.
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

// startTimeout is how long to wait for Redis at the start, and startTries how often to
// try.
const (
	startTimeout = 5 * time.Second
	startTries   = 3
)

// StartLimiter announces this gateway to the others on the same Redis. If Redis can't be
// asked, it logs the cause and the start goes on: OnFailure decides.
func (l *RedisLimiter) StartLimiter() error {
	counts, ok := pool.Find[*redisCounts](l.key)
	if !ok {
		return nil // no zone uses it
	}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
		defer cancel()
		if err := ask(ctx, counts.Limiter); err != nil {
			pool.Log("limiter").Error("redis can't be asked at the start, on_failure decides until it can", zap.String("redis", l.options.Target.String()),
				zap.String("on_failure", string(counts.Health().OnFailure)), zap.String("why", redisgcra.Explain(err)))
		}
		counts.Join()
	}()
	return nil
}

// ask checks that Redis answers. It tries again after a timeout, which may happen once on
// a busy machine.
func ask(ctx context.Context, l *redisgcra.Limiter) (err error) {
	for range startTries {
		if err = l.Check(ctx); !errors.Is(err, redisgcra.ErrTimeout) {
			return err
		}
	}
	return err
}

// Interface guards.
var (
	_ gateway.LimiterProvider = (*RedisLimiter)(nil)
	_ gateway.LimiterStarter  = (*RedisLimiter)(nil)
	_ caddy.Provisioner       = (*RedisLimiter)(nil)
)
