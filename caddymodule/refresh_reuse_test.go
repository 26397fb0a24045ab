package caddymodule_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/ainative/portcullis/caddymodule/internal/caddyharness"
)

// refreshAtOnce sends one refresh twenty times at once, to the gateways in turn, and
// returns how often each token was given.
func (p *person) refreshAtOnce(gateways ...string) (given map[string]int, refused int) {
	p.t.Helper()
	given = map[string]int{}
	var mu sync.Mutex
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() {
			got, err := p.c.Try("POST", gateways[i%len(gateways)]+"/v1/auth/refresh", "", "Authorization", "Bearer "+p.token)
			var granted grantedToken
			if err != nil || got.Status != http.StatusUnauthorized && json.Unmarshal([]byte(got.Body), &granted) != nil {
				p.t.Errorf("got %d %s, %v", got.Status, got.Body, err)
			}
			mu.Lock()
			defer mu.Unlock()
			if got.Status == http.StatusUnauthorized {
				refused++
			} else {
				given[granted.AccessToken]++
			}
		})
	}
	group.Wait()
	return given, refused
}

// revoke revokes through the admin API.
func revoke(t *testing.T, c *caddyharness.Caddy, what string) {
	t.Helper()
	if got := admin(t, c, "POST", "/gateway/revocations", "{"+what+"}"); got.Status != http.StatusCreated {
		t.Errorf("got %d %s", got.Status, got.Body)
	}
}

// claimOf reads a claim of a token without checking it.
func claimOf(t *testing.T, token, name string) string {
	t.Helper()
	claims := jwt.MapClaims{}
	if _, _, err := jwt.NewParser().ParseUnverified(token, claims); err != nil {
		t.Fatal(err)
	}
	text, _ := claims[name].(string)
	return text
}

// Issue 18: two tabs that refreshed one token at the same time were both logged out.
func TestRefreshReuseAtOnce(t *testing.T) {
	site := strings.Replace(accountsSite, "$UPSTREAM", "127.0.0.1:9", 1)
	c := start(t, gatewayOptions(roomy), site)
	other := otherGateway(t, c, gatewayOptions(roomy)+"\nhttp://127.0.0.1:$PORT {\n"+site+"\n}\n")
	for _, tc := range []struct {
		name     string
		gateways []string
	}{
		{"one gateway", []string{""}},
		{"two gateways of one store", []string{"", other}},
	} {
		p := join(t, c, strings.ReplaceAll(tc.name, " ", "-")+"@example.com")
		given, refused := p.refreshAtOnce(tc.gateways...)
		if len(given) != 1 || refused != 0 {
			t.Fatalf("%s: %d tokens were given and %d refused, want one token", tc.name, len(given), refused)
		}
		old := p.token
		for token, times := range given {
			if p.token = token; times != 20 {
				t.Errorf("%s: it was given %d times, want 20", tc.name, times)
			}
		}
		for _, gateway := range tc.gateways {
			if got := p.ask("GET", gateway+"/v1/auth/me", ""); got.Status != 200 {
				t.Errorf("%s: the new token: got %d %s", tc.name, got.Status, got.Body)
			}
		}
		// The old token is good for nothing but a refresh, once this gateway has heard of it.
		until(t, "refusing the old token", func() bool {
			return c.Get("/v1/auth/me", "Authorization", "Bearer "+old).Status == http.StatusUnauthorized
		})
		for _, path := range []string{"/v1/auth/me", "/v1/items", "/v1/api-keys"} {
			wantError(t, c.Get(path, "Authorization", "Bearer "+old), 401, "Could not validate credentials")
		}
	}
}

// An answer that was lost on its way is given again, but not once the token that it
// held was refreshed or the log-in ended.
func TestRefreshReuseEnds(t *testing.T) {
	c := start(t, gatewayOptions(roomy), strings.Replace(accountsSite, "login_limit off", "login_limit off\nrefresh_reuse_interval 1m", 1), "$UPSTREAM", "127.0.0.1:9")
	refresh := func(token string) (status int, next string) {
		t.Helper()
		got := c.Do("POST", "/v1/auth/refresh", "", "Authorization", "Bearer "+token)
		var granted grantedToken
		if got.Status == http.StatusOK && json.Unmarshal([]byte(got.Body), &granted) != nil {
			t.Fatalf("got %s", got.Body)
		}
		return got.Status, granted.AccessToken
	}
	for _, tc := range []struct {
		name string
		end  func(p *person, second string)
	}{
		{"its successor is refreshed", func(_ *person, second string) {
			if status, third := refresh(second); status != 200 || third == second {
				t.Errorf("the second token: got %d", status)
			}
		}},
		{"log-out", func(p *person, second string) {
			p.token = second
			if got := p.ask("POST", "/v1/auth/logout", ""); got.Status != 200 {
				t.Errorf("got %d %s", got.Status, got.Body)
			}
		}},
		{"another password", func(p *person, second string) {
			p.token = second
			if got := p.ask("POST", "/v1/auth/password", `{"current_password":"`+goodPassword+`","new_password":"AnotherPass456"}`); got.Status != 200 {
				t.Errorf("got %d %s", got.Status, got.Body)
			}
		}},
		{"the operator revokes the new token", func(_ *person, second string) {
			revoke(t, c, `"jti":"`+claimOf(t, second, "jti")+`"`)
		}},
		{"the operator revokes the subject", func(p *person, _ string) { revoke(t, c, `"subject":"`+p.id+`"`) }},
		{"a disabled account", func(p *person, _ string) {
			if got := admin(t, c, "POST", "/gateway/users/"+p.id+"/disable", ""); got.Status != 200 {
				t.Errorf("got %d %s", got.Status, got.Body)
			}
		}},
	} {
		p := join(t, c, strings.ReplaceAll(tc.name, " ", "-")+"@example.com")
		first := p.token
		_, second := refresh(first)
		if status, again := refresh(first); status != 200 || again != second {
			t.Errorf("before %s: got %d, another token: %t", tc.name, status, again != second)
		}
		tc.end(p, second)
		for _, token := range []string{first, second} {
			if status, _ := refresh(token); status != http.StatusUnauthorized {
				t.Errorf("after %s: got %d, want 401", tc.name, status)
			}
		}
	}
}
