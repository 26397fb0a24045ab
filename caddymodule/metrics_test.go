package caddymodule_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/ainative/portcullis/caddymodule/internal/caddyharness"
)

// scrape reads Caddy's own /metrics: the value of each series of the gateway.
func scrape(t testing.TB, c *caddyharness.Caddy) map[string]float64 {
	t.Helper()
	got := admin(t, c, http.MethodGet, "/metrics", "")
	if got.Status != http.StatusOK {
		t.Fatalf("got %d %s", got.Status, got.Body)
	}
	series := map[string]float64{}
	for line := range strings.Lines(got.Body) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && strings.HasPrefix(name, "caddy_gateway_") {
			number, err := strconv.ParseFloat(value, 64)
			if err != nil {
				t.Fatal(err)
			}
			series[name] = number
		}
	}
	return series
}

func TestMetrics(t *testing.T) {
	up := newUpstream(t)
	up.answer(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/leak":
			w.WriteHeader(http.StatusInternalServerError)
			fmt.Fprint(w, `{"detail":"Traceback (most recent call last):\n  File \"/srv/app.py\", line 1"}`)
		case "/house":
			w.WriteHeader(http.StatusConflict)
			fmt.Fprint(w, `{"detail":"taken"}`)
		}
	})
	options := gatewayOptions("tier free 1000/1h\n tier tiny 1/1h")
	site := `
	gateway_errors
	@guarded not path /open /gone
	gateway_auth @guarded {
		failures 2/1h
	}
	gateway_auth /open {
		optional
	}
	gateway_roles /admin ADMIN
	gateway_roles /shadow ADMIN {
		shadow
	}
	gateway_limit @guarded
	@routed not path /gone
	reverse_proxy @routed $UPSTREAM`
	c := start(t, options, site, "$UPSTREAM", up.addr())
	key := createKey(t, c, `"owner":"u1"`)
	gone := createKey(t, c, `"owner":"u1"`)
	admin(t, c, http.MethodDelete, "/gateway/keys/"+gone.ID, "")
	before := scrape(t, c)
	tiny := bearer(t, "sub", "u2", "tier", "tiny")
	auth := bearer(t)
	for range 100 {
		c.Get("/", "Authorization", auth)
	}
	for range 2 {
		c.Get("/", "X-API-Key", key.APIKey)
		c.Get("/", "Authorization", tiny)
	}
	c.Get("/open")
	c.Get("/admin", "Authorization", auth)
	c.Get("/shadow", "Authorization", auth)
	c.Get("/leak", "Authorization", auth)
	c.Get("/house", "Authorization", auth)
	c.Get("/gone")
	c.Get("/")
	for range 3 {
		c.Get("/", "X-API-Key", gone.APIKey)
	}
	requests := func(policy, result, reason string) string {
		return fmt.Sprintf(`caddy_gateway_requests_total{policy=%q,reason=%q,result=%q}`, policy, reason, result)
	}
	grown := map[string]float64{
		requests("gateway_auth", "allowed", ""):                  108,
		requests("gateway_auth", "allowed", "anonymous"):         1,
		requests("gateway_auth", "refused", "no_credential"):     1,
		requests("gateway_auth", "refused", "key_revoked"):       2,
		requests("gateway_auth", "refused", "too_many_failures"): 1,
		requests("gateway_roles", "refused", "role_missing"):     1,
		requests("gateway_roles", "shadow", "role_missing"):      1,
		requests("gateway_limit", "allowed", ""):                 106,
		requests("gateway_limit", "refused", "rate_limited"):     1,

		`caddy_gateway_error_responses_total{class="4xx",source="gateway"}`:         6,
		`caddy_gateway_error_responses_total{class="4xx",source="router"}`:          1,
		`caddy_gateway_error_responses_total{class="4xx",source="upstream"}`:        1,
		`caddy_gateway_error_responses_total{class="5xx",source="upstream"}`:        1,
		`caddy_gateway_error_bodies_total{outcome="passed",reader="fastapi"}`:       1,
		`caddy_gateway_cache_hits_total{cache="tokens"}`:                            104,
		`caddy_gateway_cache_misses_total{cache="tokens"}`:                          2,
		`caddy_gateway_cache_misses_total{cache="keys"}`:                            2,
		`caddy_gateway_cache_hits_total{cache="keys"}`:                              3,
		`caddy_gateway_keys{state="active"}`:                                        0,
		`caddy_gateway_events_total{event="gateway.key_created",outcome="unheard"}`: 0,
	}
	check := func(when string, now map[string]float64) {
		t.Helper()
		for name, want := range grown {
			value, there := now[name]
			if got := value - before[name]; !there || got != want {
				t.Errorf("%s: %s grew by %v (there %v), want %v", when, name, got, there, want)
			}
		}
	}
	now := scrape(t, c)
	check("before a reload", now)
	for name, want := range map[string]float64{
		`caddy_gateway_keys{state="active"}`: 1, `caddy_gateway_keys{state="revoked"}`: 1, `caddy_gateway_keys{state="expired"}`: 0,
		`caddy_gateway_issuer_usable{issuer="main"}`: 1, `caddy_gateway_revocations`: 0,
		`caddy_gateway_cache_entries{cache="tokens"}`: 2,
	} {
		if got, there := now[name]; !there || got != want {
			t.Errorf("%s is %v (there %v), want %v", name, got, there, want)
		}
	}
	// A dry run is no request.
	for _, path := range []string{"/", "/gone", "/admin"} {
		got := admin(t, c, http.MethodPost, "/gateway/check", fmt.Sprintf(`{"url":%q}`, c.URL+path))
		if got.Status != http.StatusOK {
			t.Fatal(got.Body)
		}
	}
	check("after dry runs", scrape(t, c))
	var leaks, timed float64
	for name, value := range now {
		if strings.HasPrefix(name, "caddy_gateway_error_leaks_total{") {
			leaks += value - before[name]
		}
		if strings.HasPrefix(name, "caddy_gateway_decision_duration_seconds_count{") {
			timed += value - before[name]
		}
	}
	if leaks != 1 {
		t.Errorf("%v leaks are counted, want 1", leaks)
	}
	if timed == 0 || timed > 150 {
		t.Errorf("%v decisions of some 220 are timed, want one in 16", timed)
	}
	if err := c.Reload(options + "\nhttp://127.0.0.1:$PORT {\n" + site + "\n respond x\n}\n"); err != nil {
		t.Fatal(err)
	}
	check("after a reload", scrape(t, c))
}

// No label is a caller, a key or an address, however many come.
func TestMetricsAreBounded(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions(""), "gateway_errors\n gateway_auth {\n failures off\n}\n gateway_limit\n reverse_proxy $UPSTREAM", "$UPSTREAM", up.addr())
	ask := func(from, to int) {
		for i := from; i < to; i++ {
			subject := "caller" + strconv.Itoa(i)
			c.Get("/path"+strconv.Itoa(i), "Authorization", bearer(t, "sub", subject, "tier", "tier"+subject, "role", "role"+subject))
			c.Get("/", "X-API-Key", "sk_live_"+subject)
			c.Get("/", "Authorization", bearer(t, "iss", "https://"+subject))
		}
	}
	ask(0, 5)
	first := scrape(t, c)
	ask(5, 50)
	if then := scrape(t, c); len(then) != len(first) {
		t.Errorf("%d series became %d with more callers", len(first), len(then))
	}
	for name := range first {
		if regexp.MustCompile(`caller|127\.0\.0\.1|sk_live|path\d`).MatchString(name) {
			t.Errorf("a label tells of a caller: %s", name)
		}
	}
}
