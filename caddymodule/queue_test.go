package caddymodule_test

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ainative/portcullis/caddymodule/internal/caddyharness"
)

// The upstream never has more under way than it may, whoever asks, and everybody who can
// wait is served: no 429 for the load of others.
func TestUpstreamConcurrency(t *testing.T) {
	up := newUpstream(t)
	var underWay, most atomic.Int64
	up.answer(func(w http.ResponseWriter, _ *http.Request) {
		for now, seen := underWay.Add(1), most.Load(); now > seen && !most.CompareAndSwap(seen, now); seen = most.Load() {
		}
		w.WriteHeader(http.StatusOK)
		underWay.Add(-1)
	})
	c := start(t, gatewayOptions("tier free 10000/1m"), `
		gateway_errors
		gateway_auth
		gateway_limit {
			upstream_concurrency 3 1m
		}
		reverse_proxy $UPSTREAM`, "$UPSTREAM", up.addr())
	var group sync.WaitGroup
	statuses := make(chan int, 40)
	for i := range 40 {
		auth := bearer(t, "sub", "u"+string(rune('a'+i%10)))
		group.Go(func() {
			got, err := c.Try("GET", "/", "", "Authorization", auth)
			if err != nil {
				t.Errorf("request %d: %v", i, err)
			}
			statuses <- got.Status
		})
	}
	group.Wait()
	close(statuses)
	for status := range statuses {
		if status != http.StatusOK {
			t.Errorf("got %d, want 200", status)
		}
	}
	if most.Load() > 3 {
		t.Errorf("%d were under way at once, want 3 at most", most.Load())
	}
}

// A request that gets no place is 503, costs nothing, and a shadow or a dry run takes none.
func TestUpstreamBusyCostsNothing(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions(""), `
		gateway_errors
		gateway_limit {
			zone bounded
			limit 10/1h
			by ip
			upstream_concurrency 1 1ms
		}
		reverse_proxy $UPSTREAM`, "$UPSTREAM", up.addr())
	got := busy(c, up, "/")
	wantError(t, got, http.StatusServiceUnavailable, "Service unavailable")
	if got.Header.Get("Retry-After") != "5" {
		t.Errorf("got Retry-After %q", got.Header.Get("Retry-After"))
	}
	after := c.Get("/")
	// One under way, the busy one given back, and this one.
	if after.Status != http.StatusOK || after.Header.Get("X-RateLimit-Remaining") != "8" {
		t.Errorf("got %d with %q left, want 200 with 8", after.Status, after.Header.Get("X-RateLimit-Remaining"))
	}
	var checked caddyharness.Response
	up.answer(func(w http.ResponseWriter, _ *http.Request) {
		checked = admin(t, c, "POST", "/gateway/check", `{"url":"`+c.URL+`/"}`)
		w.WriteHeader(http.StatusOK)
	})
	c.Get("/")
	if checked.Status != http.StatusOK {
		t.Errorf("a dry run while the place is taken: got %d %s", checked.Status, checked.Body)
	}
}

// A shared cache must not keep an answer to a caller with an API key: it does not know
// that X-API-Key is a credential.
func TestAnswersToKeysArePrivate(t *testing.T) {
	up := newUpstream(t)
	says := ""
	up.answer(func(w http.ResponseWriter, _ *http.Request) {
		if says != "" {
			w.Header().Set("Cache-Control", says)
		}
		w.WriteHeader(http.StatusOK)
	})
	for name, site := range map[string]string{
		"all":       "gateway_errors\ngateway_auth\ngateway_limit\nreverse_proxy $UPSTREAM",
		"auth only": "gateway_auth\nreverse_proxy $UPSTREAM",
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t, gatewayOptions(""), site, "$UPSTREAM", up.addr())
			key := createKey(t, c, `"owner":"u1","name":"k"`).APIKey
			for _, tc := range []struct{ name, header, value, says, want string }{
				{"by X-API-Key", "X-API-Key", key, "", "private"},
				{"by Authorization", "Authorization", "Bearer " + key, "", ""},
				{"a token", "Authorization", bearer(t), "", ""},
				{"the upstream decides", "X-API-Key", key, "public, max-age=60", "public, max-age=60"},
			} {
				says = tc.says
				if got := c.Get("/", tc.header, tc.value); got.Status != http.StatusOK || got.Header.Get("Cache-Control") != tc.want {
					t.Errorf("%s: got %d with Cache-Control %q, want %q", tc.name, got.Status, got.Header.Get("Cache-Control"), tc.want)
				}
			}
		})
	}
}
