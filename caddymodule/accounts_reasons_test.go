package caddymodule_test

import (
	"database/sql"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ainative/portcullis/caddymodule/internal/caddyharness"
	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/accounts"
)

// accountsReasonSite has accounts below three prefixes: open, closed, and open to
// one attempt an hour.
const accountsReasonSite = `
	gateway_accounts /acc {
		issuer main
		registration open
		login_limit off
		keys_per_owner 1
		refresh_reuse_interval 0
		failures off
	}
	gateway_accounts /closed {
		issuer main
	}
	gateway_accounts /slow {
		issuer main
		login_limit 1/1h
	}`

func init() {
	// Two requests must change an account between two statements of each other; the
	// tests of package accounts do that.
	unreachable[plugins.ReasonAccountChanged] = func(t *testing.T) {
		if refusal := accounts.Changed(); refusal.Denial.Reason != plugins.ReasonAccountChanged || refusal.Denial.Status != 409 {
			t.Errorf("got %+v", refusal.Denial)
		}
	}
}

// accountReasons are the refusals of gateway_accounts.
func accountReasons(t *testing.T, c *caddyharness.Caddy) []reasonCase {
	t.Helper()
	const register, logIn = "/acc/auth/register", "/acc/auth/login-json"
	const good = `{"email":"user@example.com","password":"` + goodPassword + `","full_name":""}`
	nobody := &person{t: t, c: c}
	p := &person{t: t, c: c}
	var granted grantedToken
	nobody.into(201, &map[string]any{}, "POST", register, good)
	nobody.into(200, &granted, "POST", logIn, `{"username":"user@example.com","password":"`+goodPassword+`"}`)
	p.token = granted.AccessToken
	var key madeKey
	p.into(201, &key, "POST", "/acc/api-keys", `{"name":"k"}`)
	ask := func(p *person, method, path, body string) func() caddyharness.Response {
		return func() caddyharness.Response { return p.ask(method, path, body) }
	}
	byKey := &person{t: t, c: c, token: key.APIKey}
	stranger := &person{t: t, c: c, token: token(t, claims())}
	return []reasonCase{
		{plugins.ReasonBodyInvalid, 422, ask(nobody, "POST", register, `{"email":1}`), []string{"Found:   body.email: type_error.str, body.password: value_error.missing", "by gateway_accounts"}},
		{plugins.ReasonBodyTooLarge, 413, ask(nobody, "POST", register, strings.Repeat(" ", 70_000)), []string{"Wanted:  64 KiB at most"}},
		{plugins.ReasonMethodNotAllowed, 405, ask(nobody, "GET", register, ""), []string{"Found:   GET", "Wanted:  POST"}},
		{plugins.ReasonRegistrationClosed, 403, ask(nobody, "POST", "/closed/auth/register", good), []string{"Wanted:  registration open"}},
		{plugins.ReasonEmailTaken, 409, ask(nobody, "POST", register, good), []string{"Found:   user@example.com"}},
		{plugins.ReasonLoginFailed, 401, ask(nobody, "POST", logIn, `{"username":"user@example.com","password":"x"}`), []string{"Found:   wrong password"}},
		{plugins.ReasonLoginFailed, 401, ask(nobody, "POST", logIn, `{"username":"nobody@example.com","password":"x"}`), []string{"Found:   unknown account"}},
		{plugins.ReasonLoginLimited, 429, func() caddyharness.Response {
			nobody.ask("POST", "/slow/auth/login-json", `{"username":"x","password":"x"}`)
			return nobody.ask("POST", "/slow/auth/login-json", `{"username":"x","password":"x"}`)
		}, []string{"Found:   too many attempts by address", "Retry:   after "}},
		{plugins.ReasonAccountUnknown, 403, ask(stranger, "POST", "/acc/auth/password", `{"current_password":"x","new_password":"`+goodPassword+`"}`), []string{"Found:   no account of this subject"}},
		{plugins.ReasonTokenRequired, 403, ask(byKey, "POST", "/acc/api-keys", `{"name":"k"}`), []string{"Found:   an API key", "Wanted:  the token of a log-in"}},
		{plugins.ReasonRecordNotFound, 404, ask(p, "GET", "/acc/support/nothing", ""), []string{"Found:   no record of request nothing of this owner"}},
		{plugins.ReasonKeyNotFound, 404, ask(stranger, "GET", "/acc/api-keys/"+key.ID, ""), nil},
		{plugins.ReasonKeyGrant, 403, ask(p, "PATCH", "/acc/api-keys/"+key.ID, `{"role":"ADMIN"}`), []string{"Found:   role ADMIN", "Wanted:  what the owner has"}},
		{plugins.ReasonTooManyKeys, 409, ask(p, "POST", "/acc/api-keys", `{"name":"k"}`), []string{"Wanted:  keys_per_owner 1"}},
		{plugins.ReasonKeyState, 409, func() caddyharness.Response {
			p.ask("DELETE", "/acc/api-keys/"+key.ID, "")
			return p.ask("PATCH", "/acc/api-keys/"+key.ID, `{"name":"x"}`)
		}, []string{"the key is revoked"}},
		{plugins.ReasonPasswordsBusy, 503, func() caddyharness.Response { return busyPasswords(c, logIn) }, []string{"Failed:  ", "too many passwords are being checked at once"}},
		{plugins.ReasonAccountDisabled, 401, func() caddyharness.Response {
			execute(t, c, "UPDATE users SET disabled_at = 1")
			defer execute(t, c, "UPDATE users SET disabled_at = NULL")
			return p.ask("GET", "/acc/api-keys", "")
		}, []string{"Found:   disabled account"}},
		{plugins.ReasonTokenReplayed, 401, func() caddyharness.Response {
			p.ask("POST", "/acc/auth/refresh", "")
			return p.ask("POST", "/acc/auth/refresh", "")
		}, []string{"Found:   the token was renewed already: all of its log-in end"}},
	}
}

// execute changes the store's file behind its back.
func execute(t *testing.T, c *caddyharness.Caddy, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(c.Dir, "gateway.db"))
	if err == nil {
		_, err = db.Exec(statement)
	}
	if err != nil {
		t.Fatal(err)
	}
	_ = db.Close()
}

// busyPasswords logs in so often at once that one attempt is sent away.
func busyPasswords(c *caddyharness.Caddy, path string) (busy caddyharness.Response) {
	var group sync.WaitGroup
	var mu sync.Mutex
	for range 100 {
		group.Go(func() {
			got, err := c.Try("POST", path, `{"username":"nobody@example.com","password":"x"}`, "Content-Type", "application/json")
			if err == nil && got.Status == 503 {
				mu.Lock()
				defer mu.Unlock()
				busy = got
			}
		})
	}
	group.Wait()
	return busy
}
