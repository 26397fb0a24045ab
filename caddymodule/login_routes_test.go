package caddymodule_test

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/ainative/portcullis/caddymodule/internal/caddyharness"
)

// loginSite is the README's site in front of an API with a log-in of its own.
const loginSite = `
	gateway_errors
	gateway_auth {
		login_routes /v1/auth/*
		failures 5/1h
	}
	gateway_limit {
		anonymous 1000/1m
	}
	reverse_proxy $UPSTREAM`

// A log-in of the API gets what the client sent; every other path is guarded as ever.
func TestLoginRoutes(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions("tier free 10000/1m"), loginSite, "$UPSTREAM", up.addr())
	expired := bearer(t, "iat", 1_700_000_000, "exp", 1_700_003_600)
	for _, tc := range []struct {
		name, method, path, credential string
		status                         int
		// forwarded says that the upstream gets the credential, and user who calls.
		forwarded bool
		user      string
	}{
		{"a log-in without a credential", "POST", "/v1/auth/login-json", "", 200, false, ""},
		{"an expired token for its refresh", "POST", "/v1/auth/refresh", expired, 200, true, ""},
		{"a token of somebody else", "POST", "/v1/auth/refresh", "Bearer x.y.z", 200, true, ""},
		{"a scheme that the gateway does not know", "GET", "/v1/auth/me", "Basic dTE6cA==", 200, true, ""},
		{"a good token", "GET", "/v1/auth/me", bearer(t), 200, true, "u1"},
		{"a good token elsewhere", "GET", "/v1/items", bearer(t), 200, false, "u1"},
		{"an expired token elsewhere", "GET", "/v1/items", expired, 401, false, ""},
		{"no credential elsewhere", "GET", "/v1/items", "", 401, false, ""},
		{"a path that only begins like it", "GET", "/v1/authors", "", 401, false, ""},
		{"a path that leads out of it", "GET", "/v1/auth/../items", "", 400, false, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			up.forget()
			headers := []string{"X-User-Id", "forged", "X-User-Role", "ADMIN"}
			if tc.credential != "" {
				headers = append(headers, "Authorization", tc.credential)
			}
			got := c.Do(tc.method, tc.path, "", headers...)
			if got.Status != tc.status {
				t.Fatalf("got %d %s, want %d", got.Status, got.Body, tc.status)
			}
			if tc.status != 200 {
				return
			}
			sent := up.last().Header
			if forwarded := sent.Get("Authorization") == tc.credential && tc.credential != ""; forwarded != tc.forwarded || sent.Get("X-User-Id") != tc.user {
				t.Errorf("the upstream got Authorization %q and user %q, want forwarded %t and user %q",
					sent.Get("Authorization"), sent.Get("X-User-Id"), tc.forwarded, tc.user)
			}
		})
	}
}

// What the API refuses is a failed attempt of the address; what it grants is none, and
// nobody else is kept out.
func TestLoginRoutesCountWhatTheAPIRefuses(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions("tier free 10000/1m"), loginSite, "$UPSTREAM", up.addr())
	login := func() caddyharness.Response {
		return c.Do("POST", "/v1/auth/login-json", `{"username":"u1","password":"x"}`, "Content-Type", "application/json")
	}
	for range 20 {
		if got := login(); got.Status != 200 {
			t.Fatalf("a log-in that succeeds: got %d %s", got.Status, got.Body)
		}
	}
	up.answer(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	for range 20 {
		// Without body or credential nothing was tried.
		if got := c.Get("/v1/auth/me"); got.Status != 401 {
			t.Fatalf("got %d", got.Status)
		}
	}
	for i := range 5 {
		if got := login(); got.Status != 401 {
			t.Fatalf("attempt %d: got %d %s, want 401", i+1, got.Status, got.Body)
		}
	}
	up.forget()
	got := login()
	wantLimited(t, got)
	if up.count() != 0 {
		t.Error("a refused attempt reached the API")
	}
	if shown := admin(t, c, "GET", "/gateway/decisions/"+got.Header.Get("X-Request-Id"), ""); !strings.Contains(shown.Body, "too_many_failures") {
		t.Errorf("explained as %s", shown.Body)
	}
	up.answer(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	if got := c.Get("/v1/items", "Authorization", bearer(t)); got.Status != 200 {
		t.Errorf("a good token elsewhere: got %d %s", got.Status, got.Body)
	}
}

// APIs with a log-in of their own, as frameworks make them, work as the README says.
func TestLoginOfFrameworks(t *testing.T) {
	t.Setenv("JWT_SECRET", testSecret)
	login := filepath.Join("testdata", "login")
	for _, tc := range []struct {
		name  string
		start func(t *testing.T) *program
		// user is the subject of the API's tokens, and refresh the body of a refresh that
		// needs no token in the header.
		user    string
		refresh func(granted map[string]any) (body, credential string)
	}{
		{"FastAPI", func(t *testing.T) *program {
			port := caddyharness.FreePort(t)
			return run(t, login, port, pythonWith(t, "FastAPI and PyJWT", "fastapi, uvicorn, jwt"), "-B", "-m", "uvicorn", "fastapi_app:app", "--port", strconv.Itoa(port), "--log-level", "warning")
		}, "u1", byExpiredToken},
		{"Django REST framework", func(t *testing.T) *program {
			port := caddyharness.FreePort(t)
			return run(t, login, port, pythonWith(t, "Django REST framework with simplejwt", "rest_framework, rest_framework_simplejwt"), "-B", "django_app.py", strconv.Itoa(port), filepath.Join(t.TempDir(), "users.db"))
		}, "1", func(granted map[string]any) (string, string) {
			return `{"refresh":"` + granted["refresh"].(string) + `"}`, ""
		}},
		{"Express", func(t *testing.T) *program { return expressWith(t, "login.js") }, "u1", byExpiredToken},
	} {
		t.Run(tc.name, func(t *testing.T) {
			up := tc.start(t)
			c := start(t, gatewayOptions("tier free 10000/1m"), loginSite, "$UPSTREAM", up.addr())
			ask := func(status int, method, path, body, credential string) map[string]any {
				t.Helper()
				headers := []string{"Content-Type", "application/json"}
				if credential != "" {
					headers = append(headers, "Authorization", "Bearer "+credential)
				}
				got := c.Do(method, path, body, headers...)
				if got.Status != status {
					t.Fatalf("%s %s: got %d %s, want %d", method, path, got.Status, got.Body, status)
				}
				answer := map[string]any{}
				_ = json.Unmarshal([]byte(got.Body), &answer)
				return answer
			}
			ask(401, "POST", "/v1/auth/login-json", `{"username":"u1","password":"wrong"}`, "")
			granted := ask(200, "POST", "/v1/auth/login-json", `{"username":"u1","password":"right"}`, "")
			token, _ := granted["access_token"].(string)
			if token == "" {
				token, _ = granted["access"].(string)
			}
			if me := ask(200, "GET", "/v1/auth/me", "", token); me["id"] != "u1" {
				t.Errorf("got %v, want u1", me)
			}
			ask(401, "GET", "/v1/auth/me", "", "x.y.z")
			ask(200, "GET", "/v1/items", "", token)
			ask(401, "GET", "/v1/items", "", "")
			body, credential := tc.refresh(granted)
			ask(200, "POST", "/v1/auth/refresh", body, credential)
		})
	}
}

func byExpiredToken(granted map[string]any) (body, credential string) {
	return "", granted["expired"].(string)
}
