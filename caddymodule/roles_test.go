package caddymodule_test

import (
	"net/http"
	"strings"
	"testing"
)

func TestRoles(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions(""), `
	gateway_errors
	@authenticated not path /open/*
	gateway_auth @authenticated {
		failures off
	}
	gateway_roles /admin/* ADMIN
	gateway_roles /dev/* ADMIN DEVELOPER
	gateway_roles /open/* USER
	gateway_roles /scoped/* {
		scopes all read write
	}
	gateway_roles /any/* USER {
		scopes any read write
	}
	@own path_regexp user ^/users/([^/]+)
	gateway_roles @own {
		owner {re.user.1}
	}
	@strict path_regexp user ^/strict/([^/]+)
	gateway_roles @strict {
		owner {re.user.1}
		bypass none
	}
	gateway_roles /shadow/* ADMIN {
		shadow
	}
	reverse_proxy $UPSTREAM`, "$UPSTREAM", up.addr())
	for _, tc := range []struct {
		path   string
		claims []any
		want   int
	}{
		{"/admin/x", []any{"role", "ADMIN"}, 200},
		{"/admin/x", []any{"role", "DEVELOPER"}, 403},
		{"/admin/x", []any{"role", "admin"}, 403},
		{"/admin/x", []any{"role", "ADMINISTRATOR"}, 403},
		{"/admin/x", []any{"role", 7}, 403},
		{"/admin/x", []any{"role", []any{}}, 403},
		{"//admin/x", []any{"role", "USER"}, 400},
		{"/admin%2Fx", []any{"role", "USER"}, 400},
		{"/%61dmin/x", []any{"role", "USER"}, 403},
		{"/ADMIN/x", []any{"role", "USER"}, 403},
		{"/x/../admin/x", []any{"role", "USER"}, 400},
		{"/dev/x", []any{"role", "DEVELOPER"}, 200},
		{"/dev/x", []any{"role", "ADMIN"}, 200},
		{"/dev/x", []any{"role", nil, "roles", []string{"USER", "DEVELOPER"}}, 200},
		{"/dev/x", []any{"role", "USER"}, 403},
		{"/scoped/x", []any{"scope", "write read"}, 200},
		{"/scoped/x", []any{"scp", []string{"read", "write"}}, 200},
		{"/scoped/x", []any{"scope", "read"}, 403},
		{"/scoped/x", []any{"scope", "readwrite"}, 403},
		{"/any/x", []any{"scope", "other write"}, 200},
		{"/any/x", []any{"scope", "other"}, 403},
		{"/users/u1", nil, 200},
		{"/users/u1/keys", nil, 200},
		{"/users/u2", nil, 403},
		{"/users/u2", []any{"role", "ADMIN"}, 200},
		{"/strict/u2", []any{"role", "ADMIN"}, 403},
		{"/shadow/x", nil, 200},
	} {
		up.forget()
		got := c.Get(tc.path, "Authorization", bearer(t, tc.claims...))
		if got.Status != tc.want {
			t.Errorf("%s with %v: got %d %s, want %d", tc.path, tc.claims, got.Status, got.Body, tc.want)
		}
		if tc.want == http.StatusBadRequest {
			wantError(t, got, 400, "Bad Request")
		}
		if tc.want == http.StatusForbidden {
			wantError(t, got, 403, "Insufficient permissions")
			challenge := got.Header.Get("WWW-Authenticate")
			if scoped := strings.Contains(tc.path, "scoped") || strings.Contains(tc.path, "any"); scoped != strings.Contains(challenge, "insufficient_scope") {
				t.Errorf("%s: got challenge %q", tc.path, challenge)
			}
		}
		if called := up.count() != 0; called != (tc.want == 200) {
			t.Errorf("%s: upstream called: %v", tc.path, called)
		}
	}
	t.Run("nobody authenticated is never open", func(t *testing.T) {
		got := c.Get("/open/x", "X-User-Role", "USER")
		wantError(t, got, http.StatusUnauthorized, "Could not validate credentials")
		if got.Header.Get("WWW-Authenticate") != `Bearer realm="api"` {
			t.Errorf("got challenge %q, want a bare one", got.Header.Get("WWW-Authenticate"))
		}
	})
}
