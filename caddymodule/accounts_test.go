package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/ainative/portcullis/caddymodule/internal/caddyharness"
)

const goodPassword = "SecurePass123!"

// accountsSite is a site whose log-ins are not slowed down.
const accountsSite = `
	gateway_errors
	gateway_accounts /v1 {
		issuer main
		registration open
		login_limit off
		keys_per_owner 3
	}
	gateway_auth {
		failures off
	}
	@admin path /v1/admin/*
	gateway_roles @admin ADMIN
	gateway_limit
	reverse_proxy $UPSTREAM`

const roomy = "tier free 10000/1m\ntier pro 20000/1m"

// person is somebody who uses the paths of accounts.
type person struct {
	t testing.TB
	c *caddyharness.Caddy
	// id and token are set by logging in.
	id, email, token string
}

func (p *person) ask(method, path, body string, headers ...string) caddyharness.Response {
	p.t.Helper()
	if p.token != "" {
		headers = append(headers, "Authorization", "Bearer "+p.token)
	}
	if body != "" {
		headers = append(headers, "Content-Type", "application/json")
	}
	return p.c.Do(method, path, body, headers...)
}

// into asks, checks the status and decodes the answer.
func (p *person) into(status int, into any, method, path, body string) {
	p.t.Helper()
	got := p.ask(method, path, body)
	if got.Status != status {
		p.t.Fatalf("%s %s: got %d %s, want %d", method, path, got.Status, got.Body, status)
	}
	if err := json.Unmarshal([]byte(got.Body), into); err != nil {
		p.t.Fatalf("%s %s: %v in %q", method, path, err, got.Body)
	}
}

type grantedToken struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int    `json:"expires_in"`
	Role        string `json:"role"`
}

// join registers and logs in.
func join(t testing.TB, c *caddyharness.Caddy, email string) *person {
	t.Helper()
	p := &person{t: t, c: c, email: email}
	var user struct {
		ID string `json:"id"`
	}
	p.into(http.StatusCreated, &user, "POST", "/v1/auth/register", `{"email":"`+email+`","password":"`+goodPassword+`","full_name":"John Doe"}`)
	p.id = user.ID
	p.logIn()
	return p
}

func (p *person) logIn() {
	p.t.Helper()
	p.token = ""
	var granted grantedToken
	p.into(http.StatusOK, &granted, "POST", "/v1/auth/login-json", `{"username":"`+p.email+`","password":"`+goodPassword+`"}`)
	p.token = granted.AccessToken
}

func TestAccountsFromRegistrationToLogOut(t *testing.T) {
	up := newUpstream(t)
	// Without an interval a second refresh is a replay at once.
	c := start(t, gatewayOptions(roomy), strings.Replace(accountsSite, "login_limit off", "login_limit off\n\t\trefresh_reuse_interval 0", 1), "$UPSTREAM", up.addr())
	nobody := &person{t: t, c: c}

	made := nobody.ask("POST", "/v1/auth/register", `{"email":"User@Example.com","password":"SecurePass123!","full_name":"John Doe","role":"ADMIN","tier":"pro","id":"x"}`)
	var user map[string]any
	if err := json.Unmarshal([]byte(made.Body), &user); err != nil || made.Status != 201 {
		t.Fatalf("got %d %s", made.Status, made.Body)
	}
	for name, want := range map[string]any{"email": "User@example.com", "full_name": "John Doe", "role": "USER", "tier": "free", "disabled_at": nil} {
		if user[name] != want {
			t.Errorf("%s: got %v, want %v", name, user[name], want)
		}
	}
	if strings.Contains(made.Body, "password\"") || strings.Contains(made.Body, "argon2") || made.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("got %s with %v", made.Body, made.Header)
	}
	wantError(t, nobody.ask("POST", "/v1/auth/register/", `{"email":"user@example.com","password":"SecurePass123!","full_name":""}`), 409, "Email already registered")

	var granted grantedToken
	nobody.into(200, &granted, "POST", "/v1/auth/login-json", `{"username":"user@example.com","password":"SecurePass123!"}`)
	if granted.TokenType != "bearer" || granted.ExpiresIn != 8*3600 || granted.Role != "USER" {
		t.Errorf("got %+v", granted)
	}
	form := c.Do("POST", "/v1/auth/login", url.Values{"grant_type": {"password"}, "username": {"user@example.com"}, "password": {goodPassword}}.Encode(),
		"Content-Type", "application/x-www-form-urlencoded")
	if form.Status != 200 || !strings.Contains(form.Body, `"access_token":`) {
		t.Errorf("got %d %s", form.Status, form.Body)
	}
	wrong := nobody.ask("POST", "/v1/auth/login-json", `{"username":"user@example.com","password":"wrong"}`)
	wantError(t, wrong, 401, "Incorrect email or password")
	if got := wrong.Header.Get("WWW-Authenticate"); got != `Bearer realm="api"` {
		t.Errorf("got the challenge %q", got)
	}
	unknown := nobody.ask("POST", "/v1/auth/login-json", `{"username":"nobody@example.com","password":"wrong"}`)
	if unknown.Status != wrong.Status || unknown.Body != wrong.Body || len(unknown.Header) != len(wrong.Header) {
		t.Errorf("an unknown address is told from a wrong password: %d %s", unknown.Status, unknown.Body)
	}

	// The token is good for the rest of the site, and the upstream hears who it is.
	p := &person{t: t, c: c, token: granted.AccessToken}
	if got := p.ask("GET", "/v1/items", ""); got.Status != 200 || up.last().Header.Get("X-User-Id") != user["id"] || up.last().Header.Get("Authorization") != "" {
		t.Errorf("got %d, the upstream %v", got.Status, up.last().Header)
	}
	wantError(t, p.ask("GET", "/v1/admin/users", ""), 403, "Insufficient permissions")
	for _, path := range []string{"/v1/auth/me", "/v1/auth/me/"} {
		var me map[string]any
		p.into(200, &me, "GET", path, "")
		if me["id"] != user["id"] || me["email"] != "User@example.com" || me["role"] != "USER" || me["tier"] != "free" || me["scheme"] != "bearer" || me["full_name"] != "John Doe" || me["scopes"] == nil {
			t.Errorf("%s: got %v", path, me)
		}
	}

	// Refreshed: the new token is good, the old one is not, and again is a replay.
	old := p.token
	p.into(200, &granted, "POST", "/v1/auth/refresh", "")
	p.token = granted.AccessToken
	if got := p.ask("GET", "/v1/auth/me", ""); got.Status != 200 {
		t.Errorf("the new token: got %d %s", got.Status, got.Body)
	}
	wantError(t, c.Get("/v1/items", "Authorization", "Bearer "+old), 401, "Could not validate credentials")
	replay := c.Do("POST", "/v1/auth/refresh", "", "Authorization", "Bearer "+old)
	wantError(t, replay, 401, "Could not validate credentials")
	wantError(t, p.ask("GET", "/v1/items", ""), 401, "Could not validate credentials")
	wantError(t, p.ask("POST", "/v1/auth/refresh", ""), 401, "Could not validate credentials")
	shown := admin(t, c, "GET", "/gateway/decisions/"+replay.Header.Get("X-Request-Id"), "")
	if !strings.Contains(shown.Body, `"token_replayed"`) {
		t.Errorf("explained as %s", shown.Body)
	}

	p.email = "USER@EXAMPLE.COM"
	p.logIn()
	if got := p.ask("POST", "/v1/auth/logout", ""); got.Status != 200 {
		t.Errorf("got %d %s", got.Status, got.Body)
	}
	for _, request := range [][2]string{{"GET", "/v1/items"}, {"GET", "/v1/auth/me"}, {"POST", "/v1/auth/refresh"}, {"POST", "/v1/auth/logout"}} {
		wantError(t, p.ask(request[0], request[1], ""), 401, "Could not validate credentials")
	}
}

// Everything that is not a path of accounts is the upstream's.
func TestAccountsPaths(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions(roomy), accountsSite, "$UPSTREAM", up.addr())
	auth := []string{"Authorization", bearer(t)}
	for _, path := range []string{
		"/", "/v1", "/v1/", "/v1/auth", "/v1/auth/", "/v1/auth/meow", "/auth/me", "/v1x/auth/me", "/V1/auth/me", "/v1/api-keysx",
		"/v1/api-keys/a/b", "/v1/api-keys/a/rotate/b", "/v1/usage/x", "/.well-known/jwks.json", "/v1/.well-known/jwks.json",
	} {
		up.forget()
		if got := c.Get(path, auth...); got.Status != 200 || up.count() != 1 {
			t.Errorf("%s: got %d and %d requests upstream", path, got.Status, up.count())
		}
	}
	// Nor can a path be written so that accounts and the upstream read it differently.
	up.forget()
	for _, path := range []string{"/v1/auth/me//", "/v1/api-keys//", "//v1/auth/me", "/v1/auth/me;x", "/v1%2fauth/me"} {
		if got := c.Get(path, auth...); got.Status != http.StatusBadRequest || up.count() != 0 {
			t.Errorf("%s: got %d and %d requests upstream", path, got.Status, up.count())
		}
	}
	for _, tc := range []struct{ method, path, allow string }{
		{"GET", "/v1/auth/login-json", "POST"},
		{"PUT", "/v1/auth/me", "GET, HEAD"},
		{"DELETE", "/v1/api-keys", "GET, POST, HEAD"},
		{"PUT", "/v1/api-keys/x", "DELETE, GET, PATCH, HEAD"},
		{"GET", "/v1/api-keys/x/rotate/", "POST"},
		{"GET", "/v1/auth/refresh/", "POST"},
	} {
		got := c.Do(tc.method, tc.path, "", auth...)
		wantError(t, got, 405, "Method Not Allowed")
		if got.Header.Get("Allow") != tc.allow {
			t.Errorf("%s %s: got Allow %q, want %q", tc.method, tc.path, got.Header.Get("Allow"), tc.allow)
		}
	}
	if got := c.Do("HEAD", "/v1/auth/me", "", auth...); got.Status != 200 || got.Body != "" {
		t.Errorf("HEAD: got %d %q", got.Status, got.Body)
	}
	if up.count() != 0 {
		t.Error("a path of accounts was passed on")
	}
	// A preflight is for whoever answers for CORS.
	if c.Do("OPTIONS", "/v1/auth/me", "", auth...); up.count() != 1 {
		t.Error("a preflight was not passed on")
	}
	// A subject of another party has no account, and is somebody all the same.
	var me map[string]any
	(&person{t: t, c: c, token: token(t, claims())}).into(200, &me, "GET", "/v1/auth/me", "")
	if me["id"] != "u1" || me["email"] != nil || me["role"] != "USER" {
		t.Errorf("got %v", me)
	}
}

func TestAccountsBodies(t *testing.T) {
	c := start(t, gatewayOptions(roomy), accountsSite, "$UPSTREAM", "127.0.0.1:9")
	const path = "/v1/auth/register"
	for _, tc := range []struct {
		name, contentType, body string
		status                  int
		want                    string
	}{
		{
			"as the document shows it", "application/json", `{"email":"x","password":"SecurePass123!","full_name":"J"}`, 422,
			`{"detail":[{"loc":["body","email"],"msg":"value is not a valid email address","type":"value_error.email"}]}`,
		},
		{
			"nothing in it", "application/json", `{}`, 422,
			`{"detail":[{"loc":["body","email"],"msg":"field required","type":"value_error.missing"},{"loc":["body","password"],"msg":"field required","type":"value_error.missing"}]}`,
		},
		{"no body", "application/json", ``, 422, `{"detail":[{"loc":["body"],"msg":"field required","type":"value_error.missing"}]}`},
		{"broken", "application/json", `{"email":`, 422, `{"detail":[{"loc":["body"],"msg":"malformed JSON","type":"value_error.jsondecode"}]}`},
		{"wrong type", "text/plain", `{}`, 422, `{"detail":[{"loc":["body"],"msg":"value is not a valid dict: send Content-Type: application/json","type":"type_error.dict"}]}`},
		{"what curl -d calls it", "application/x-www-form-urlencoded", `{}`, 422, `{"detail":[{"loc":["body"],"msg":"value is not a valid dict: send Content-Type: application/json","type":"type_error.dict"}]}`},
		{"a list", "application/json", `[]`, 422, `{"detail":[{"loc":["body"],"msg":"value is not a valid dict","type":"type_error.dict"}]}`},
		{"twice", "application/json", `{"email":"a@example.com","email":"b@example.com"}`, 422, `{"detail":[{"loc":["body"],"msg":"a field is given twice","type":"value_error.duplicate"}]}`},
		{"too large", "application/json", `{"email":"` + strings.Repeat("x", 64<<10) + `"}`, 413, `{"detail":"Request Entity Too Large"}`},
	} {
		headers := []string{"Content-Type", tc.contentType}
		got := c.Do("POST", path, tc.body, headers...)
		if got.Status != tc.status || got.Body != tc.want {
			t.Errorf("%s: got %d %s, want %d %s", tc.name, got.Status, got.Body, tc.status, tc.want)
		}
	}
	problem := c.Do("POST", path, `{}`, "Content-Type", "application/json", "Accept", "application/problem+json")
	if problem.Status != 422 || problem.Header.Get("Content-Type") != "application/problem+json" || !strings.Contains(problem.Body, `"errors":[{"loc":["body","email"]`) {
		t.Errorf("got %d %s", problem.Status, problem.Body)
	}
	if chunked, err := c.Try("POST", path, strings.Repeat(" ", 70_000), "Content-Type", "application/json", "Expect", ""); err != nil || chunked.Status != 413 {
		t.Errorf("got %d, %v", chunked.Status, err)
	}
}

func TestAccountsLoginLimit(t *testing.T) {
	c := start(t, gatewayOptions(roomy), strings.Replace(accountsSite, "login_limit off", "login_limit 3/1m", 1), "$UPSTREAM", "127.0.0.1:9")
	nobody := &person{t: t, c: c}
	for i := range 5 {
		got := nobody.ask("POST", "/v1/auth/login-json", `{"username":"nobody@example.com","password":"x"}`)
		if i < 3 {
			wantError(t, got, 401, "Incorrect email or password")
			continue
		}
		wait := got.Header.Get("Retry-After")
		if got.Status != 429 || wait == "" || !strings.Contains(got.Body, `"retry_after":`+wait) {
			t.Errorf("attempt %d: got %d %s, Retry-After %s", i+1, got.Status, got.Body, wait)
		}
	}
}

// Issue 11: wrong log-ins of one address kept the victim out from every other one.
func TestAccountsLoginLimitLocksNobodyOut(t *testing.T) {
	c := start(t, gatewayOptions(roomy), strings.Replace(accountsSite, "login_limit off", "login_limit 5/1m", 1), "$UPSTREAM", "127.0.0.1:9")
	victim := join(t, c, "victim@example.com")
	from := func(address, password string) int {
		t.Helper()
		dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
		client := &http.Client{Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}}
		got, err := client.Post(c.URL+"/v1/auth/login-json", "application/json", strings.NewReader(`{"username":"`+victim.email+`","password":"`+password+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		_ = got.Body.Close()
		return got.StatusCode
	}
	wrong := map[int]int{}
	for i := range 10 {
		for range 3 {
			wrong[from("127.0.0.66", "Wrong1234")]++
		}
		if got := from(fmt.Sprint("127.0.1.", i+1), goodPassword); got != 200 {
			t.Errorf("log-in %d of the victim: got %d", i+1, got)
		}
	}
	if wrong[401] < 5 || wrong[429] == 0 || wrong[401]+wrong[429] != 30 {
		t.Errorf("the attacker got %v, want some 401 and then 429", wrong)
	}
}

func TestAccountsClosedByDefault(t *testing.T) {
	c := start(t, gatewayOptions(""), "gateway_errors\ngateway_accounts /v1\ngateway_auth\nrespond ok")
	got := (&person{t: t, c: c}).ask("POST", "/v1/auth/register", `{"email":"user@example.com","password":"SecurePass123!","full_name":""}`)
	wantError(t, got, 403, "Insufficient permissions")
}

func TestAccountsPassword(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions(roomy), accountsSite, "$UPSTREAM", up.addr())
	p := join(t, c, "user@example.com")
	before := p.token
	wantError(t, p.ask("POST", "/v1/auth/password", `{"current_password":"wrong","new_password":"AnotherPass456"}`), 401, "Incorrect email or password")
	var granted grantedToken
	p.into(200, &granted, "POST", "/v1/auth/password", `{"current_password":"SecurePass123!","new_password":"AnotherPass456"}`)
	wantError(t, c.Get("/v1/items", "Authorization", "Bearer "+before), 401, "Could not validate credentials")
	wantError(t, c.Do("POST", "/v1/auth/refresh", "", "Authorization", "Bearer "+before), 401, "Could not validate credentials")
	// Also one that somebody else signed for the subject in the same second as the change.
	p.token = granted.AccessToken
	if got := p.ask("GET", "/v1/items", ""); got.Status != 200 {
		t.Errorf("the new token: got %d %s", got.Status, got.Body)
	}
	p.token = ""
	wantError(t, p.ask("POST", "/v1/auth/login-json", `{"username":"user@example.com","password":"SecurePass123!"}`), 401, "Incorrect email or password")
	p.into(200, &granted, "POST", "/v1/auth/login-json", `{"username":"user@example.com","password":"AnotherPass456"}`)
}

func TestAccountsKeys(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions(roomy), accountsSite, "$UPSTREAM", up.addr())
	p, other := join(t, c, "user@example.com"), join(t, c, "other@example.com")

	var keys []madeKey
	p.into(200, &keys, "GET", "/v1/api-keys", "")
	if keys == nil || len(keys) != 0 {
		t.Errorf("got %v, want an empty list", keys)
	}
	var key madeKey
	p.into(201, &key, "POST", "/v1/api-keys", `{"name":"New Key","expires_in_days":90}`)
	if !strings.HasPrefix(key.APIKey, "sk_live_") || key.Owner != p.id || key.Role == nil || *key.Role != "USER" || key.ExpiresAt == nil {
		t.Errorf("got %+v", key)
	}
	if got := c.Get("/v1/items", "X-API-Key", key.APIKey); got.Status != 200 || up.last().Header.Get("X-User-Id") != p.id {
		t.Errorf("the key: got %d", got.Status)
	}
	var me map[string]any
	(&person{t: t, c: c, token: key.APIKey}).into(200, &me, "GET", "/v1/auth/me", "")
	if me["id"] != p.id || me["email"] != "user@example.com" || me["scheme"] != "api_key" {
		t.Errorf("got %v", me)
	}
	var again madeKey
	p.into(200, &again, "GET", "/v1/api-keys/"+key.ID+"/", "")
	if again.APIKey != "" || again.ID != key.ID {
		t.Errorf("got %+v, want the record without the key", again)
	}

	// What is somebody else's is not there.
	for _, request := range [][3]string{
		{"GET", "", ""}, {"PATCH", "", `{"name":"mine"}`}, {"DELETE", "", ""}, {"POST", "/rotate", ""}, {"PATCH", "", `{"role":"ADMIN"}`}, {"PATCH", "", `rubbish`},
	} {
		wantError(t, other.ask(request[0], "/v1/api-keys/"+key.ID+request[1], request[2]), 404, "Not found")
		wantError(t, other.ask(request[0], "/v1/api-keys/%27%20OR%201=1--"+request[1], request[2]), 404, "Not found")
	}

	// Nobody makes a key that has more than they have, or that is somebody else's.
	for _, body := range []string{`{"name":"k","role":"ADMIN"}`, `{"name":"k","role":"DEVELOPER"}`, `{"name":"k","scopes":["admin"]}`} {
		wantError(t, p.ask("POST", "/v1/api-keys", body), 403, "Insufficient permissions")
		wantError(t, p.ask("PATCH", "/v1/api-keys/"+key.ID, body), 403, "Insufficient permissions")
	}
	var changed madeKey
	p.into(200, &changed, "PATCH", "/v1/api-keys/"+key.ID, `{"name":"renamed","owner":"root","tier":"enterprise","limits":["1000/1s"],"revoked_at":null,"hash":"x"}`)
	if changed.Owner != p.id {
		t.Errorf("got %+v", changed)
	}
	if shown := admin(t, c, "GET", "/gateway/keys/"+key.ID, ""); !strings.Contains(shown.Body, `"name":"renamed"`) || !strings.Contains(shown.Body, `"tier":"free"`) || !strings.Contains(shown.Body, `"limits":[]`) {
		t.Errorf("got %s", shown.Body)
	}
	// A key makes and changes no keys, and takes no account over.
	byKey := &person{t: t, c: c, token: key.APIKey}
	wantError(t, byKey.ask("POST", "/v1/api-keys", `{"name":"k"}`), 403, "Insufficient permissions")
	wantError(t, byKey.ask("DELETE", "/v1/api-keys/"+key.ID, ""), 403, "Insufficient permissions")
	wantError(t, byKey.ask("POST", "/v1/api-keys/"+key.ID+"/rotate", ""), 403, "Insufficient permissions")
	wantError(t, byKey.ask("POST", "/v1/auth/password", `{"current_password":"SecurePass123!","new_password":"AnotherPass456"}`), 403, "Insufficient permissions")
	wantError(t, byKey.ask("POST", "/v1/auth/logout", ""), 403, "Insufficient permissions")
	wantError(t, byKey.ask("POST", "/v1/auth/refresh", ""), 401, "Could not validate credentials")
	byKey.into(200, &keys, "GET", "/v1/api-keys", "")
	if len(keys) != 1 {
		t.Errorf("got %v", keys)
	}

	var next madeKey
	p.into(201, &next, "POST", "/v1/api-keys/"+key.ID+"/rotate", `{"grace":"1h"}`)
	for _, k := range []string{key.APIKey, next.APIKey} {
		if got := c.Get("/v1/items", "X-API-Key", k); got.Status != 200 {
			t.Errorf("after a rotation: got %d %s", got.Status, got.Body)
		}
	}
	wantError(t, p.ask("POST", "/v1/api-keys/"+key.ID+"/rotate", ""), 409, "Conflict")
	p.into(201, &key, "POST", "/v1/api-keys", `{"name":"third"}`)
	wantError(t, p.ask("POST", "/v1/api-keys", `{"name":"fourth"}`), 409, "Too many API keys")
	p.into(200, &changed, "DELETE", "/v1/api-keys/"+key.ID, "")
	if changed.RevokedAt == nil {
		t.Errorf("got %+v", changed)
	}
	wantError(t, c.Get("/v1/items", "X-API-Key", key.APIKey), 401, "Invalid API key")
	p.into(200, &keys, "GET", "/v1/api-keys", "")
	if len(keys) != 2 {
		t.Errorf("got %d keys that work, want 2", len(keys))
	}
	p.into(200, &keys, "GET", "/v1/api-keys?all=true", "")
	if len(keys) != 3 {
		t.Errorf("got %d keys in all, want 3", len(keys))
	}
	wantError(t, p.ask("PATCH", "/v1/api-keys/"+key.ID, `{"name":"x"}`), 409, "Conflict")
}

// What an operator gave a key, its owner can neither prolong nor rotate.
func TestAccountsKeysThatGrantTooMuch(t *testing.T) {
	c := start(t, gatewayOptions("tier free 1000/1m\ntier pro 2000/1m"), accountsSite, "$UPSTREAM", "127.0.0.1:9")
	p := join(t, c, "user@example.com")
	for _, tc := range []struct {
		key  string
		want int
	}{
		{`"role":"USER","tier":"free","limits":["100/1m"]`, 200},
		{`"role":"ADMIN"`, 403},
		{`"scopes":["admin"]`, 403},
		{`"tier":"pro"`, 403},
		{`"limits":["1000/1s"]`, 403},
	} {
		key := createKey(t, c, `"owner":"`+p.id+`","expires":"1h",`+tc.key)
		if got := p.ask("PATCH", "/v1/api-keys/"+key.ID, `{"name":"renamed"}`); got.Status != 200 {
			t.Errorf("%s: renaming: got %d %s", tc.key, got.Status, got.Body)
		}
		for _, request := range [][3]string{{"PATCH", "", `{"expires_in_days":90}`}, {"POST", "/rotate", `{"grace":"0s"}`}} {
			got := p.ask(request[0], "/v1/api-keys/"+key.ID+request[1], request[2])
			if refused := got.Status == 403; refused != (tc.want == 403) || !refused && got.Status >= 300 {
				t.Errorf("%s: %s %s: got %d %s, want %d", tc.key, request[0], request[1], got.Status, got.Body, tc.want)
			}
		}
	}
	// What failed is in the trail too, whoever asked for it.
	if got := admin(t, c, "POST", "/gateway/keys", `{"owner":"u9","tier":"gold"}`); got.Status != 422 {
		t.Errorf("got %d %s", got.Status, got.Body)
	}
	for query, want := range map[string]string{
		"action=key.create&actor=admin&target=u9": "unknown tier gold", "action=key.rotate&actor=" + p.id + "&limit=1": "key_grants_too_much",
	} {
		if got := admin(t, c, "GET", "/gateway/audit?"+query, ""); !strings.Contains(got.Body, want) {
			t.Errorf("the trail of %s has %s, want %s", query, got.Body, want)
		}
	}
}

// A key that is made with a token of another issuer ends with it, unless the
// configuration says otherwise.
func TestAccountsForeignKeys(t *testing.T) {
	const secret = "the secret of a partner, 32 bytes or more"
	t.Setenv("PARTNER_SECRET", secret)
	options := gatewayOptions(roomy + "\nissuer partner {\n secret {env.PARTNER_SECRET}\n iss https://partner.example.com\n}")
	ends := time.Now().Add(time.Hour).Truncate(time.Second)
	signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims("sub", "p1", "iss", "https://partner.example.com", "exp", ends.Unix())).SignedString([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, site string
		least      time.Duration
	}{
		{"as long as the token", accountsSite, 0},
		{"30 days", strings.Replace(accountsSite, "keys_per_owner 3", "foreign_key_lifetime 30d", 1), 30*24*time.Hour - time.Minute},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := start(t, options, tc.site, "$UPSTREAM", "127.0.0.1:9")
			p := &person{t: t, c: c, token: signed}
			for _, body := range []string{`{"name":"k"}`, `{"name":"k","expires_in_days":90}`} {
				var key madeKey
				p.into(201, &key, "POST", "/v1/api-keys", body)
				if key.ExpiresAt == nil {
					t.Fatalf("%s: the key never ends", body)
				}
				end, err := time.Parse(time.RFC3339, *key.ExpiresAt)
				if err != nil || tc.least == 0 && !end.Equal(ends) || tc.least != 0 && (end.Before(time.Now().Add(tc.least)) || end.After(time.Now().Add(tc.least+2*time.Minute))) {
					t.Errorf("%s: the key ends at %s, %v; the token ends at %s", body, end, err, ends)
				}
			}
		})
	}
}

func TestAccountsUsage(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions("tier free {\n limit 60/1m\n limit 1000/1d\n}"), accountsSite, "$UPSTREAM", up.addr())
	p := join(t, c, "user@example.com")
	p.ask("GET", "/v1/items", "")
	var first, second []map[string]any
	p.into(200, &first, "GET", "/v1/usage", "")
	p.into(200, &second, "GET", "/v1/usage/", "")
	if len(first) != 2 || first[0]["limit"] != "60/1m" || first[0]["remaining"] != 59.0 || first[1]["remaining"] != 999.0 || first[0]["reset"] == nil {
		t.Errorf("got %v", first)
	}
	if second[1]["remaining"] != 999.0 {
		t.Errorf("asking costs: got %v", second)
	}
}

// Many log-ins cost what few cost: the others are told to come again, and the
// traffic beside them goes on.
func TestAccountsManyLogIns(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions(roomy), accountsSite, "$UPSTREAM", up.addr())
	key := createKey(t, c, `"owner":"u1"`).APIKey
	stop := make(chan struct{})
	var group sync.WaitGroup
	var mu sync.Mutex
	statuses := map[int]int{}
	for range 64 {
		group.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				got, err := c.Try("POST", "/v1/auth/login-json", `{"username":"nobody@example.com","password":"x"}`, "Content-Type", "application/json")
				if err != nil {
					t.Error(err)
					return
				}
				if got.Status == 503 && got.Header.Get("Retry-After") == "" {
					t.Error("no Retry-After")
				}
				mu.Lock()
				statuses[got.Status]++
				mu.Unlock()
			}
		})
	}
	var took []time.Duration
	for deadline := time.Now().Add(2 * time.Second); time.Now().Before(deadline); {
		began := time.Now()
		if got := c.Get("/v1/items", "X-API-Key", key); got.Status != 200 {
			t.Errorf("got %d %s", got.Status, got.Body)
		}
		took = append(took, time.Since(began))
	}
	close(stop)
	group.Wait()
	slices.Sort(took)
	median := took[len(took)/2]
	t.Logf("log-ins by status %v, requests beside them took %s in the middle and %s at most", statuses, median, took[len(took)-1])
	if statuses[401] == 0 || statuses[503] == 0 || len(statuses) != 2 {
		t.Errorf("got %v, want some refused by password and the others sent away", statuses)
	}
	// The middle one: on a busy machine the slowest says nothing of the gateway.
	if median > 3*time.Second {
		t.Errorf("a request beside log-ins takes %s", median)
	}
}

// An issuer with a private key signs with it, and publishes the public half where
// clients look for it.
func TestAccountsWithPrivateKey(t *testing.T) {
	up := newUpstream(t)
	t.Setenv("TEST_KEY", identityKey(t))
	options := strings.Replace(gatewayOptions(roomy), "secret {env.TEST_SECRET}", "private_key {env.TEST_KEY}\niss https://api.example.com\naudience orders", 1)
	c := start(t, options, accountsSite, "$UPSTREAM", up.addr())
	p := join(t, c, "user@example.com")
	if got := p.ask("GET", "/v1/items", ""); got.Status != 200 || up.last().Header.Get("X-User-Id") != p.id {
		t.Errorf("got %d %s", got.Status, got.Body)
	}
	for _, path := range []string{"/.well-known/jwks.json", "/v1/.well-known/jwks.json", "/v1/.well-known/jwks.json/"} {
		got := c.Get(path)
		if got.Status != 200 || !strings.Contains(got.Body, `"crv":"Ed25519"`) || strings.Contains(got.Body, `"d"`) || got.Header.Get("Cache-Control") != "public, max-age=300" {
			t.Errorf("%s: got %d %s", path, got.Status, got.Body)
		}
	}
	shown := admin(t, c, "POST", "/gateway/tokens/inspect", `{"token":"`+p.token+`"}`)
	for _, want := range []string{`"algorithm":"EdDSA"`, `"issuer":"https://api.example.com"`, `"audience":["orders"]`, `"accepted":true`} {
		if !strings.Contains(shown.Body, want) {
			t.Errorf("got %s, want %s in it", shown.Body, want)
		}
	}
	// A configuration with another key takes none of the old tokens.
	wantError(t, c.Get("/v1/items", "Authorization", bearer(t)), 401, "Could not validate credentials")
}
