package caddymodule_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestKeyCommands(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions(""), protected, "$UPSTREAM", up.addr())
	status := func(key string) int { return c.Get("/", "X-API-Key", key).Status }
	gateway := func(args ...string) string {
		t.Helper()
		out, errOut, err := command(t, append([]string{"gateway", "--address", c.Admin}, args...)...)
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, errOut)
		}
		return out
	}
	list := func(args ...string) []map[string]any {
		t.Helper()
		var keys []map[string]any
		if err := json.Unmarshal([]byte(gateway(append([]string{"key", "list", "--json"}, args...)...)), &keys); err != nil {
			t.Fatal(err)
		}
		return keys
	}

	if keys := list(); keys == nil || len(keys) != 0 {
		t.Errorf("got %v, want an empty list", keys)
	}
	// The key stands alone on standard output, for KEY=$(...).
	plain := gateway("key", "create", "--owner", "u1", "--name", "New Key", "--role", "DEVELOPER", "--tier", "pro",
		"--scopes", "a,b", "--expires", "90d", "--ip-allow", "127.0.0.0/8")
	key := strings.TrimSuffix(plain, "\n")
	if !strings.HasPrefix(key, "sk_live_") || strings.ContainsAny(key, " \n") || status(key) != 200 {
		t.Fatalf("got %q with status %d, want a key that works", plain, status(key))
	}
	keys := list("--owner", "u1")
	if len(keys) != 1 {
		t.Fatalf("got %d keys, want 1", len(keys))
	}
	shown := keys[0]
	for name, want := range map[string]any{"owner": "u1", "name": "New Key", "role": "DEVELOPER", "tier": "pro", "revoked_at": nil} {
		if shown[name] != want {
			t.Errorf("%s: got %v, want %v", name, shown[name], want)
		}
	}
	for _, name := range []string{"created_at", "expires_at"} {
		if _, err := time.Parse(time.RFC3339, shown[name].(string)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, there := shown["api_key"]; there || !strings.HasPrefix(key, shown["prefix"].(string)) {
		t.Errorf("a listed key shows %v", shown)
	}
	if others := list("--owner", "u2"); len(others) != 0 {
		t.Errorf("got %d keys of another owner", len(others))
	}
	id := shown["id"].(string)

	var next struct {
		ID     string `json:"id"`
		APIKey string `json:"api_key"`
		Role   string `json:"role"`
	}
	if err := json.Unmarshal([]byte(gateway("key", "rotate", id, "--grace", "1h", "--json")), &next); err != nil {
		t.Fatal(err)
	}
	if next.Role != "DEVELOPER" || status(next.APIKey) != 200 || status(key) != 200 {
		t.Errorf("after a rotation: new %d, old %d, want both to work", status(next.APIKey), status(key))
	}
	_, errOut, err := command(t, "gateway", "--address", c.Admin, "key", "rotate", id)
	if err == nil || !strings.Contains(errOut, "conflict") {
		t.Errorf("rotating twice: got %v %s", err, errOut)
	}
	// Revocation holds for the next request, although the key is cached.
	gateway("key", "revoke", id)
	if status(key) != 401 || status(next.APIKey) != 200 {
		t.Errorf("after a revocation: old %d, new %d, want 401 and 200", status(key), status(next.APIKey))
	}
	if out := gateway("key", "show", id); !strings.Contains(out, "revoked_at    20") {
		t.Errorf("got %s, want the time of revocation", out)
	}
	if out := gateway("key", "list"); !strings.Contains(out, "OWNER") || !strings.Contains(out, "u1") {
		t.Errorf("got %s, want a table", out)
	}

	for _, tc := range []struct {
		name string
		args []string
		want string
	}{
		{"no owner", []string{"key", "create"}, `"owner" not set`},
		{"unknown role", []string{"key", "create", "--owner", "u", "--role", "ROOT"}, "unknown role ROOT: use one of ADMIN, DEVELOPER, USER"},
		{"unknown tier", []string{"key", "create", "--owner", "u", "--tier", "gold"}, "unknown tier gold"},
		{"bad expiry", []string{"key", "create", "--owner", "u", "--expires", "soon"}, "write one like 90d"},
		{"bad network", []string{"key", "create", "--owner", "u", "--ip-allow", "here"}, "ip_allow"},
		{"bad scope", []string{"key", "create", "--owner", "u", "--scopes", "a b"}, "no scope"},
		{"control character", []string{"key", "create", "--owner", "u\nX-User-Role: ADMIN"}, "control characters"},
		{"unknown id", []string{"key", "show", "nope"}, "Not found"},
		{"path in the id", []string{"key", "revoke", "../health"}, "Not found"},
		{"nobody there", []string{"--address", "127.0.0.1:1", "key", "list"}, "no Caddy answers at 127.0.0.1:1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			args := append([]string{"gateway"}, tc.args...)
			if tc.args[0] != "--address" {
				args = append([]string{"gateway", "--address", c.Admin}, tc.args...)
			}
			_, errOut, err := command(t, args...)
			if err == nil || !strings.Contains(errOut, tc.want) {
				t.Errorf("got %v %s, want %q", err, errOut, tc.want)
			}
		})
	}
}

func TestTokenCommands(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions(""), protected, "$UPSTREAM", up.addr())
	status := func(auth string) int { return c.Get("/", "Authorization", auth).Status }
	one, other := bearer(t, "jti", "j1"), bearer(t, "jti", "j2")
	stranger := bearer(t, "sub", "u2", "jti", "j3")
	for _, auth := range []string{one, other, stranger} {
		if got := status(auth); got != 200 {
			t.Fatalf("before: got %d", got)
		}
	}
	if _, errOut, err := command(t, "gateway", "--address", c.Admin, "token", "revoke", "--jti", "j1"); err != nil {
		t.Fatalf("%v: %s", err, errOut)
	}
	if status(one) != 401 || status(other) != 200 {
		t.Errorf("after revoking j1: got %d and %d, want 401 and 200", status(one), status(other))
	}
	if _, errOut, err := command(t, "gateway", "--address", c.Admin, "token", "revoke", "--subject", "u1"); err != nil {
		t.Fatalf("%v: %s", err, errOut)
	}
	if status(other) != 401 || status(stranger) != 200 {
		t.Errorf("after revoking u1: got %d and %d, want 401 and 200", status(other), status(stranger))
	}
	answer := admin(t, c, http.MethodGet, "/gateway/revocations", "")
	var list []map[string]any
	if err := json.Unmarshal([]byte(answer.Body), &list); err != nil || len(list) != 2 {
		t.Fatalf("got %s, want two revocations", answer.Body)
	}
	if got := admin(t, c, http.MethodDelete, "/gateway/revocations/"+list[0]["id"].(string), ""); got.Status != 200 {
		t.Errorf("taking one back: got %d %s", got.Status, got.Body)
	}
	for body, want := range map[string]string{
		`{}`:                            "give jti, subject, kid, or issued_before",
		`{"jti":"a","subject":"b"}`:     "give one of jti, subject and kid",
		`{"jti":"a","issuer":"nobody"}`: "no issuer of this name",
		`{"jit":"a"}`:                   "unknown field",
		`[`:                             "unexpected",
	} {
		if got := admin(t, c, http.MethodPost, "/gateway/revocations", body); got.Status != 422 || !strings.Contains(got.Body, want) {
			t.Errorf("%s: got %d %s, want 422 with %q", body, got.Status, got.Body, want)
		}
	}
}

func TestAdminAPI(t *testing.T) {
	c := start(t, gatewayOptions(""), "respond hi")
	for _, tc := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "/gateway/keys", "", 200, "[]"},
		{"GET", "/gateway/keys/x", "", 404, `{"detail":"Not found"}`},
		{"GET", "/gateway/nothing", "", 404, `{"detail":"Not found"}`},
		{"PUT", "/gateway/keys", "", 405, `{"detail":"Method Not Allowed"}`},
		{"POST", "/gateway/keys", "", 422, "field required"},
		{"POST", "/gateway/keys", `{"owner":"u"}{}`, 422, "more than one JSON value"},
		{"POST", "/gateway/keys", `{"owner":7}`, 422, "cannot unmarshal"},
		{"POST", "/gateway/keys", `{"owner":"u","id":"mine"}`, 422, "unknown field"},
		{"POST", "/gateway/keys", `{"owner":"u","expires":"1d","expires_in_days":1}`, 422, "give one of"},
		{"POST", "/gateway/keys", `{"owner":"u","expires_at":"2001-01-01T00:00:00Z"}`, 422, "not in the future"},
		{"POST", "/gateway/keys", `{"owner":"u","limits":["0/1m"]}`, 422, "limits"},
		{"POST", "/gateway/keys", `{"owner":"` + strings.Repeat("u", 70<<10) + `"}`, 422, "too large"},
		{"PATCH", "/gateway/keys/x", `{"name":"n"}`, 404, "Not found"},
		{"DELETE", "/gateway/keys/x", "", 404, "Not found"},
		{"POST", "/gateway/keys/x/rotate", `{"grace":"-1h"}`, 422, "not a duration"},
		{"POST", "/gateway/keys/x/rotate", "", 404, "Not found"},
		{"GET", "/gateway/health", "", 200, `"status":"ok"`},
		{"GET", "/gateway/keys?limit=0", "", 422, "whole number"},
	} {
		got := admin(t, c, tc.method, tc.path, tc.body)
		if got.Status != tc.status || !strings.Contains(got.Body, tc.want) || got.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s: got %d %s %s, want %d %s", tc.method, tc.path, got.Status, got.Header.Get("Content-Type"), got.Body, tc.status, tc.want)
		}
	}
	key := createKey(t, c, `"owner":"u1","expires_in_days":90`)
	got := admin(t, c, http.MethodPatch, "/gateway/keys/"+key.ID, `{"name":"Renamed","tier":"pro","expires":"never","scopes":["x"]}`)
	if got.Status != 200 || !strings.Contains(got.Body, `"name":"Renamed"`) || !strings.Contains(got.Body, `"expires_at":null`) {
		t.Errorf("got %d %s, want the changed key", got.Status, got.Body)
	}
	if got := admin(t, c, http.MethodPatch, "/gateway/keys/"+key.ID, `{"owner":"u2"}`); got.Status != 422 {
		t.Errorf("changing the owner: got %d %s, want 422", got.Status, got.Body)
	}
}

func TestAdminAPIWithoutGateway(t *testing.T) {
	c := start(t, "{\n admin $ADMIN\n persist_config off\n}", "respond hi")
	if got := admin(t, c, http.MethodGet, "/gateway/keys", ""); got.Status != 503 || !strings.Contains(got.Body, "no gateway") {
		t.Errorf("got %d %s", got.Status, got.Body)
	}
}

// A word that is no command fails: with the help and exit code 0 a script would
// go on.
func TestUnknownCommands(t *testing.T) {
	for _, args := range [][]string{{"gateway", "nonsense"}, {"gateway", "limit", "nonsense"}, {"gateway", "key", "delete", "id"}} {
		out, errOut, err := command(t, args...)
		if err == nil || !strings.Contains(errOut, "there is no command") {
			t.Errorf("%v: got error %v, output %q and %q; want a refusal", args, err, out, errOut)
		}
	}
	for _, args := range [][]string{{"gateway"}, {"gateway", "limit"}} {
		out, errOut, err := command(t, args...)
		if err != nil || !strings.Contains(out+errOut, "Available Commands") {
			t.Errorf("%v: got error %v and %q, want the help", args, err, out)
		}
	}
}
