package caddymodule_test

import (
	"net/http"
	"strings"
	"testing"
)

// What the last chapter of the API's document wants in a mail to the support is one block,
// for the operator and for the caller: without a credential, and their own requests only.
func TestSupport(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions(roomy), accountsSite, "$UPSTREAM", up.addr())
	p, other := join(t, c, "user@example.com"), join(t, c, "other@example.com")
	refused := p.ask("GET", "/v1/admin/users", "", "User-Agent", "client/1.0", "X-Trace", "secret-value")
	wantError(t, refused, http.StatusForbidden, "Insufficient permissions")
	id := refused.Header.Get("X-Request-Id")

	mine := p.ask("GET", "/v1/support/"+id, "")
	told, stderr, err := command(t, "gateway", "explain", id, "--support", "--address", c.Admin)
	if err != nil {
		t.Fatalf("%v: %s", err, stderr)
	}
	for name, text := range map[string]string{"the caller": mine.Body, "the operator": told} {
		for _, want := range []string{
			"Request ID: " + id, "Endpoint: GET 127.0.0.1:", "/v1/admin/users", "Status: 403", `Answer: {"detail":"Insufficient permissions"}`,
			"Authorization", "X-Trace", "User agent: client/1.0", "Answered by: gateway_roles: role_missing", "Expected: any of ADMIN", "Found: roles USER", "Versions: go",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: got\n%s\nwant %q in it", name, text, want)
			}
		}
		for _, secret := range []string{p.token, "secret-value", "X-User-Id"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s: shows %s", name, secret)
			}
		}
	}
	if mine.Status != http.StatusOK || mine.Header.Get("Content-Type") != "text/plain; charset=utf-8" || mine.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("got %d %v", mine.Status, mine.Header)
	}
	wantError(t, other.ask("GET", "/v1/support/"+id, ""), http.StatusNotFound, "Not found")
	wantError(t, p.ask("GET", "/v1/support/nothing", ""), http.StatusNotFound, "Not found")
	wantError(t, c.Get("/v1/support/"+id), http.StatusUnauthorized, "Could not validate credentials")

	up.answerWith(http.StatusConflict, "application/json", `{"message":"Cart is empty"}`)
	translated := p.ask("POST", "/v1/items", "{}")
	if got := p.ask("GET", "/v1/support/"+translated.Header.Get("X-Request-Id"), ""); !strings.Contains(got.Body, `Answer: {"detail":"Cart is empty"}`) || !strings.Contains(got.Body, "Answered by: the API, with 409") {
		t.Errorf("got %d %s", got.Status, got.Body)
	}
}
