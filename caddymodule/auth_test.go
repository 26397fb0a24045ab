package caddymodule_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

const protected = `
	gateway_errors
	gateway_auth {
		failures off
	}
	reverse_proxy $UPSTREAM`

func TestAuthRefuses(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions(""), protected, "$UPSTREAM", up.addr())
	key := createKey(t, c, `"owner":"u1"`).APIKey
	now := time.Now().Unix()
	const (
		credentials = "Could not validate credentials"
		invalidKey  = "Invalid API key"
		bare        = `Bearer realm="api"`
		invalid     = `Bearer realm="api", error="invalid_token"`
	)
	for _, tc := range []struct {
		name      string
		headers   []string
		text      string
		challenge string // a prefix; exact where it ends the list
	}{
		{"nothing", nil, credentials, bare},
		{"empty Authorization", []string{"Authorization", ""}, credentials, bare},
		{"empty key", []string{"X-API-Key", ""}, credentials, bare},
		{"not a token", []string{"Authorization", "Bearer abc"}, credentials, invalid},
		{"expired", []string{"Authorization", bearer(t, "iat", now-9*3600, "exp", now-3600)}, credentials, invalid},
		{"no exp", []string{"Authorization", bearer(t, "exp", nil)}, credentials, invalid},
		{"too long a life", []string{"Authorization", bearer(t, "exp", now+9*3600)}, credentials, invalid},
		{"another signature", []string{"Authorization", bearer(t)[:len(bearer(t))-4] + "AAAA"}, credentials, invalid},
		{"alg none", []string{"Authorization", "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJ1MSIsImV4cCI6OTk5OTk5OTk5OX0."}, credentials, invalid},
		{"basic", []string{"Authorization", "Basic dTpw"}, credentials, invalid},
		{"token without Bearer", []string{"Authorization", token(t, claims())}, credentials, invalid + `, error_description="`},
		{"wrong header name", []string{"Api-Key", key}, invalidKey, invalid + `, error_description="Send an API key in the X-API-Key header`},
		{"X-Api-Token", []string{"X-Api-Token", key}, invalidKey, invalid + `, error_description="`},
		{"mistyped key", []string{"X-API-Key", key[:len(key)-1] + "!"}, invalidKey, invalid},
		{"unknown key", []string{"X-API-Key", "sk_live_0000000000000000000000000000000000ABCD"}, invalidKey, invalid},
		{"unknown key as bearer", []string{"Authorization", "Bearer sk_live_0000000000000000000000000000000000ABCD"}, invalidKey, invalid},
		{"prefix of a key", []string{"X-API-Key", key[:20]}, invalidKey, invalid},
		{"token and key", []string{"Authorization", bearer(t), "X-API-Key", key}, credentials, invalid},
		{"token in the key header", []string{"X-API-Key", token(t, claims())}, invalidKey, invalid},
	} {
		t.Run(tc.name, func(t *testing.T) {
			up.forget()
			got := c.Get("/v1/items", tc.headers...)
			wantError(t, got, http.StatusUnauthorized, tc.text)
			challenge := got.Header.Values("WWW-Authenticate")
			if len(challenge) != 1 || !strings.HasPrefix(challenge[0], tc.challenge) ||
				(!strings.HasSuffix(tc.challenge, `"`) && challenge[0] == tc.challenge) {
				t.Errorf("got challenge %q, want %q", challenge, tc.challenge)
			}
			if got.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("got Cache-Control %q, want no-store", got.Header.Get("Cache-Control"))
			}
			if up.count() != 0 {
				t.Error("the upstream was called")
			}
		})
	}
}

func TestAuthPassesAndTellsTheUpstream(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions(""), protected, "$UPSTREAM", up.addr())
	key := createKey(t, c, `"owner":"u2","role":"DEVELOPER","tier":"pro","scopes":["read"]`)
	attack := []string{
		"X-User-Id", "root", "x-user-role", "ADMIN", "X-User-Roles", "ADMIN", "X-User-Tier", "enterprise",
		"X-Auth-Scheme", "none", "X-Api-Key-Id", "k", "X-Request-Id", "mine",
		"Connection", "X-User-Id, X-User-Role, x-user-tier, X-Request-Id",
	}
	for _, tc := range []struct {
		name    string
		headers []string
		want    map[string]string
	}{
		{"token", []string{"Authorization", bearer(t, "roles", []string{"USER", "DEVELOPER"}, "role", nil)}, map[string]string{
			"X-User-Id": "u1", "X-User-Role": "USER", "X-User-Roles": "USER,DEVELOPER", "X-User-Tier": "free", "X-Auth-Scheme": "bearer", "X-Api-Key-Id": "",
		}},
		{"key", []string{"X-API-Key", key.APIKey}, map[string]string{
			"X-User-Id": "u2", "X-User-Role": "DEVELOPER", "X-User-Roles": "DEVELOPER", "X-User-Tier": "pro", "X-Auth-Scheme": "api_key", "X-Api-Key-Id": key.ID,
		}},
		{"key as bearer", []string{"Authorization", "bearer " + key.APIKey}, map[string]string{"X-User-Id": "u2", "X-Auth-Scheme": "api_key"}},
		{"numeric subject", []string{"Authorization", bearer(t, "sub", uint64(9007199254740993))}, map[string]string{"X-User-Id": "9007199254740993"}},
		{"a role of another system first", []string{"Authorization", bearer(t, "role", []string{"offline_access", "DEVELOPER"})}, map[string]string{"X-User-Role": "DEVELOPER", "X-User-Roles": "offline_access,DEVELOPER"}},
		{"no role claim", []string{"Authorization", bearer(t, "role", nil)}, map[string]string{"X-User-Role": "USER"}},
		{"unknown tier", []string{"Authorization", bearer(t, "tier", "gold")}, map[string]string{"X-User-Tier": "free"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := c.Get("/v1/items", append(tc.headers, attack...)...)
			if got.Status != http.StatusOK {
				t.Fatalf("got %d %s, want 200", got.Status, got.Body)
			}
			seen := up.last().Header
			for name, want := range tc.want {
				if values := seen.Values(name); strings.Join(values, "|") != want {
					t.Errorf("upstream got %s %q, want %q", name, values, want)
				}
			}
			for _, name := range []string{"Authorization", "X-Api-Key"} {
				if values := seen.Values(name); len(values) != 0 {
					t.Errorf("upstream got %s", name)
				}
			}
			if id := seen.Get("X-Request-Id"); id == "" || id == "mine" || id != got.Header.Get("X-Request-Id") {
				t.Errorf("upstream got request id %q, the client %q; want one made here", id, got.Header.Get("X-Request-Id"))
			}
		})
	}
}

func TestAuthOptions(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions("issuer partner {\n secret {env.TEST_SECRET}\n iss partner\n }"), `
	gateway_errors
	handle /optional {
		gateway_auth {
			optional
			failures off
		}
		reverse_proxy $UPSTREAM
	}
	handle /shadow {
		gateway_auth {
			shadow
			failures off
		}
		reverse_proxy $UPSTREAM
	}
	handle /trial {
		gateway_auth {
			shadow
			forward_credentials
			failures off
		}
		reverse_proxy $UPSTREAM
	}
	handle /forward {
		gateway_auth {
			forward_credentials
		}
		reverse_proxy $UPSTREAM
	}
	handle /keys {
		gateway_auth {
			schemes api_key
			key_header X-Token
			failures off
		}
		reverse_proxy $UPSTREAM
	}
	handle /tokens {
		gateway_auth {
			schemes bearer
			failures off
		}
		reverse_proxy $UPSTREAM
	}
	handle /partner {
		gateway_auth {
			issuers partner
			failures off
		}
		reverse_proxy $UPSTREAM
	}
	handle /failures {
		gateway_auth {
			failures 3/1m
		}
		reverse_proxy $UPSTREAM
	}`, "$UPSTREAM", up.addr())
	key := createKey(t, c, `"owner":"u1"`).APIKey
	forged := []string{"X-User-Id", "root"}

	t.Run("optional without a credential is anonymous", func(t *testing.T) {
		got := c.Get("/optional", forged...)
		if got.Status != http.StatusOK || up.last().Header.Get("X-User-Id") != "" {
			t.Errorf("got %d with user %q, want 200 with none", got.Status, up.last().Header.Get("X-User-Id"))
		}
	})
	t.Run("optional with a bad one is refused", func(t *testing.T) {
		wantError(t, c.Get("/optional", "X-API-Key", key+"x"), http.StatusUnauthorized, "Invalid API key")
	})
	t.Run("optional with a misplaced one is refused", func(t *testing.T) {
		wantError(t, c.Get("/optional", "Api-Key", key), http.StatusUnauthorized, "Invalid API key")
	})
	t.Run("shadow lets a bad one pass, without it", func(t *testing.T) {
		got := c.Get("/shadow", append(forged, "Authorization", "Bearer abc")...)
		if seen := up.last().Header; got.Status != http.StatusOK || seen.Get("Authorization") != "" || seen.Get("X-User-Id") != "" {
			t.Errorf("got %d, upstream saw %v; want 200 and no credential", got.Status, seen)
		}
	})
	t.Run("shadow leaves a credential to an upstream that checks it itself", func(t *testing.T) {
		got := c.Get("/trial", append(forged, "Authorization", "Bearer abc")...)
		if seen := up.last().Header; got.Status != http.StatusOK || seen.Get("Authorization") != "Bearer abc" || seen.Get("X-User-Id") != "" {
			t.Errorf("got %d, upstream saw %v; want 200 and the credential", got.Status, seen)
		}
	})
	t.Run("forward_credentials", func(t *testing.T) {
		if got := c.Get("/forward", "X-API-Key", key); got.Status != http.StatusOK || up.last().Header.Get("X-API-Key") != key {
			t.Errorf("got %d, upstream saw %q; want the key", got.Status, up.last().Header.Get("X-API-Key"))
		}
	})
	t.Run("keys only, in another header", func(t *testing.T) {
		if got := c.Get("/keys", "X-Token", key); got.Status != http.StatusOK || up.last().Header.Get("X-Token") != "" {
			t.Errorf("got %d, upstream saw %q", got.Status, up.last().Header.Get("X-Token"))
		}
		wantError(t, c.Get("/keys", "Authorization", bearer(t)), http.StatusUnauthorized, "Could not validate credentials")
		wantError(t, c.Get("/keys", "X-API-Key", key), http.StatusUnauthorized, "Invalid API key")
	})
	t.Run("tokens only", func(t *testing.T) {
		if got := c.Get("/tokens", "Authorization", bearer(t), "X-API-Key", "the upstream's own"); got.Status != http.StatusOK || up.last().Header.Get("X-API-Key") == "" {
			t.Errorf("got %d, upstream saw %q", got.Status, up.last().Header.Get("X-API-Key"))
		}
		wantError(t, c.Get("/tokens", "Authorization", "Bearer "+key), http.StatusUnauthorized, "Could not validate credentials")
	})
	t.Run("one issuer only", func(t *testing.T) {
		if got := c.Get("/partner", "Authorization", bearer(t, "iss", "partner")); got.Status != http.StatusOK {
			t.Errorf("got %d %s, want 200", got.Status, got.Body)
		}
		wantError(t, c.Get("/partner", "Authorization", bearer(t)), http.StatusUnauthorized, "Could not validate credentials")
	})
	t.Run("failures are slowed, good credentials pass", func(t *testing.T) {
		for range 3 {
			wantError(t, c.Get("/failures", "X-API-Key", key+"x"), http.StatusUnauthorized, "Invalid API key")
		}
		slowed := c.Get("/failures", "X-API-Key", key+"x")
		if slowed.Status != http.StatusTooManyRequests || slowed.Header.Get("Retry-After") == "" {
			t.Errorf("got %d, want 429 with Retry-After", slowed.Status)
		}
		if got := c.Get("/failures", "X-API-Key", key); got.Status != http.StatusOK {
			t.Errorf("good key: got %d, want 200", got.Status)
		}
		wantError(t, c.Get("/failures"), http.StatusUnauthorized, "Could not validate credentials")
	})
	t.Run("ambiguous path", func(t *testing.T) {
		up.forget()
		got := c.Get("/forward%2f..%2fadmin", "X-API-Key", key)
		if got.Status < 400 || up.count() != 0 {
			t.Errorf("got %d, upstream called %d times; want a refusal", got.Status, up.count())
		}
	})
	t.Run("ambiguous method", func(t *testing.T) {
		up.forget()
		for _, method := range []string{"delete", "Delete", "DELETe"} {
			got := c.Do(method, "/forward", "", "X-API-Key", key)
			wantError(t, got, http.StatusBadRequest, "Bad Request")
		}
		if up.count() != 0 {
			t.Errorf("upstream called %d times, want none", up.count())
		}
		if got := c.Do("PURGE", "/forward", "", "X-API-Key", key); got.Status != http.StatusOK {
			t.Errorf("method PURGE: got %d, want 200", got.Status)
		}
	})
}

func TestUserPlaceholders(t *testing.T) {
	c := start(t, gatewayOptions(""), `
	gateway_errors
	gateway_auth
	request_header X-Seen "{http.auth.user.id}|{http.auth.user.owner}|{http.auth.user.role}|{http.auth.user.roles}|{http.auth.user.tier}|{http.auth.user.scheme}|{http.auth.user.scopes}"
	@admin gateway_role ADMIN
	@developer expression gateway_role('DEVELOPER')
	@cel expression {http.auth.user.id} == "cel"
	respond @admin admin
	respond @developer developer
	respond @cel cel
	respond /seen "{http.request.header.X-Seen}"
	respond user`)
	got := c.Get("/seen", "Authorization", bearer(t, "role", nil, "roles", []string{"USER", "X"}, "scope", "a b"))
	if want := "u1|u1|USER|USER,X|free|bearer|a b"; got.Body != want {
		t.Errorf("got %q, want %q", got.Body, want)
	}
	for role, want := range map[string]string{"USER": "user", "DEVELOPER": "developer", "ADMIN": "admin"} {
		if got := c.Get("/", "Authorization", bearer(t, "role", role)); got.Body != want {
			t.Errorf("%s: got %q, want %q", role, got.Body, want)
		}
	}
	if got := c.Get("/", "Authorization", bearer(t, "sub", "cel")); got.Body != "cel" {
		t.Errorf("expression on the user id: got %q, want cel", got.Body)
	}
}
