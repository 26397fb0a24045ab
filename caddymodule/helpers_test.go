package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	_ "github.com/ainative/portcullis/caddymodule"
	"github.com/ainative/portcullis/caddymodule/internal/caddyharness"
)

const testSecret = "a secret for tests that is long enough for HS256"

// until waits until something holds.
func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	caddyharness.Eventually(t, what, holds)
}

// upstream answers with what the test sets and remembers what it was sent.
type upstream struct {
	*httptest.Server
	mu    sync.Mutex
	seen  []*http.Request
	reply http.HandlerFunc
}

func newUpstream(t testing.TB) *upstream {
	t.Helper()
	u := &upstream{}
	u.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u.mu.Lock()
		u.seen = append(u.seen, r.Clone(r.Context()))
		reply := u.reply
		u.mu.Unlock()
		if reply != nil {
			reply(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"ok":true}`)
	}))
	t.Cleanup(u.Close)
	return u
}

// addr is the upstream's address for reverse_proxy.
func (u *upstream) addr() string { return strings.TrimPrefix(u.URL, "http://") }

// answer sets what the upstream answers from now on.
func (u *upstream) answer(reply http.HandlerFunc) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.reply = reply
}

// answerWith is answer for a fixed response.
func (u *upstream) answerWith(status int, contentType, body string) {
	u.answer(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	})
}

// last is the request that came last, nil if none came since forget.
func (u *upstream) last() *http.Request {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.seen) == 0 {
		return nil
	}
	return u.seen[len(u.seen)-1]
}

func (u *upstream) count() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.seen)
}

func (u *upstream) forget() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.seen = nil
}

// claims are the document's token: a user with a role and a tier, for 8 hours.
func claims(changes ...any) jwt.MapClaims {
	now := time.Now().Unix()
	c := jwt.MapClaims{"sub": "u1", "role": "USER", "tier": "free", "iat": now, "exp": now + 8*3600}
	for i := 0; i < len(changes); i += 2 {
		if name := changes[i].(string); changes[i+1] == nil {
			delete(c, name)
		} else {
			c[name] = changes[i+1]
		}
	}
	return c
}

// token signs claims with HS256 under the test's secret.
func token(t testing.TB, c jwt.MapClaims) string {
	t.Helper()
	signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, c).SignedString([]byte(testSecret))
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func bearer(t testing.TB, changes ...any) string {
	t.Helper()
	return "Bearer " + token(t, claims(changes...))
}

// gatewayOptions is the global block with a store in the test's directory and
// one issuer.
func gatewayOptions(inner string) string {
	return caddyharness.Options(`
	gateway {
		store sqlite $DIR/gateway.db
		pepper {env.TEST_PEPPER}
		issuer main {
			secret {env.TEST_SECRET}
		}
		` + inner + `
	}`)
}

// start runs a site with the gateway's default options.
func start(t testing.TB, options, site string, vars ...string) *caddyharness.Caddy {
	t.Helper()
	return startText(t, options+"\nhttp://127.0.0.1:$PORT {\n"+site+"\n}\n", vars...)
}

// startText is start for a whole Caddyfile.
func startText(t testing.TB, text string, vars ...string) *caddyharness.Caddy {
	t.Helper()
	t.Setenv("TEST_SECRET", testSecret)
	t.Setenv("TEST_PEPPER", "a pepper for tests that is long enough")
	return caddyharness.Start(t, text, vars...)
}

// madeKey is a key as the admin API answers.
type madeKey struct {
	ID        string   `json:"id"`
	Owner     string   `json:"owner"`
	Role      *string  `json:"role"`
	Scopes    []string `json:"scopes"`
	ExpiresAt *string  `json:"expires_at"`
	RevokedAt *string  `json:"revoked_at"`
	APIKey    string   `json:"api_key"`
}

// admin asks the admin API.
func admin(t testing.TB, c *caddyharness.Caddy, method, path, body string) caddyharness.Response {
	t.Helper()
	return c.Do(method, "http://"+c.Admin+path, body, "Content-Type", "application/json")
}

// createKey makes a key by the admin API; fields is the inside of a JSON object.
func createKey(t testing.TB, c *caddyharness.Caddy, fields string) madeKey {
	t.Helper()
	answer := admin(t, c, http.MethodPost, "/gateway/keys", "{"+fields+"}")
	if answer.Status != http.StatusCreated {
		t.Fatalf("making a key: %d %s", answer.Status, answer.Body)
	}
	var key madeKey
	if err := json.Unmarshal([]byte(answer.Body), &key); err != nil {
		t.Fatal(err)
	}
	return key
}

// detail is the `detail` of an error body.
func detail(t testing.TB, body string) any {
	t.Helper()
	var parsed struct {
		Detail any `json:"detail"`
	}
	if err := json.Unmarshal([]byte(body), &parsed); err != nil {
		t.Fatalf("not JSON: %q", body)
	}
	return parsed.Detail
}

// wantError checks a refusal in the format.
func wantError(t testing.TB, got caddyharness.Response, status int, text string) {
	t.Helper()
	if got.Status != status || detail(t, got.Body) != text {
		t.Errorf("got %d %s, want %d %q", got.Status, got.Body, status, text)
	}
	if contentType := got.Header.Get("Content-Type"); contentType != "application/json" {
		t.Errorf("got Content-Type %q, want application/json", contentType)
	}
	if got.Header.Get("X-Request-Id") == "" {
		t.Error("no X-Request-Id")
	}
}
