//go:build unix

package caddymodule_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ainative/portcullis/caddymodule/internal/caddyharness"
	"github.com/ainative/portcullis/plugins/store/postgres/postgrestest"
)

// wantHealth fails unless the admin endpoint and the command agree that the gateway
// is so, the command ends accordingly, and every text is in the reason.
func wantHealth(t *testing.T, c *caddyharness.Caddy, status string, texts ...string) {
	t.Helper()
	var health struct {
		Status   string
		Detail   string
		Problems []struct {
			Part, Status, Why string
			Since             *string
		}
	}
	began := time.Now()
	answer := admin(t, c, http.MethodGet, "/gateway/health", "")
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the health took %s", took)
	}
	if err := json.Unmarshal([]byte(answer.Body), &health); err != nil {
		t.Fatalf("%v: %s", err, answer.Body)
	}
	want := map[string]int{"ok": 200, "degraded": 200, "failing": 503}[status]
	if health.Status != status || answer.Status != want {
		t.Errorf("health is %d %s, want %d %s: %s", answer.Status, health.Status, want, status, answer.Body)
	}
	if (status == "ok") != (len(health.Problems) == 0) || (status == "failing") != (health.Detail != "") {
		t.Errorf("health is %s with %d problems and the detail %q", health.Status, len(health.Problems), health.Detail)
	}
	out, errOut, err := command(t, "gateway", "--address", c.Admin, "health")
	if (err != nil) != (status == "failing") || !strings.HasPrefix(out, status+": ") {
		t.Errorf("the command ends with %v and prints %s%s, want it to fail where the gateway does", err, out, errOut)
	}
	asJSON, _, err := command(t, "gateway", "--address", c.Admin, "--json", "health")
	if (err != nil) != (status == "failing") || !strings.Contains(asJSON, `"status": "`+status+`"`) {
		t.Errorf("with --json it ends with %v and prints %s", err, asJSON)
	}
	for _, text := range texts {
		for what, got := range map[string]string{"the endpoint": answer.Body, "the command": out, "the command's JSON": asJSON} {
			if !strings.Contains(got, text) {
				t.Errorf("%s does not say %q: %s", what, text, got)
			}
		}
	}
	for _, p := range health.Problems {
		if p.Since == nil {
			continue
		}
		since, err := time.Parse(time.RFC3339, *p.Since)
		if err != nil || time.Since(since) > time.Minute || time.Until(since) > time.Second {
			t.Errorf("the problem is since %s, %v", *p.Since, err)
		}
	}
}

// sinceIsSaid fails where a problem does not say since when.
func sinceIsSaid(t *testing.T, c *caddyharness.Caddy) {
	t.Helper()
	if got := admin(t, c, http.MethodGet, "/gateway/health", "").Body; strings.Contains(got, `"since":null`) {
		t.Errorf("health = %s, want it to say since when", got)
	}
}

func TestHealthWithoutTheDatabase(t *testing.T) {
	srv := postgrestest.Start(t)
	t.Setenv("TEST_DATABASE", srv.URL(srv.NewDatabase(t)))
	up := newUpstream(t)
	c := start(t, onPostgres("statement_timeout 1s"), apiSite, "$UPSTREAM", up.addr())
	one, two, unused := createKey(t, c, `"owner":"u1"`), createKey(t, c, `"owner":"u2"`), createKey(t, c, `"owner":"u3"`)
	wantHealth(t, c, "ok")

	// Nothing can be decided: no key was used yet.
	thaw := srv.Freeze()
	wantHealth(t, c, "failing", "every API key gets 503")
	sinceIsSaid(t, c)
	if got := statusOf(c, "/", "X-API-Key", one.APIKey); got != 503 {
		t.Errorf("a key that was never used, with a frozen database: got %d, want 503", got)
	}
	thaw()
	caddyharness.Eventually(t, "the state of health", func() bool {
		return admin(t, c, http.MethodGet, "/gateway/health", "").Status == 200 && statusOf(c, "/", "X-API-Key", one.APIKey) == 200
	})
	wantHealth(t, c, "ok")

	// Two keys that have been used go on working, and nothing was refused yet.
	if got := statusOf(c, "/", "X-API-Key", two.APIKey); got != 200 {
		t.Fatalf("got %d, want 200", got)
	}
	srv.Stop(syscall.SIGKILL)
	for _, key := range []madeKey{one, two} {
		if got := statusOf(c, "/", "X-API-Key", key.APIKey); got != 200 {
			t.Errorf("a key that was used before: got %d, want 200", got)
		}
	}
	wantHealth(t, c, "degraded", "API keys that were used in the last five minutes")
	sinceIsSaid(t, c)
	// One request gets 503: from then on it fails.
	if got := statusOf(c, "/", "X-API-Key", unused.APIKey); got != 503 {
		t.Errorf("a key that was not used before: got %d, want 503", got)
	}
	wantHealth(t, c, "failing", "API keys that were not used in the last five minutes get 503")
	if err := srv.Run(); err != nil {
		t.Fatal(err)
	}
	caddyharness.Eventually(t, "the state of health", func() bool { return admin(t, c, http.MethodGet, "/gateway/health", "").Status == 200 })
	wantHealth(t, c, "ok")
}

// Two keys are made, used once, and two seconds later the database is killed. In
// between the gateway hears of its own changes.
func TestDatabaseDiesSoonAfterKeysWereMade(t *testing.T) {
	srv := postgrestest.Start(t)
	database := srv.NewDatabase(t)
	t.Setenv("TEST_DATABASE", srv.URL(database))
	up := newUpstream(t)
	c := start(t, onPostgres("statement_timeout 1s"), apiSite, "$UPSTREAM", up.addr())
	one, two := createKey(t, c, `"owner":"u1"`), createKey(t, c, `"owner":"u2"`)
	revoked := createKey(t, c, `"owner":"u3"`)
	keys := []string{one.APIKey, two.APIKey}
	for _, key := range append(keys, revoked.APIKey) {
		if got := statusOf(c, "/", "X-API-Key", key); got != 200 {
			t.Fatalf("got %d, want 200", got)
		}
	}
	// Another process revokes one.
	if _, err := srv.SQL(database, "UPDATE api_keys SET revoked_at = 1 WHERE owner = 'u3'"); err != nil {
		t.Fatal(err)
	}
	caddyharness.Eventually(t, "a revoked key is refused", func() bool { return statusOf(c, "/", "X-API-Key", revoked.APIKey) == 401 })
	<-time.After(2 * time.Second) // as it was reported: the change has long been heard of
	srv.Stop(syscall.SIGKILL)
	for range 3 {
		for _, key := range keys {
			if got := statusOf(c, "/", "X-API-Key", key); got != 200 {
				t.Errorf("a key that was used before: got %d, want 200", got)
			}
		}
	}
	if got := statusOf(c, "/", "X-API-Key", revoked.APIKey); got != 401 {
		t.Errorf("the revoked key: got %d, want 401", got)
	}
}

func TestHealthWithoutTheFile(t *testing.T) {
	up := newUpstream(t)
	for _, tc := range []struct {
		name string
		harm func(t *testing.T, path string) (mend func())
		want string
	}{
		{"taken away", func(t *testing.T, path string) func() {
			if err := os.Rename(path, path+".away"); err != nil {
				t.Fatal(err)
			}
			return func() { _ = os.Rename(path+".away", path) }
		}, "its file is gone"},
		{"unreadable", func(t *testing.T, path string) func() {
			if os.Getuid() == 0 {
				t.Skip("root reads everything")
			}
			if err := os.Chmod(path, 0); err != nil {
				t.Fatal(err)
			}
			return func() { _ = os.Chmod(path, 0o600) }
		}, "writable"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := start(t, gatewayOptions(""), apiSite, "$UPSTREAM", up.addr())
			wantHealth(t, c, "ok")
			mend := tc.harm(t, filepath.Join(c.Dir, "gateway.db"))
			wantHealth(t, c, "failing", tc.want)
			mend()
			wantHealth(t, c, "ok")
		})
	}
}

const limitedSite = "gateway_errors\n gateway_auth\n gateway_limit\n reverse_proxy $UPSTREAM"

func TestHealthWithoutRedis(t *testing.T) {
	up := newUpstream(t)
	for _, tc := range []struct {
		onFailure, status, why string
		request                int
	}{
		{"closed", "failing", "limited requests get 503", 503},
		{"local", "degraded", "this gateway alone grants 1 of each limit", 200},
		{"open", "degraded", "every request passes its limits", 200},
	} {
		t.Run(tc.onFailure, func(t *testing.T) {
			redis := startRedis(t)
			c := start(t, gatewayOptions("limiter redis redis://"+redis.addr()+" {\n on_failure "+tc.onFailure+"\n timeout 500ms\n }\n tier free 100/1h"),
				limitedSite, "$UPSTREAM", up.addr())
			auth := bearer(t)
			if got := statusOf(c, "/", "Authorization", auth); got != 200 {
				t.Fatalf("got %d, want 200", got)
			}
			wantHealth(t, c, "ok")
			// It is asked: nobody else has noticed yet.
			redis.kill()
			wantHealth(t, c, tc.status, tc.why, "connection refused")
			for range 6 {
				if got := statusOf(c, "/", "Authorization", auth); got != tc.request {
					t.Errorf("got %d, want %d", got, tc.request)
				}
			}
			wantHealth(t, c, tc.status, tc.why, "connection refused")
			sinceIsSaid(t, c)
			redis.start()
			until(t, "closing the breaker", func() bool {
				return strings.Contains(admin(t, c, http.MethodGet, "/gateway/health", "").Body, `"breaker":"closed"`)
			})
			wantHealth(t, c, "ok")
			redis.signal(syscall.SIGSTOP)
			wantHealth(t, c, tc.status, tc.why, "did not answer in time")
			redis.signal(syscall.SIGCONT)
		})
	}
}

// What is wrong with the address is named in the log at the start, in the health and
// in the log of requests, with what to do.
func TestWrongRedisIsNamed(t *testing.T) {
	redis := startRedis(t, "--requirepass", "right")
	up := newUpstream(t)
	for _, tc := range []struct {
		name, user, path string
		want             []string
	}{
		{"wrong password", ":wrong@", "", []string{"WRONGPASS", "correct the user or password"}},
		{"no password", "", "", []string{"NOAUTH", "wants a password"}},
		{"no such database", ":right@", "/99", []string{"DB index is out of range", "correct the number"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			log := filepath.Join(t.TempDir(), "log")
			target := &url.URL{Scheme: "redis", Host: redis.addr(), Path: tc.path}
			text := strings.Replace(target.String(), "redis://", "redis://"+tc.user, 1)
			options := strings.Replace(gatewayOptions("limiter redis "+text+" {\n on_failure closed\n timeout 1s\n }"), "{",
				"{\n log {\n output file "+log+"\n }", 1)
			c := start(t, options, limitedSite, "$UPSTREAM", up.addr())
			until(t, "saying so at the start", func() bool {
				written, _ := os.ReadFile(log)
				return strings.Contains(string(written), tc.want[0])
			})
			wantHealth(t, c, "failing", tc.want...)
			for range 6 {
				if got := statusOf(c, "/", "Authorization", bearer(t)); got != 503 {
					t.Errorf("got %d, want 503", got)
				}
			}
			written, err := os.ReadFile(log)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(written), "another question") || strings.Contains(string(written), ":wrong") {
				t.Errorf("the log says\n%s", written)
			}
		})
	}
}

// A breaker that opens and one that closes are a line in the log each, and one event,
// however many requests there are.
func TestBreakerIsToldOfOnce(t *testing.T) {
	redis := startRedis(t)
	up := newUpstream(t)
	log := filepath.Join(t.TempDir(), "log")
	options := strings.Replace(gatewayOptions("limiter redis redis://"+redis.addr()+" {\n timeout 250ms\n }\n tier free 100000/1h"), "{",
		"{\n log {\n output file "+log+"\n }\n "+listening, 1)
	c := start(t, options, limitedSite, "$UPSTREAM", up.addr())
	forgetEvents()
	auth := bearer(t)
	count := func(text string) int {
		written, _ := os.ReadFile(log)
		return strings.Count(string(written), text)
	}
	const opened, closed = "redis can't be asked, on_failure decides until it can", "redis answers again"
	for turn := 1; turn <= 2; turn++ {
		redis.kill()
		for range 30 {
			c.Get("/", "Authorization", auth)
		}
		until(t, "telling of the end", func() bool { return count(opened) >= turn })
		redis.start()
		until(t, "telling of the return", func() bool { return count(closed) >= turn })
		for range 10 {
			c.Get("/", "Authorization", auth)
		}
		if count(opened) != turn || count(closed) != turn {
			t.Errorf("after %d outages: %d lines of the end and %d of the return", turn, count(opened), count(closed))
		}
	}
	until(t, "events", func() bool {
		heard.mu.Lock()
		defer heard.mu.Unlock()
		n := map[string]int{}
		for _, e := range heard.events {
			n[e.Name()]++
		}
		return n["gateway.breaker_opened"] == 2 && n["gateway.breaker_closed"] == 2
	})
}

// Two gateways share a Redis: while it is gone each grants a half, and what is left
// is said to be of that.
func TestLocalShareIsShown(t *testing.T) {
	redis := startRedis(t)
	up := newUpstream(t)
	options := gatewayOptions("limiter redis redis://" + redis.addr() + " {\n timeout 500ms\n }\n tier free 100/1h")
	c := start(t, options, limitedSite, "$UPSTREAM", up.addr())
	otherGateway(t, c, options+"\nhttp://127.0.0.1:$PORT {\n"+limitedSite+"\n}\n")
	until(t, "knowing of two gateways", func() bool {
		return strings.Contains(admin(t, c, http.MethodGet, "/gateway/health", "").Body, `"gateways":2`)
	})
	show := func() string {
		t.Helper()
		out, errOut, err := command(t, "gateway", "--address", c.Admin, "limit", "show", "u1")
		if err != nil {
			t.Fatalf("%v: %s", err, errOut)
		}
		return out
	}
	if got := show(); strings.Contains(got, "alone") {
		t.Errorf("it says\n%s", got)
	}
	redis.kill()
	passed := 0
	for range 60 {
		if c.Get("/", "Authorization", bearer(t)).Status == 200 {
			passed++
		}
	}
	if passed != 50 {
		t.Errorf("%d passed, want a half of 100", passed)
	}
	if got := show(); !strings.Contains(got, "of the 0.5 of each limit that this gateway grants alone") {
		t.Errorf("it says\n%s", got)
	}
	if got := admin(t, c, http.MethodGet, "/gateway/usage/u1", "").Body; !strings.Contains(got, `"remaining":0`) || !strings.Contains(got, `"share":0.5`) {
		t.Errorf("usage = %s, want nothing left of the share of 0.5", got)
	}
}
