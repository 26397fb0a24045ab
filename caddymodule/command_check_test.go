package caddymodule_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"os/exec"
	"strings"
	"testing"
)

func TestCheckCommand(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions("tier pro 5/1h"), `
	gateway_errors
	gateway_auth
	gateway_roles /admin* ADMIN
	gateway_limit
	respond /hello hi
	reverse_proxy $UPSTREAM`, "$UPSTREAM", up.addr())
	key := createKey(t, c, `"owner":"u1","tier":"pro"`)
	check := func(args ...string) (string, int) {
		t.Helper()
		out, errOut, err := command(t, append([]string{"gateway", "--address", c.Admin, "check"}, args...)...)
		code := 0
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			code = exit.ExitCode()
		} else if err != nil {
			t.Fatal(err)
		}
		return out + errOut, code
	}
	for _, tc := range []struct {
		name string
		args []string
		code int
		want []string
	}{
		{"key", []string{"--key", key.APIKey, "GET", c.URL + "/v1"}, 0, []string{
			"Credential: in Authorization, scheme api_key, key " + key.ID, "Caller: u1; roles USER; tier pro.",
			"1. gateway_auth: passed", "2. gateway_limit: passed; found 4 left; wanted pro 5/1h.", "Limit pro (5/1h): 4 left.",
			"It would be passed to reverse_proxy " + up.addr(),
		}},
		{"described", []string{"--as", "owner=u9,role=ADMIN,tier=pro,scopes=a b", "GET", c.URL + "/admin"}, 0, []string{
			"Caller: u9; roles ADMIN; tier pro.", "gateway_roles: passed; found roles ADMIN; wanted any of ADMIN", "4 left",
		}},
		{"described, refused", []string{"--as", "owner=u9", "POST", c.URL + "/admin"}, 1, []string{"role_missing", "It would be refused with 403."}},
		{"nobody", []string{"GET", c.URL + "/v1"}, 1, []string{"no_credential"}},
		{"no method", []string{c.URL}, 2, []string{"write `caddy gateway check METHOD URL`"}},
		{"unknown flag", []string{"--nonsense", "GET", c.URL}, 2, []string{"unknown flag"}},
		{"bad header", []string{"-H", "X-Tenant", "GET", c.URL}, 2, []string{"write it as 'Name: value'"}},
		{"unknown name", []string{"--as", "name=u", "GET", c.URL}, 2, []string{"unknown name name"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			out, code := check(tc.args...)
			if code != tc.code {
				t.Errorf("got exit code %d, want %d", code, tc.code)
			}
			for _, want := range tc.want {
				if !strings.Contains(out, want) {
					t.Errorf("got %s\nwant %q", out, want)
				}
			}
			if strings.Contains(out, key.APIKey) {
				t.Error("the key is shown")
			}
		})
	}
	for body, want := range map[string]string{
		`{"url":"/v1"}`:                                       "write a whole URL",
		`{"url":"http://127.0.0.1:1/"}`:                       "no server of the running configuration listens there: they listen on :",
		`{"url":"$","ip":"here"}`:                             "is not an address",
		`{"url":"$","method":"A B"}`:                          "not the name of a method",
		`{"url":"$","as":{}}`:                                 "needs an owner",
		`{"url":"$","as":{"owner":"u\u0000"}}`:                "control characters",
		`{"url":"$","as":{"owner":"u","roles":["ROOT"]}}`:     "unknown role ROOT: use one of",
		`{"url":"$","as":{"owner":"u","tier":"gold"}}`:        "unknown tier gold",
		`{"url":"$","as":{"owner":"u","scheme":"magic"}}`:     "unknown scheme magic",
		`{"url":"$","as":{"owner":"u"},"key":"k"}`:            "give one of",
		`{"url":"$","key":"a\nb"}`:                            "no header can carry it",
		`{"url":"$","headers":[{"name":"A b","value":"c"}]}`:  "no request can have",
		`{"url":"$","headers":[{"name":"host","value":"c"}]}`: "Host is that of the URL",
		`{"url":"$","nonsense":1}`:                            "unknown field",
	} {
		body = strings.ReplaceAll(body, "$", c.URL)
		if got := admin(t, c, http.MethodPost, "/gateway/check", body); got.Status != 422 || !strings.Contains(got.Body, want) {
			t.Errorf("%s: got %d %s, want 422 with %q", body, got.Status, got.Body, want)
		}
	}
	for body, want := range map[string][]string{
		`{"url":"$/hello","as":{"subject":"u1"}}`:                                      {`"status":200`, `"passed_to":"static_response"`},
		`{"url":"$/v1","ip":"2001:db8::7","as":{"owner":"u1"}}`:                        {`"client_ip":"2001:db8::7"`, `"allowed":true`},
		`{"url":"$/v1","token":"` + token(t, claims("exp", 1)) + `"}`:                  {`"reason":"token_expired"`, `"status":401`, `"allowed":false`},
		`{"url":"$/v1","headers":[{"name":"x-api-key","value":"` + key.APIKey + `"}]}`: {`"credential_in":"X-API-Key"`, `"remaining":4`},
	} {
		got := admin(t, c, http.MethodPost, "/gateway/check", strings.ReplaceAll(body, "$", c.URL))
		for _, want := range want {
			if got.Status != 200 || !strings.Contains(got.Body, want) {
				t.Errorf("%s: got %d %s, want %s", body, got.Status, got.Body, want)
			}
		}
	}
	if up.count() != 0 {
		t.Errorf("the upstream was called %d times", up.count())
	}
	out, _ := check("--json", "--key", key.APIKey, "GET", c.URL+"/v1")
	var answer checked
	if err := json.Unmarshal([]byte(out), &answer); err != nil || !answer.Allowed || len(answer.Limits) != 1 || answer.Limits[0].Remaining != 4 {
		t.Errorf("got %v %s", err, out)
	}
	// Nothing was noted: neither the uses of the key nor a record of what was refused.
	var shown struct {
		LastUsedAt *string `json:"last_used_at"`
	}
	got := admin(t, c, http.MethodGet, "/gateway/keys/"+key.ID, "")
	if err := json.Unmarshal([]byte(got.Body), &shown); err != nil || shown.LastUsedAt != nil {
		t.Errorf("got %v %s, want a key that was never used", err, got.Body)
	}
	if got := admin(t, c, http.MethodGet, "/gateway/decisions/"+answer.Decision.RequestID, ""); got.Status != http.StatusNotFound {
		t.Errorf("got %d %s, want no record", got.Status, got.Body)
	}
}
