package caddymodule_test

import (
	"strings"
	"testing"
)

// Issue 18: the document's model of a registration needs a full_name, and without it
// the answer was 201.
func TestRegistrationRequire(t *testing.T) {
	const missing = `{"detail":[{"loc":["body","full_name"],"msg":"field required","type":"value_error.missing"}]}`
	const blank = `{"detail":[{"loc":["body","full_name"],"msg":"ensure this value has at least 1 characters","type":"value_error.any_str.min_length"}]}`
	const null = `{"detail":[{"loc":["body","full_name"],"msg":"none is not an allowed value","type":"type_error.none.not_allowed"}]}`
	c := start(t, gatewayOptions(roomy), strings.Replace(accountsSite, "login_limit off", "login_limit off\nrequire full_name", 1), "$UPSTREAM", "127.0.0.1:9")
	for _, tc := range []struct {
		name, field string
		status      int
		want        string
	}{
		{"missing", ``, 422, missing},
		{"null", `,"full_name":null`, 422, null},
		{"empty", `,"full_name":""`, 422, blank},
		{"blank", `,"full_name":" "`, 422, blank},
		{"a number", `,"full_name":1`, 422, `{"detail":[{"loc":["body","full_name"],"msg":"str type expected","type":"type_error.str"}]}`},
		{"given", `,"full_name":"John Doe"`, 201, ``},
	} {
		got := (&person{t: t, c: c}).ask("POST", "/v1/auth/register", `{"email":"user@example.com","password":"SecurePass123!"`+tc.field+`}`)
		if got.Status != tc.status || tc.want != "" && got.Body != tc.want {
			t.Errorf("%s: got %d %s, want %d %s", tc.name, got.Status, got.Body, tc.status, tc.want)
		}
	}
}
