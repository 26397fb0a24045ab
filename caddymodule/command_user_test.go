package caddymodule_test

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// An operator makes accounts, changes and disables them; what an account loses it
// loses with the next request.
func TestUserCommands(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions(roomy), accountsSite, "$UPSTREAM", up.addr())
	gateway := func(args ...string) string {
		t.Helper()
		out, errOut, err := command(t, append([]string{"gateway", "--address", c.Admin}, args...)...)
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, errOut)
		}
		return out
	}
	logIn := func(email, password string) *person {
		t.Helper()
		p := &person{t: t, c: c, email: email}
		var granted grantedToken
		p.into(200, &granted, "POST", "/v1/auth/login-json", `{"username":"`+email+`","password":"`+password+`"}`)
		p.token = granted.AccessToken
		return p
	}

	// The first administrator: the password stands alone on standard output.
	password := strings.TrimSuffix(gateway("user", "create", "--email", "Root@Example.com", "--role", "ADMIN", "--tier", "pro", "--scopes", "read,write"), "\n")
	if strings.ContainsAny(password, " \n") || len(password) < 20 {
		t.Fatalf("got %q, want a password alone", password)
	}
	root := logIn("root@example.com", password)
	if got := root.ask("GET", "/v1/admin/users", ""); got.Status != 200 {
		t.Errorf("an administrator: got %d %s", got.Status, got.Body)
	}
	var key, low madeKey
	root.into(201, &key, "POST", "/v1/api-keys", `{"name":"k"}`)
	root.into(201, &low, "POST", "/v1/api-keys", `{"name":"low","role":"USER","scopes":["read"]}`)
	if *key.Role != "ADMIN" || len(key.Scopes) != 2 {
		t.Errorf("got %+v", key)
	}

	// A role taken away is gone with the next request, of tokens and of keys.
	gateway("user", "set-role", "root@example.com", "USER")
	wantError(t, root.ask("GET", "/v1/admin/users", ""), 401, "Could not validate credentials")
	wantError(t, c.Get("/v1/admin/users", "X-API-Key", key.APIKey), 403, "Insufficient permissions")
	root = logIn("root@example.com", password)
	wantError(t, root.ask("GET", "/v1/admin/users", ""), 403, "Insufficient permissions")
	gateway("user", "set-tier", "root@example.com", "free")
	root = logIn("root@example.com", password)
	var me map[string]any
	root.into(200, &me, "GET", "/v1/auth/me", "")
	if me["tier"] != "free" || me["role"] != "USER" {
		t.Errorf("got %v", me)
	}

	var shown userShown
	if err := json.Unmarshal([]byte(gateway("user", "show", "root@example.com", "--json")), &shown); err != nil || shown.Role != "USER" || shown.Email != "Root@example.com" || shown.DisabledAt != nil {
		t.Errorf("got %+v, %v", shown, err)
	}
	if list := gateway("user", "list"); !strings.Contains(list, shown.ID) {
		t.Errorf("got %s", list)
	}

	gateway("user", "disable", shown.ID)
	for _, credential := range []string{root.token, key.APIKey, low.APIKey} {
		if got := c.Get("/v1/items", "Authorization", "Bearer "+credential); got.Status != 401 {
			t.Errorf("a credential of a disabled account: got %d", got.Status)
		}
	}
	wantError(t, root.ask("POST", "/v1/auth/refresh", ""), 401, "Could not validate credentials")
	wantError(t, (&person{t: t, c: c}).ask("POST", "/v1/auth/login-json", `{"username":"root@example.com","password":"`+password+`"}`), 401, "Incorrect email or password")
	gateway("user", "enable", shown.ID)
	for _, credential := range []string{root.token, key.APIKey} {
		if got := c.Get("/v1/items", "Authorization", "Bearer "+credential); got.Status != 401 {
			t.Errorf("enabling brought a credential back: got %d", got.Status)
		}
	}
	// In the same second too a new token is good.
	root = logIn("root@example.com", password)
	if got := root.ask("GET", "/v1/items", ""); got.Status != 200 {
		t.Errorf("after enabling: got %d %s", got.Status, got.Body)
	}

	next := strings.TrimSpace(gateway("user", "reset-password", "root@example.com"))
	wantError(t, root.ask("GET", "/v1/items", ""), 401, "Could not validate credentials")
	logIn("root@example.com", next)

	chosen := exec.CommandContext(t.Context(), os.Args[0], "gateway", "--address", c.Admin, "user", "reset-password", "root@example.com", "--password-stdin")
	chosen.Env = append(os.Environ(), asCaddy+"=1")
	chosen.Stdin = strings.NewReader("ChosenPass1\n")
	if out, err := chosen.Output(); err != nil || len(out) != 0 {
		t.Errorf("got %q, %v", out, err)
	}
	logIn("root@example.com", "ChosenPass1")

	for _, mistake := range [][]string{
		{"user", "create", "--email", "root@example.com"},
		{"user", "create", "--email", "x"},
		{"user", "create", "--email", "a@example.com", "--role", "ROOT"},
		{"user", "set-tier", "root@example.com", "gold"},
		{"user", "disable", "nobody@example.com"},
		{"user", "show", "x"},
	} {
		if _, errOut, err := command(t, append([]string{"gateway", "--address", c.Admin}, mistake...)...); err == nil || errOut == "" {
			t.Errorf("%v: got %v %s", mistake, err, errOut)
		}
	}
	misspelt := admin(t, c, "PATCH", "/gateway/users/root@example.com", `{"rolle":"ADMIN"}`)
	if misspelt.Status != 422 || !strings.Contains(misspelt.Body, `"rolle"`) {
		t.Errorf("got %d %s", misspelt.Status, misspelt.Body)
	}

	var trail []map[string]any
	if err := json.Unmarshal([]byte(gateway("audit", "--target", shown.ID, "--json")), &trail); err != nil {
		t.Fatal(err)
	}
	seen := map[any]bool{}
	for _, e := range trail {
		seen[e["action"]] = true
		if e["from"] != "127.0.0.1" || e["at"] == nil || e["actor"] == "" {
			t.Errorf("got %v", e)
		}
	}
	for _, action := range []string{"user.create", "login", "user.update", "user.disable", "user.enable", "user.reset_password", "token.refresh"} {
		if !seen[action] {
			t.Errorf("the trail has no %s: %v", action, seen)
		}
	}
	if one := gateway("audit", "--action", "key.create", "--actor", shown.ID, "--limit", "1"); strings.Count(one, "\n") != 2 || !strings.Contains(one, low.ID) {
		t.Errorf("got %s", one)
	}

	// No secret is in the trail, nor any password in the store's file.
	everything := gateway("audit", "--limit", "1000", "--json")
	for _, name := range []string{"gateway.db", "gateway.db-wal"} {
		content, err := os.ReadFile(filepath.Join(c.Dir, name))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		everything += string(content)
	}
	for _, secret := range []string{password, next, "ChosenPass1", key.APIKey, root.token} {
		if strings.Contains(everything, secret) {
			t.Errorf("a secret is in the trail or the store: %.12s...", secret)
		}
	}
	if got := admin(t, c, http.MethodGet, "/gateway/audit?since=yesterday", ""); got.Status != 422 {
		t.Errorf("got %d", got.Status)
	}
}

type userShown struct {
	ID         string  `json:"id"`
	Email      string  `json:"email"`
	Role       string  `json:"role"`
	DisabledAt *string `json:"disabled_at"`
}
