package caddymodule_test

import (
	"strings"
	"testing"
)

func TestExplain(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions("tier free 2/1h"), `
	gateway_errors
	gateway_auth {
		failures off
	}
	gateway_roles /admin ADMIN
	gateway_limit
	reverse_proxy /down 127.0.0.1:1
	reverse_proxy /x $UPSTREAM`, "$UPSTREAM", up.addr())
	auth, other := bearer(t), bearer(t, "sub", "u2")
	up.answerWith(500, "text/plain", "dial tcp 10.0.0.5:5432: refused")
	for _, tc := range []struct {
		name, path string
		headers    []string
		want       []string
	}{
		{"no credential", "/", nil, []string{"answered with 401", "Refused: no_credential", "Found:   no credential"}},
		{"expired token", "/", []string{"Authorization", bearer(t, "iat", 1_600_000_000, "exp", 1_600_000_100)}, []string{"Refused: token_expired", "Found:   exp 2020-09-13T12:28:20Z"}},
		{"role", "/admin", []string{"Authorization", other}, []string{"answered with 403", "Credential: in Authorization, scheme bearer, issuer main.", "Caller: u2; roles USER; tier free.", "Refused: role_missing", "Found:   roles USER", "Wanted:  any of ADMIN"}},
		{"upstream's error", "/x", []string{"Authorization", auth}, []string{"answered with 500", "The upstream answered 500", "Limit free (2/1h): 1 left"}},
		{"upstream down", "/down", []string{"Authorization", auth}, []string{"answered with 502", "Failed:", "connection refused"}},
		{"limit", "/x", []string{"Authorization", auth}, []string{"answered with 429", "Refused: rate_limited", "Limit free (2/1h): 0 left, passes in"}},
		{"nothing there", "/nowhere", []string{"Authorization", other}, []string{"answered with 404", "no route of the configuration"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			id := c.Get(tc.path, tc.headers...).Header.Get("X-Request-Id")
			out, errOut, err := command(t, "gateway", "--address", c.Admin, "explain", id)
			if err != nil {
				t.Fatalf("%v %s", err, errOut)
			}
			for _, want := range tc.want {
				if !strings.Contains(out, want) {
					t.Errorf("got %s\nwant %q", out, want)
				}
			}
			for _, secret := range tc.headers {
				if _, credential, ok := strings.Cut(secret, "Bearer "); ok && strings.Contains(out, credential) {
					t.Error("the credential is shown")
				}
			}
		})
	}
	if _, errOut, err := command(t, "gateway", "--address", c.Admin, "explain", "unknown"); err == nil || !strings.Contains(errOut, "no record of this request") {
		t.Errorf("unknown id: got %v %s", err, errOut)
	}
}
