package caddymodule_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/ainative/portcullis/caddymodule/gateway"
	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/ratelimit"
	"github.com/ainative/portcullis/plugins/ratelimit/gcra"
)

func init() { caddy.RegisterModule(new(otherLimiter)) }

// otherLimiter is a limiter that somebody else wrote. It counts in memory; its zone
// `broken` can't decide.
type otherLimiter struct{}

// others is what otherLimiter has for all configurations.
var others struct {
	mu       sync.Mutex
	zones    map[string]ratelimit.Limiter
	held     int
	starts   int
	problem  *gateway.Problem
	undecide atomic.Int64
}

// Interface guards: all that a limiter of somebody else needs is exported.
var (
	_ gateway.LimiterProvider = (*otherLimiter)(nil)
	_ gateway.LimiterStarter  = (*otherLimiter)(nil)
)

func (*otherLimiter) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "gateway.limiters.test_other", New: func() caddy.Module { return new(otherLimiter) }}
}

func (*otherLimiter) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	return nil
}

func (*otherLimiter) Zone(name string) (ratelimit.Limiter, func(), error) {
	others.mu.Lock()
	defer others.mu.Unlock()
	if name == "refused" {
		return nil, nil, errors.New("no such zone here")
	}
	if others.zones == nil {
		others.zones = map[string]ratelimit.Limiter{}
	}
	if others.zones[name] == nil {
		others.zones[name] = plain{gcra.New(gcra.Options{})}
		if name == "broken" {
			others.zones[name] = brokenLimiter{}
		}
	}
	others.held++
	return others.zones[name], func() {
		others.mu.Lock()
		defer others.mu.Unlock()
		others.held--
	}, nil
}

func (*otherLimiter) StartLimiter() error {
	others.mu.Lock()
	defer others.mu.Unlock()
	others.starts++
	return nil
}

func (*otherLimiter) Health(context.Context) gateway.LimiterHealth {
	others.mu.Lock()
	defer others.mu.Unlock()
	return gateway.LimiterHealth{Name: "other", Problem: others.problem}
}

// plain has the methods of a limiter and no others.
type plain struct{ ratelimit.Limiter }

// brokenLimiter can't decide.
type brokenLimiter struct{ ratelimit.Limiter }

func (brokenLimiter) Take(context.Context, ratelimit.Key, []ratelimit.Limit, int64, []ratelimit.Row) (ratelimit.Decision, error) {
	others.undecide.Add(1)
	return ratelimit.Decision{}, &plugins.Unavailable{Reason: plugins.ReasonLimiterUnavailable, Err: errors.New("broken")}
}

// A limiter of somebody else counts, is started, asked for its health and given
// back.
func TestLimiterOfSomebodyElse(t *testing.T) {
	up := newUpstream(t)
	site := `
	gateway_errors
	gateway_auth
	handle /broken {
		gateway_limit {
			zone before
			limit 10/1h
		}
		gateway_limit {
			zone broken
			limit 10/1h
		}
		reverse_proxy $UPSTREAM
	}
	handle /before {
		gateway_limit {
			zone before
			limit 10/1h
			cost 0
		}
		reverse_proxy $UPSTREAM
	}
	handle {
		gateway_limit
		reverse_proxy $UPSTREAM
	}`
	options := gatewayOptions("limiter test_other\n tier free 2/1d")
	c := start(t, options, site, "$UPSTREAM", up.addr())
	auth := bearer(t)
	for i, want := range []int{200, 200, 429} {
		if got := c.Get("/", "Authorization", auth); got.Status != want {
			t.Errorf("request %d: got %d, want %d", i+1, got.Status, want)
		}
	}
	if got := admin(t, c, http.MethodGet, "/gateway/limits/default/u1", ""); !strings.Contains(got.Body, `"remaining":0`) {
		t.Errorf("usage = %s, want nothing left", got.Body)
	}
	if got := admin(t, c, http.MethodDelete, "/gateway/limits/default/u1", ""); got.Status != 200 {
		t.Errorf("reset: %d %s", got.Status, got.Body)
	}
	if got := c.Get("/", "Authorization", auth); got.Status != 200 {
		t.Errorf("after the reset: got %d, want 200", got.Status)
	}

	// What could not be decided costs nothing in the limits before it.
	for range 3 {
		wantError(t, c.Get("/broken", "Authorization", auth), http.StatusServiceUnavailable, "Service unavailable")
	}
	if got := c.Get("/before", "Authorization", auth).Header.Get("X-RateLimit-Remaining"); got != "10" || others.undecide.Load() != 3 {
		t.Errorf("%s of 10 are left after %d failures of the limit behind, want all", got, others.undecide.Load())
	}

	health := func() string { return admin(t, c, http.MethodGet, "/gateway/health", "").Body }
	if got := health(); !strings.Contains(got, `"status":"ok"`) || !strings.Contains(got, `"name":"other"`) {
		t.Errorf("health = %s, want ok", got)
	}
	since := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	for _, undecided := range []bool{false, true} {
		others.mu.Lock()
		others.problem = &gateway.Problem{Undecided: undecided, Why: "it has a cold", Since: since}
		others.mu.Unlock()
		want, code := `"status":"degraded"`, 200
		if undecided {
			want, code = `"status":"failing"`, 503
		}
		got := admin(t, c, http.MethodGet, "/gateway/health", "")
		if got.Status != code || !strings.Contains(got.Body, want) || !strings.Contains(got.Body, "it has a cold") || !strings.Contains(got.Body, "2026-02-03T04:05:06Z") {
			t.Errorf("health = %d %s, want %d, %s, why and since", got.Status, got.Body, code, want)
		}
	}
	others.mu.Lock()
	others.problem = nil
	starts := others.starts
	others.mu.Unlock()
	if starts != 1 {
		t.Errorf("it was started %d times, want once", starts)
	}

	// A reload keeps the counts; another limiter gives all of them back.
	text := "\nhttp://127.0.0.1:$PORT {\n" + site + "\n}\n"
	if err := c.Reload(options + text + "# again"); err != nil {
		t.Fatal(err)
	}
	if got := c.Get("/", "Authorization", auth).Header.Get("X-RateLimit-Remaining"); got != "0" {
		t.Errorf("%s are left after the reload, want the counts to go on", got)
	}
	if err := c.Reload(gatewayOptions("tier free 2/1d") + text); err != nil {
		t.Fatal(err)
	}
	until(t, "giving back", func() bool {
		others.mu.Lock()
		defer others.mu.Unlock()
		return others.held == 0
	})
	err := c.Reload(options + "\nhttp://127.0.0.1:$PORT {\n gateway_limit {\n zone refused\n }\n}\n")
	if err == nil || !strings.Contains(err.Error(), "zone refused: no such zone here") {
		t.Errorf("err = %v, want what the limiter said", err)
	}
}
