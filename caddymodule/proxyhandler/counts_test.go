package proxyhandler_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/ainative/portcullis/caddymodule/internal/caddyharness"
)

// inFlight returns the requests in flight of each upstream, as Caddy's admin
// endpoint shows them.
func inFlight(t testing.TB, c *caddyharness.Caddy) map[string]int {
	t.Helper()
	response, err := http.Get("http://" + c.Admin + "/reverse_proxy/upstreams")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var upstreams []struct {
		Address     string `json:"address"`
		NumRequests int    `json:"num_requests"`
	}
	if err := json.NewDecoder(response.Body).Decode(&upstreams); err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for _, u := range upstreams {
		counts[u.Address] = u.NumRequests
	}
	return counts
}

// Requests of both ways are counted in one place: where the admin endpoint,
// least_conn and max_requests look.
func TestRequestsAreCountedWhereCaddyCounts(t *testing.T) {
	release := make(chan struct{})
	slow := func(name string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/slow" {
				<-release
			}
			_, _ = io.WriteString(w, name)
		}
	}
	one, two := serveHTTP(t, slow("one")), serveHTTP(t, slow("two"))
	c := start(t, `
	handle /slow {
		gateway_proxy $ONE
	}
	handle /caddy {
		reverse_proxy $ONE $TWO {
			lb_policy least_conn
		}
	}
	handle /full {
		gateway_proxy $ONE {
			unhealthy_request_count 3
		}
	}
	handle {
		gateway_proxy $ONE $TWO {
			lb_policy least_conn
		}
	}`, "$ONE", one, "$TWO", two)

	var slowOnes sync.WaitGroup
	for range 3 {
		slowOnes.Go(func() {
			if got := c.Get("/slow"); got.Body != "one" || got.Header.Get("X-Way") != "fast|" {
				t.Errorf("got %q by %q", got.Body, got.Header.Get("X-Way"))
			}
		})
	}
	caddyharness.Eventually(t, "three requests in flight at the admin endpoint", func() bool { return inFlight(t, c)[one] == 3 })
	for _, path := range []string{"/", "/caddy"} {
		for range 10 {
			if got := c.Get(path); got.Body != "two" {
				t.Errorf("%s: got %q, want the upstream with fewer requests", path, got.Body)
			}
		}
	}
	if got := c.Get("/full"); got.Status != http.StatusServiceUnavailable {
		t.Errorf("got %d from an upstream that has its most requests, want 503", got.Status)
	}
	close(release)
	slowOnes.Wait()
	caddyharness.Eventually(t, "no request in flight", func() bool {
		counts := inFlight(t, c)
		return counts[one] == 0 && counts[two] == 0
	})
	if got := c.Get("/full"); got.Body != "one" {
		t.Errorf("got %d %q", got.Status, got.Body)
	}
}

// max_requests, which JSON only has, takes the fast way and holds there.
func TestMaxRequests(t *testing.T) {
	entered, release := make(chan struct{}, 1), make(chan struct{})
	up := serveHTTP(t, func(w http.ResponseWriter, _ *http.Request) {
		entered <- struct{}{}
		<-release
		_, _ = io.WriteString(w, "hello")
	})
	c := start(t, "\trespond ok")
	load := fmt.Sprintf(`{"admin": {"listen": %q, "config": {"persist": false}}, "apps": {"http": {"grace_period": "2s", "servers": {"s": {
		"listen": [%q], "automatic_https": {"disable": true}, "routes": [{"handle": [
			{"handler": "headers", "response": {"deferred": true, "set": {"X-Way": ["{http.gateway.proxy.way}"]}}},
			{"handler": "gateway_proxy", "upstreams": [{"dial": %q, "max_requests": 1}]}]}]}}}}}`, c.Admin, c.URL[len("http://"):], up)
	if err := caddy.Load([]byte(load), true); err != nil {
		t.Fatal(err)
	}
	first := make(chan caddyharness.Response, 1)
	go func() { first <- c.Get("/") }()
	<-entered
	if got := c.Get("/"); got.Status != http.StatusServiceUnavailable {
		t.Errorf("got %d, want 503", got.Status)
	}
	close(release)
	select {
	case got := <-first:
		if got.Body != "hello" || got.Header.Get("X-Way") != "fast" {
			t.Errorf("got %q by %q", got.Body, got.Header.Get("X-Way"))
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the first request has no answer")
	}
}
