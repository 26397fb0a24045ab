package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ainative/portcullis/caddymodule/internal/caddyharness"
)

// wantLimited checks a 429 of the contract.
func wantLimited(t *testing.T, got caddyharness.Response) {
	t.Helper()
	var body struct {
		Detail     string `json:"detail"`
		RetryAfter int    `json:"retry_after"`
	}
	if got.Status != http.StatusTooManyRequests {
		t.Fatalf("got %d %s, want 429", got.Status, got.Body)
	}
	if err := json.Unmarshal([]byte(got.Body), &body); err != nil {
		t.Fatal(err)
	}
	unit := "seconds"
	if body.RetryAfter == 1 {
		unit = "second"
	}
	if want := fmt.Sprintf("Rate limit exceeded. Try again in %d %s.", body.RetryAfter, unit); body.Detail != want || body.RetryAfter < 1 {
		t.Errorf("got %q with retry_after %d, want %q", body.Detail, body.RetryAfter, want)
	}
	if got.Header.Get("Retry-After") != strconv.Itoa(body.RetryAfter) {
		t.Errorf("got Retry-After %q, want %d", got.Header.Get("Retry-After"), body.RetryAfter)
	}
}

func TestLimitByTier(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions(`
		tier free 3/1h
		tier pro {
			limit 5/1h
			limit 100/1d
		}`), `
	gateway_errors
	gateway_auth
	gateway_limit {
		anonymous 2/1h
	}
	reverse_proxy $UPSTREAM`, "$UPSTREAM", up.addr())
	up.answer(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-RateLimit-Limit", "9999")
		w.Header().Set("RateLimit", `"theirs";r=1`)
		fmt.Fprint(w, "{}")
	})
	key := createKey(t, c, `"owner":"u1"`).APIKey

	for i := range 3 {
		// Tokens and keys of one owner count together.
		headers := []string{"Authorization", bearer(t)}
		if i == 1 {
			headers = []string{"X-API-Key", key}
		}
		got := c.Get("/", headers...)
		if got.Status != http.StatusOK {
			t.Fatalf("request %d: got %d, want 200", i+1, got.Status)
		}
		for name, want := range map[string]string{
			"RateLimit-Policy":      `"free";q=3;w=3600`,
			"X-RateLimit-Limit":     "3",
			"X-RateLimit-Remaining": strconv.Itoa(2 - i),
		} {
			if values := got.Header.Values(name); len(values) != 1 || values[0] != want {
				t.Errorf("request %d: got %s %q, want %q", i+1, name, values, want)
			}
		}
		if limit := got.Header.Values("RateLimit"); len(limit) != 1 || !strings.HasPrefix(limit[0], fmt.Sprintf(`"free";r=%d;t=`, 2-i)) {
			t.Errorf("request %d: got RateLimit %q", i+1, limit)
		}
		if got.Header.Get("Retry-After") != "" {
			t.Errorf("request %d: got Retry-After on a 200", i+1)
		}
	}
	for range 2 {
		got := c.Get("/", "X-API-Key", key)
		wantLimited(t, got)
		if got.Header.Get("X-RateLimit-Remaining") != "0" {
			t.Errorf("got remaining %q, want 0", got.Header.Get("X-RateLimit-Remaining"))
		}
	}
	// Another owner and another tier.
	for i := range 5 {
		got := c.Get("/", "Authorization", bearer(t, "sub", "u2", "tier", "pro"))
		if want := `"pro";q=5;w=3600, "pro-1d";q=100;w=86400`; got.Status != 200 || got.Header.Get("RateLimit-Policy") != want {
			t.Fatalf("request %d: got %d %q, want 200 %q", i+1, got.Status, got.Header.Get("RateLimit-Policy"), want)
		}
	}
	refused := c.Get("/", "Authorization", bearer(t, "sub", "u2", "tier", "pro"))
	wantLimited(t, refused)
	if limit := refused.Header.Get("RateLimit"); !strings.Contains(limit, `"pro-1d";r=95;`) {
		t.Errorf("a refused request was charged to the other limit: %s", limit)
	}
}

func TestLimitOptions(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions("tier free 100/1h"), `
	gateway_errors
	gateway_auth {
		optional
	}
	handle /anonymous {
		gateway_limit {
			zone anonymous
			anonymous 2/1h
		}
		reverse_proxy $UPSTREAM
	}
	handle /tenant {
		gateway_limit {
			zone tenant
			limit 2/1h
			by {http.request.header.X-Tenant}
		}
		reverse_proxy $UPSTREAM
	}
	handle /lenient {
		gateway_limit {
			zone lenient
			limit 5/1h
			by {http.request.header.X-Tenant}
			missing anonymous
			anonymous 1/1h
		}
		reverse_proxy $UPSTREAM
	}
	handle /cost {
		gateway_limit {
			zone cost
			limit 10/1h
			cost {http.request.header.X-Cost}
			by ip
		}
		reverse_proxy $UPSTREAM
	}
	handle /fixed {
		gateway_limit {
			zone fixed
			limit 10/1h
			cost 4
		}
		reverse_proxy $UPSTREAM
	}
	handle /credential {
		gateway_limit {
			zone credential
			limit 1/1h
			by credential
		}
		reverse_proxy $UPSTREAM
	}
	handle /hidden {
		gateway_limit {
			zone hidden
			limit 1/1h
			headers none
		}
		reverse_proxy $UPSTREAM
	}
	handle /retry {
		gateway_limit {
			zone retry
			limit 1/1h
			headers retry_after
		}
		reverse_proxy $UPSTREAM
	}
	handle /shadow {
		gateway_limit {
			zone shadow
			limit 1/1h
			shadow
		}
		reverse_proxy $UPSTREAM
	}
	handle /busy {
		gateway_limit {
			zone busy
			limit 1000/1h
			concurrency 1
		}
		reverse_proxy $UPSTREAM
	}
	handle /route {
		gateway_limit {
			zone route
			limit 3/1h
		}
		reverse_proxy $UPSTREAM
	}`, "$UPSTREAM", up.addr())
	user := []string{"Authorization", bearer(t)}
	statuses := func(path string, n int, headers ...string) []int {
		var list []int
		for range n {
			list = append(list, c.Get(path, headers...).Status)
		}
		return list
	}
	want := func(t *testing.T, got []int, want ...int) {
		t.Helper()
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}

	t.Run("anonymous by address", func(t *testing.T) {
		want(t, statuses("/anonymous", 3), 200, 200, 429)
		want(t, statuses("/anonymous", 1, user...), 200)
	})
	t.Run("by placeholder", func(t *testing.T) {
		want(t, statuses("/tenant", 3, "X-Tenant", "a"), 200, 200, 429)
		want(t, statuses("/tenant", 1, "X-Tenant", "b"), 200)
		want(t, statuses("/tenant", 1), 400)
	})
	t.Run("missing anonymous", func(t *testing.T) {
		want(t, statuses("/lenient", 2), 200, 429)
		want(t, statuses("/lenient", 1, "X-Tenant", "a"), 200)
	})
	t.Run("cost from a placeholder", func(t *testing.T) {
		want(t, statuses("/cost", 1, "X-Cost", "7"), 200)
		want(t, statuses("/cost", 1, "X-Cost", "4"), 429)
		want(t, statuses("/cost", 1, "X-Cost", "0"), 200)
		want(t, statuses("/cost", 1, "X-Cost", "3"), 200)
		want(t, statuses("/cost", 1), 429)
		want(t, statuses("/cost", 1, "X-Cost", "-5"), 400)
		want(t, statuses("/cost", 1, "X-Cost", "many"), 400)
		want(t, statuses("/cost", 1, "X-Cost", "1e3"), 400)
		want(t, statuses("/cost", 1, "X-Cost", "99999999999999999999"), 400)
		want(t, statuses("/cost", 1, "X-Cost", "11"), 400)
	})
	t.Run("fixed cost", func(t *testing.T) {
		want(t, statuses("/fixed", 3, user...), 200, 200, 429)
	})
	t.Run("by credential", func(t *testing.T) {
		one, two := createKey(t, c, `"owner":"o"`).APIKey, createKey(t, c, `"owner":"o"`).APIKey
		want(t, statuses("/credential", 2, "X-API-Key", one), 200, 429)
		want(t, statuses("/credential", 1, "X-API-Key", two), 200)
	})
	t.Run("headers none", func(t *testing.T) {
		first, second := c.Get("/hidden", user...), c.Get("/hidden", user...)
		wantLimited(t, second)
		for _, name := range []string{"RateLimit", "RateLimit-Policy", "X-RateLimit-Limit"} {
			if first.Header.Get(name)+second.Header.Get(name) != "" {
				t.Errorf("got %s", name)
			}
		}
	})
	t.Run("headers retry_after", func(t *testing.T) {
		first, second := c.Get("/retry", user...), c.Get("/retry", user...)
		wantLimited(t, second)
		if first.Header.Get("RateLimit")+second.Header.Get("RateLimit") != "" {
			t.Error("got RateLimit")
		}
	})
	t.Run("shadow", func(t *testing.T) {
		want(t, statuses("/shadow", 3, user...), 200, 200, 200)
	})
	t.Run("limits of the key come first", func(t *testing.T) {
		own := createKey(t, c, `"owner":"p","limits":["1/1h"]`).APIKey
		want(t, statuses("/route", 2, "X-API-Key", own), 200, 429)
	})
	t.Run("concurrency", func(t *testing.T) {
		entered, leave := make(chan struct{}), make(chan struct{})
		up.answer(func(w http.ResponseWriter, _ *http.Request) {
			entered <- struct{}{}
			<-leave
		})
		done := make(chan int)
		go func() {
			answer, _ := c.Try(http.MethodGet, "/busy", "", user...)
			done <- answer.Status
		}()
		<-entered
		wantLimited(t, c.Get("/busy", user...))
		close(leave)
		if status := <-done; status != 200 {
			t.Errorf("got %d, want 200", status)
		}
		up.answer(nil)
		want(t, statuses("/busy", 2, user...), 200, 200)
	})
}

// Limits that differ do not eat into each other, in one zone and for one owner.
func TestLimitsOfOneZone(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions("tier free 8/1h"), `
	gateway_errors
	gateway_auth
	gateway_limit
	handle /slow {
		gateway_limit {
			limit 2/1h
		}
		reverse_proxy $UPSTREAM
	}
	handle /burst {
		gateway_limit {
			limit 2/1h burst 1
		}
		reverse_proxy $UPSTREAM
	}
	handle {
		reverse_proxy $UPSTREAM
	}`, "$UPSTREAM", up.addr())
	auth := bearer(t)
	var got []int
	// What a route refuses the tier is not charged, so that three of its eight are used;
	// a smaller burst of the same period forgives nothing.
	for _, path := range []string{"/slow", "/slow", "/slow", "/burst", "/burst", "/slow", "/", "/", "/", "/", "/", "/"} {
		got = append(got, c.Get(path, "Authorization", auth).Status)
	}
	if want := []int{200, 200, 429, 200, 429, 429, 200, 200, 200, 200, 200, 429}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Of many requests at once exactly the burst passes.
func TestLimitIsExactUnderConcurrency(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions("tier free 50/1h"), "gateway_errors\n gateway_auth\n gateway_limit\n reverse_proxy $UPSTREAM", "$UPSTREAM", up.addr())
	auth := bearer(t)
	var passed, refused atomic.Int64
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			for range 20 {
				answer, err := c.Try(http.MethodGet, "/", "", "Authorization", auth)
				switch {
				case err == nil && answer.Status == 200:
					passed.Add(1)
				case err == nil && answer.Status == 429:
					refused.Add(1)
				}
			}
		})
	}
	all.Wait()
	if passed.Load() != 50 || refused.Load() != 150 {
		t.Errorf("got %d passed and %d refused, want 50 and 150", passed.Load(), refused.Load())
	}
}
