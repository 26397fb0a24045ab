//go:build unix

package caddymodule_test

import (
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ainative/portcullis/caddymodule/internal/caddyharness"
	"github.com/ainative/portcullis/plugins/store/postgres/postgrestest"
)

// onPostgres is the global block with a store in Postgres.
func onPostgres(inner string) string {
	return strings.Replace(gatewayOptions(""), "store sqlite $DIR/gateway.db", "store postgres {env.TEST_DATABASE} {\n"+inner+"\n}", 1)
}

const apiSite = "gateway_errors\n gateway_auth\n reverse_proxy $UPSTREAM"

// statusOf asks with one header and returns the status.
func statusOf(c *caddyharness.Caddy, url, header, value string) int {
	return c.Get(url, header, value).Status
}

// timed waits until something holds and returns how long it took.
func timed(t *testing.T, what string, holds func() bool) time.Duration {
	t.Helper()
	begin := time.Now()
	until(t, what, holds)
	return time.Since(begin)
}

// Two gateways on one database: what one makes is good on the other, and what one
// revokes the other refuses within a second.
func TestGatewaysShareADatabase(t *testing.T) {
	srv := postgrestest.Start(t)
	t.Setenv("TEST_DATABASE", srv.URL(srv.NewDatabase(t)))
	up := newUpstream(t)
	c := start(t, onPostgres(""), apiSite, "$UPSTREAM", up.addr())
	other := otherGateway(t, c, onPostgres("")+"\nhttp://127.0.0.1:$PORT {\n"+apiSite+"\n}\n") + "/"

	fastest := time.Hour
	for range 3 {
		key := createKey(t, c, `"owner":"u1"`)
		until(t, "hearing of the key", func() bool { return statusOf(c, other, "X-API-Key", key.APIKey) == 200 })
		if got := admin(t, c, http.MethodDelete, "/gateway/keys/"+key.ID, ""); got.Status != 200 && got.Status != 204 {
			t.Fatalf("revoking: %d %s", got.Status, got.Body)
		}
		if got := statusOf(c, "/", "X-API-Key", key.APIKey); got != 401 {
			t.Errorf("the gateway that revoked the key answers %d, want 401", got)
		}
		took := timed(t, "refusing the revoked key", func() bool { return statusOf(c, other, "X-API-Key", key.APIKey) == 401 })
		fastest = min(fastest, took)
		t.Logf("a revoked key was refused by the other after %s", took)
	}
	auth := bearer(t, "jti", "j1")
	if got := statusOf(c, other, "Authorization", auth); got != 200 {
		t.Fatalf("got %d, want 200", got)
	}
	if got := admin(t, c, http.MethodPost, "/gateway/revocations", `{"jti":"j1"}`); got.Status >= 300 {
		t.Fatalf("revoking: %d %s", got.Status, got.Body)
	}
	took := timed(t, "refusing the revoked token", func() bool { return statusOf(c, other, "Authorization", auth) == 401 })
	// The fastest tells of the gateway, the slowest of the machine.
	if fastest = min(fastest, took); fastest > time.Second {
		t.Errorf("what one revoked was refused by the other after %s at best, want a second", fastest)
	}
	t.Logf("a revoked token was refused by the other after %s", took)

	if got := admin(t, c, http.MethodGet, "/gateway/health", "").Body; !strings.Contains(got, `"name":"postgres `+srv.Dir()) {
		t.Errorf("health = %s, want the place of the store", got)
	}
}

// While the database is gone, a key that was not seen before is a 503 and never a
// 401, on the request path as on the admin endpoint; afterwards all goes on.
func TestDatabaseGoesAndComesBack(t *testing.T) {
	srv := postgrestest.Start(t)
	t.Setenv("TEST_DATABASE", srv.URL(srv.NewDatabase(t)))
	up := newUpstream(t)
	c := start(t, onPostgres("statement_timeout 1s"), apiSite, "$UPSTREAM", up.addr())
	seen, unseen := createKey(t, c, `"owner":"u1"`), createKey(t, c, `"owner":"u2"`)
	if got := statusOf(c, "/", "X-API-Key", seen.APIKey); got != 200 {
		t.Fatalf("got %d, want 200", got)
	}

	srv.Stop(syscall.SIGQUIT)
	got := c.Get("/", "X-API-Key", unseen.APIKey)
	wantError(t, got, http.StatusServiceUnavailable, "Service unavailable")
	if got.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	if got := statusOf(c, "/", "X-API-Key", seen.APIKey); got != 200 {
		t.Errorf("a key that was just looked up: got %d, want 200", got)
	}
	if got := admin(t, c, http.MethodGet, "/gateway/keys", ""); got.Status != http.StatusServiceUnavailable {
		t.Errorf("listing keys: %d %s, want 503", got.Status, got.Body)
	}
	if err := srv.Run(); err != nil {
		t.Fatal(err)
	}
	until(t, "serving again", func() bool { return statusOf(c, "/", "X-API-Key", unseen.APIKey) == 200 })
}

// A start without the database fails with a sentence that has no secret; so does a
// reload, after which the old configuration goes on.
func TestStartWithoutDatabase(t *testing.T) {
	srv := postgrestest.Start(t)
	good := srv.URL(srv.NewDatabase(t))
	t.Setenv("TEST_DATABASE", good)
	up := newUpstream(t)
	c := start(t, onPostgres(""), apiSite, "$UPSTREAM", up.addr())
	key := createKey(t, c, `"owner":"u1"`)

	t.Setenv("TEST_DATABASE", "postgres://gateway:hunter2@127.0.0.1:1/gateway")
	err := c.Reload(onPostgres("") + "\nhttp://127.0.0.1:$PORT {\n" + apiSite + "\n}\n")
	if err == nil || !strings.Contains(err.Error(), "postgres 127.0.0.1:1/gateway") || !strings.Contains(err.Error(), "start PostgreSQL, or name the host and port") {
		t.Errorf("err = %v, want it to say what is missing", err)
	}
	if err != nil && strings.Contains(err.Error(), "hunter2") {
		t.Errorf("err = %v, which has the password", err)
	}
	if got := statusOf(c, "/", "X-API-Key", key.APIKey); got != 200 {
		t.Errorf("after the refused reload: got %d, want 200", got)
	}

	file := t.TempDir() + "/Caddyfile"
	if err := os.WriteFile(file, []byte(`{
	admin off
	gateway {
		store postgres {env.TEST_DATABASE}
		pepper {env.TEST_PEPPER}
	}
}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	out, errOut, err := command(t, "run", "--config", file, "--adapter", "caddyfile")
	if err == nil || !strings.Contains(errOut, "start PostgreSQL, or name the host and port at which it listens") {
		t.Errorf("it ended with %v and said\n%s", err, errOut)
	}
	if strings.Contains(out+errOut, "hunter2") {
		t.Errorf("it printed the password:\n%s", errOut)
	}
}

// A reload with another password, or other bounds, connects anew.
func TestReloadWithAnotherPassword(t *testing.T) {
	srv := postgrestest.Start(t)
	database := srv.NewDatabase(t)
	t.Setenv("TEST_DATABASE", strings.Replace(srv.URL(database), srv.Dir(), "127.0.0.1", 1))
	t.Setenv("TEST_PASSWORD", postgrestest.Password)
	up := newUpstream(t)
	options := onPostgres("password {env.TEST_PASSWORD}")
	c := start(t, options, apiSite, "$UPSTREAM", up.addr())
	key := createKey(t, c, `"owner":"u1"`)
	if _, err := srv.SQL(database, "ALTER ROLE "+postgrestest.User+" PASSWORD 'second'"); err != nil {
		t.Fatal(err)
	}
	again := options + "\nhttp://127.0.0.1:$PORT {\n" + apiSite + "\n}\n"
	if err := c.Reload(again + "# the old password"); err != nil {
		t.Errorf("the same configuration goes on with its open connections: %v", err)
	}
	t.Setenv("TEST_PASSWORD", "second")
	if err := c.Reload(again); err != nil {
		t.Fatal(err)
	}
	if _, err := srv.SQL(database, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = '"+database+"'"); err != nil {
		t.Fatal(err)
	}
	until(t, "serving again", func() bool { return statusOf(c, "/", "X-API-Key", key.APIKey) == 200 })
	createKey(t, c, `"owner":"u2"`)
}
