package caddymodule_test

import (
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ainative/portcullis/caddymodule/internal/caddyharness"
	"github.com/ainative/portcullis/plugins/decision"
)

const crowdSite = `
	gateway_errors
	gateway_auth
	gateway_limit
	reverse_proxy $UPSTREAM`

// startCrowd serves a tier of 20 a second, of which nothing is left.
func startCrowd(t *testing.T, limiter string) (c *caddyharness.Caddy, key string) {
	t.Helper()
	up := newUpstream(t)
	up.answerWith(200, "application/json", "{}")
	c = start(t, gatewayOptions(limiter+"\n tier free 20/1s"), crowdSite, "$UPSTREAM", up.addr())
	key = createKey(t, c, `"owner":"u1"`).APIKey
	for c.Get("/", "X-API-Key", key).Status == http.StatusOK {
	}
	return c, key
}

// Fifty threads of one owner that wait what they are told, in whole seconds, get
// through within three tries.
func TestCrowdGetsThrough(t *testing.T) {
	for _, tc := range []struct {
		name    string
		limiter func(t *testing.T) string
	}{
		{"memory", func(*testing.T) string { return "limiter memory" }},
		{"redis_rate", func(t *testing.T) string { url, _ := redisServer(t); return "limiter redis " + url }},
		{"native", func(t *testing.T) string {
			url, _ := redisServer(t)
			return "limiter redis " + url + " {\n engine native\n }"
		}},
		{"bounded", func(t *testing.T) string {
			url, _ := redisServer(t)
			return "limiter redis " + url + " {\n mode bounded\n }"
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, key := startCrowd(t, tc.limiter(t))
			var gaveUp, longest atomic.Int64
			var all sync.WaitGroup
			for range 50 {
				all.Go(func() {
					for range 3 {
						got, err := c.Try(http.MethodGet, "/", "", "X-API-Key", key)
						if err != nil {
							t.Error(err)
							return
						}
						if got.Status == http.StatusOK {
							return
						}
						seconds, err := strconv.ParseInt(got.Header.Get("Retry-After"), 10, 64)
						if got.Status != http.StatusTooManyRequests || err != nil {
							t.Errorf("got %d %v", got.Status, got.Header)
							return
						}
						for most := longest.Load(); seconds > most && !longest.CompareAndSwap(most, seconds); most = longest.Load() {
						}
						time.Sleep(time.Duration(seconds) * time.Second) //nolint:forbidigo // a client that waits as it is told is what is tested
					}
					gaveUp.Add(1)
				})
			}
			all.Wait()
			if n := gaveUp.Load(); n != 0 {
				t.Errorf("%d of 50 gave up after three tries", n)
			}
			if n := longest.Load(); n < 2 {
				t.Errorf("the longest wait that was told is %ds: the waits were not spread", n)
			}
		})
	}
}

// What is told is the same in the header, in the body and in what explain has, and a
// dry run is told of the first unit and moves nobody back.
func TestTurnsAreToldAlike(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions("tier free 6/1m"), crowdSite, "$UPSTREAM", up.addr())
	key := createKey(t, c, `"owner":"u1"`).APIKey
	for range 6 {
		c.Get("/", "X-API-Key", key)
	}
	dry := probe{http.MethodGet, c.URL + "/", []string{"X-API-Key", key}}
	for k := 1; k <= 4; k++ {
		if got := dry.check(t, c); got.Status != http.StatusTooManyRequests || got.Decision.RetryAfter < 1 || got.Decision.RetryAfter > 10 {
			t.Errorf("before refusal %d a dry run is answered %d and told %ds, want 429 and 10s at most", k, got.Status, got.Decision.RetryAfter)
		}
		got := c.Get("/", "X-API-Key", key)
		wantLimited(t, got)
		seconds, _ := strconv.Atoi(got.Header.Get("Retry-After"))
		// A unit comes back every 10 seconds, and the test takes some of the time.
		if seconds > 10*k || seconds <= 10*k-8 {
			t.Errorf("refusal %d is told %ds, want %d or a little less", k, seconds, 10*k)
		}
		var explained decision.Record
		record := admin(t, c, http.MethodGet, "/gateway/decisions/"+got.Header.Get("X-Request-Id"), "")
		if err := json.Unmarshal([]byte(record.Body), &explained); err != nil {
			t.Fatalf("%s: %v", record.Body, err)
		}
		if explained.RetryAfter != seconds || len(explained.Limits) != 1 {
			t.Fatalf("explain has %s, want a wait of %ds", record.Body, seconds)
		}
		if first, err := time.ParseDuration(explained.Limits[0].RetryAfter); err != nil || first > 10*time.Second {
			t.Errorf("explain says that the first unit is there in %q, want 10s at most", explained.Limits[0].RetryAfter)
		}
	}
}
