package caddymodule_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func init() { caddy.RegisterModule(new(listener)) }

// listener is an event handler that remembers what it heard.
type listener struct{}

// heard are the events that reached any listener.
var heard struct {
	mu     sync.Mutex
	events []caddy.Event
}

func (*listener) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "events.handlers.test_listener", New: func() caddy.Module { return new(listener) }}
}

func (*listener) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	return nil
}

func (*listener) Handle(_ context.Context, e caddy.Event) error {
	if strings.HasPrefix(e.Name(), "gateway.") {
		heard.mu.Lock()
		defer heard.mu.Unlock()
		heard.events = append(heard.events, e)
	}
	return nil
}

// listening is the global option that makes every event be heard.
const listening = "events {\n on gateway.key_created test_listener\n on gateway.key_revoked test_listener\n" +
	" on gateway.key_rotated test_listener\n on gateway.limit_exceeded test_listener\n" +
	" on gateway.breaker_opened test_listener\n on gateway.breaker_closed test_listener\n" +
	" on gateway.jwks_stale test_listener\n on gateway.jwks_recovered test_listener\n}\n"

func forgetEvents() {
	heard.mu.Lock()
	defer heard.mu.Unlock()
	heard.events = nil
}

// awaitEvents waits until so many events of a name have been heard, and returns
// them.
func awaitEvents(t testing.TB, name string, count int) []caddy.Event {
	t.Helper()
	var found []caddy.Event
	until(t, fmt.Sprintf("hearing %d of %s", count, name), func() bool {
		heard.mu.Lock()
		defer heard.mu.Unlock()
		found = slices.DeleteFunc(slices.Clone(heard.events), func(e caddy.Event) bool { return e.Name() != name })
		return len(found) >= count
	})
	return found
}

// listeningOptions are gatewayOptions with listeners.
func listeningOptions(inner string) string {
	return strings.Replace(gatewayOptions(inner), "\n\tgateway {", "\n"+listening+"\tgateway {", 1)
}

func TestKeyEvents(t *testing.T) {
	forgetEvents()
	c := start(t, listeningOptions(""), protected, "$UPSTREAM", newUpstream(t).addr())
	key := createKey(t, c, `"owner":"u1","name":"first","role":"ADMIN","tier":"pro"`)
	created := awaitEvents(t, "gateway.key_created", 1)[0]
	for field, want := range map[string]any{"id": key.ID, "owner": "u1", "name": "first", "role": "ADMIN", "tier": "pro"} {
		if created.Data[field] != want {
			t.Errorf("key_created: got %s %v, want %v", field, created.Data[field], want)
		}
	}
	if origin := created.Origin(); origin == nil || origin.CaddyModule().ID != "gateway" {
		t.Errorf("got the origin %v, want the app gateway", origin)
	}
	if got := admin(t, c, http.MethodPost, "/gateway/keys/"+key.ID+"/rotate", `{"grace":"1h"}`); got.Status != http.StatusCreated {
		t.Fatal(got.Body)
	}
	if rotated := awaitEvents(t, "gateway.key_rotated", 1)[0]; rotated.Data["replaces"] != key.ID || rotated.Data["grace_seconds"] != int64(3600) {
		t.Errorf("key_rotated: got %v", rotated.Data)
	}
	// Revoking again changes nothing and is no news.
	for range 2 {
		if got := admin(t, c, http.MethodDelete, "/gateway/keys/"+key.ID, ""); got.Status != http.StatusOK {
			t.Fatal(got.Body)
		}
	}
	other := createKey(t, c, `"owner":"u2"`)
	if got := awaitEvents(t, "gateway.key_created", 2)[1]; got.Data["id"] != other.ID {
		t.Errorf("got %v, want %s", got.Data, other.ID)
	}
	// In order: once the later event is there, an earlier one would be too.
	if got := awaitEvents(t, "gateway.key_revoked", 1); len(got) != 1 || got[0].Data["id"] != key.ID {
		t.Errorf("key_revoked: got %v, want one", got)
	}
	for _, e := range heard.events {
		for field, value := range e.Data {
			if text, ok := value.(string); ok && (text == key.APIKey || text == other.APIKey) {
				t.Errorf("%s holds a key in %s", e.Name(), field)
			}
		}
	}
}

// A key that an owner makes for itself is one like any other.
func TestOwnKeyEvent(t *testing.T) {
	forgetEvents()
	c := start(t, listeningOptions(""), `
	gateway_errors
	gateway_accounts /v1 {
		issuer main
		registration open
	}
	respond 204`)
	post := func(path, body string, headers ...string) string {
		t.Helper()
		got := c.Do(http.MethodPost, path, body, append(headers, "Content-Type", "application/json")...)
		if got.Status >= 300 {
			t.Fatalf("%s: got %d %s", path, got.Status, got.Body)
		}
		return got.Body
	}
	post("/v1/auth/register", `{"email":"own@example.com","password":"SecurePass123!","full_name":"Own"}`)
	var session struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(post("/v1/auth/login-json", `{"username":"own@example.com","password":"SecurePass123!"}`)), &session); err != nil {
		t.Fatal(err)
	}
	var key madeKey
	if err := json.Unmarshal([]byte(post("/v1/api-keys", `{"name":"mine"}`, "Authorization", "Bearer "+session.Token)), &key); err != nil {
		t.Fatal(err)
	}
	if created := awaitEvents(t, "gateway.key_created", 1)[0]; created.Data["id"] != key.ID || created.Data["owner"] != key.Owner {
		t.Errorf("got %v, want the key %s of %s", created.Data, key.ID, key.Owner)
	}
}

// The first refusal in a window is told of, for each caller; strangers are not.
func TestLimitExceededEvent(t *testing.T) {
	forgetEvents()
	up := newUpstream(t)
	site := "gateway_errors\n gateway_auth {\n optional\n}\n gateway_limit {\n anonymous 1/1h\n}\n reverse_proxy $UPSTREAM"
	options := listeningOptions("tier free 1/1h")
	c := start(t, options, site, "$UPSTREAM", up.addr())
	spend := func(headers ...string) {
		t.Helper()
		for range 5 {
			c.Get("/", headers...)
		}
		wantLimited(t, c.Get("/", headers...))
	}
	spend()
	spend("Authorization", bearer(t))
	if err := c.Reload(options + "\nhttp://127.0.0.1:$PORT {\n" + site + "\n respond x\n}\n"); err != nil {
		t.Fatal(err)
	}
	spend("Authorization", bearer(t))
	key := createKey(t, c, `"owner":"u2"`)
	spend("X-API-Key", key.APIKey)
	awaitEvents(t, "gateway.limit_exceeded", 2)
	createKey(t, c, `"owner":"u3"`)
	awaitEvents(t, "gateway.key_created", 2)
	got := awaitEvents(t, "gateway.limit_exceeded", 2)
	if len(got) != 2 {
		t.Fatalf("heard %d, want one of each owner: %v", len(got), got)
	}
	for field, want := range map[string]any{
		"owner": "u1", "zone": "default", "policy": "free", "limit": "1/1h", "scheme": "bearer", "key_id": "",
	} {
		if got[0].Data[field] != want {
			t.Errorf("got %s %v, want %v", field, got[0].Data[field], want)
		}
	}
	if got[1].Data["owner"] != "u2" || got[1].Data["key_id"] != key.ID {
		t.Errorf("got %v", got[1].Data)
	}
}

func TestBreakerEvents(t *testing.T) {
	forgetEvents()
	redis, stop := redisServer(t)
	up := newUpstream(t)
	options := listeningOptions("limiter redis $REDIS {\n timeout 200ms\n}")
	c := start(t, options, protected+"\n gateway_limit", "$UPSTREAM", up.addr(), "$REDIS", redis)
	auth := bearer(t)
	c.Get("/", "Authorization", auth)
	stop()
	for range 10 {
		c.Get("/", "Authorization", auth)
	}
	opened := awaitEvents(t, "gateway.breaker_opened", 1)
	if opened[0].Data["limiter"] != "redis" || opened[0].Data["error"] == "" {
		t.Errorf("got %v", opened[0].Data)
	}
	redisIn(t, filepath.Dir(strings.TrimPrefix(redis, "unix://")))
	awaitEvents(t, "gateway.breaker_closed", 1)
	if again := awaitEvents(t, "gateway.breaker_opened", 1); len(again) != 1 {
		t.Errorf("told %d times that the breaker opened", len(again))
	}
}

func TestJWKSEvents(t *testing.T) {
	forgetEvents()
	var down atomic.Bool
	public := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)).Public().(ed25519.PublicKey)
	jwks := `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k1","use":"sig","x":"` + base64.RawURLEncoding.EncodeToString(public) + `"}]}`
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if down.Load() {
			http.Error(w, "down", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, jwks)
	}))
	t.Cleanup(issuer.Close)
	options := strings.Replace(listeningOptions(""), "secret {env.TEST_SECRET}", "jwks "+issuer.URL, 1)
	down.Store(true)
	c := start(t, options, protected, "$UPSTREAM", newUpstream(t).addr())
	stale := awaitEvents(t, "gateway.jwks_stale", 1)
	if stale[0].Data["issuer"] != "main" || stale[0].Data["usable"] != false || stale[0].Data["error"] == "" {
		t.Errorf("got %v", stale[0].Data)
	}
	// A reload does not tell it again.
	if err := c.Reload(options + "\nhttp://127.0.0.1:$PORT {\n" + protected + "\n respond x\n}\n"); err != nil {
		t.Fatal(err)
	}
	down.Store(false)
	if back := awaitEvents(t, "gateway.jwks_recovered", 1); back[0].Data["usable"] != true {
		t.Errorf("got %v", back[0].Data)
	}
	if got := awaitEvents(t, "gateway.jwks_stale", 1); len(got) != 1 {
		t.Errorf("told %d times", len(got))
	}
}
