package caddymodule_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/ainative/portcullis/caddymodule/adminapi"
	"github.com/ainative/portcullis/caddymodule/internal/caddyharness"
)

// trailOf are the entries of the audit trail for an action and what it was done to,
// the newest first.
func trailOf(t *testing.T, c *caddyharness.Caddy, action, target string) []adminapi.AuditEntry {
	t.Helper()
	got := admin(t, c, "GET", "/gateway/audit?"+url.Values{"action": {action}, "target": {target}}.Encode(), "")
	var entries []adminapi.AuditEntry
	if err := json.Unmarshal([]byte(got.Body), &entries); err != nil {
		t.Fatalf("%v: %s", err, got.Body)
	}
	return entries
}

// A change that is refused is as telling as one that is made.
func TestAuditOfRefusedChanges(t *testing.T) {
	c := start(t, gatewayOptions("tier free 1000/1m"), apiSite, "$UPSTREAM", "127.0.0.1:9")
	for _, tc := range []struct {
		method, path, body     string
		action, target, result string
	}{
		{"POST", "/keys", `{"owner":"u1","tier":"gold"}`, "key.create", "u1", "unknown tier gold"},
		{"PATCH", "/keys/k1", `{"name":"x"}`, "key.update", "k1", "not found"},
		{"DELETE", "/keys/k1", "", "key.revoke", "k1", "not found"},
		{"POST", "/keys/k1/rotate", `{"grace":"24h"}`, "key.rotate", "k1", "not found"},
		{"POST", "/keys/import", "key,owner\nsome-key,u1\n", "key.import", "keys", "imported keys are not accepted"},
		{"POST", "/revocations", `{"jti":"j1","subject":"s1"}`, "token.revoke", "j1", "give one of jti, subject and kid"},
		{"DELETE", "/revocations/r1", "", "token.unrevoke", "r1", "not found"},
		{"PUT", "/owners/u1", `{"tier":"gold"}`, "limit.set", "u1", "gold"},
		{"DELETE", "/owners/u9", "", "limit.unset", "u9", "not found"},
		{"DELETE", "/limits/lost/u1", "", "limit.reset", "lost u1", "lost"},
	} {
		t.Run(tc.action, func(t *testing.T) {
			if got := admin(t, c, tc.method, "/gateway"+tc.path, tc.body); got.Status < 400 {
				t.Fatalf("got %d %s, want a refusal", got.Status, got.Body)
			}
			entries := trailOf(t, c, tc.action, tc.target)
			if len(entries) != 1 || entries[0].Actor != "admin" || !strings.Contains(entries[0].Result, tc.result) {
				t.Errorf("got %+v, want one entry of admin with %q", entries, tc.result)
			}
		})
	}
}

// A body that can't be read says nothing of a change.
func TestAuditOfUnreadableChanges(t *testing.T) {
	c := start(t, gatewayOptions("foreign_keys"), apiSite, "$UPSTREAM", "127.0.0.1:9")
	for path, body := range map[string]string{"/keys": `{"ownr":"u1"}`, "/revocations": `{`, "/keys/import": "owner\nu1\n"} {
		if got := admin(t, c, "POST", "/gateway"+path, body); got.Status != 422 {
			t.Errorf("%s: got %d %s, want 422", path, got.Status, got.Body)
		}
	}
	for _, action := range []string{"key.create", "token.revoke", "key.import"} {
		if entries := trailOf(t, c, action, ""); len(entries) != 0 {
			t.Errorf("%s: got %+v, want no entry", action, entries)
		}
	}
}
