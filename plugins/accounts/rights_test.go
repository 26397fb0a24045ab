package accounts

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/ainative/portcullis/plugins"
)

func TestDisable(t *testing.T) {
	b := newBench()
	u := b.register(t, "user@example.com")
	_, p := b.logIn(t, "user@example.com")
	b.store.keys["k"] = plugins.APIKey{ID: "k", Owner: u.ID}
	if _, refusal, err := b.Disable(t.Context(), here, u.ID); refusal != nil || err != nil {
		t.Fatalf("%+v, %v", refusal, err)
	}
	if !slices.Contains(b.revoked, u.ID) || b.store.keys["k"].RevokedAt.IsZero() {
		t.Errorf("revoked are %v and the key %+v", b.revoked, b.store.keys["k"])
	}
	if _, refusal, err := b.Enable(t.Context(), here, u.ID); refusal != nil || err != nil {
		t.Fatalf("%+v, %v", refusal, err)
	}
	_, refusal, err := b.Refresh(t.Context(), here, p)
	wantNo(t, "a token from before", refusal, err, http.StatusUnauthorized, plugins.ReasonTokenRevoked)
	if _, now := b.logIn(t, "user@example.com"); now.Principal.Subject != u.ID {
		t.Errorf("got %+v", now)
	}
	_, refusal, err = b.Disable(t.Context(), here, "nobody")
	wantNo(t, "nobody", refusal, err, http.StatusNotFound, plugins.ReasonAccountUnknown)
}

func TestUpdateLowersKeys(t *testing.T) {
	for _, tc := range []struct {
		name      string
		body      string
		key, want plugins.APIKey
	}{
		{"demoted", `{"role":"USER"}`, plugins.APIKey{Role: "ADMIN", Tier: "free"}, plugins.APIKey{Role: "USER", Tier: "free"}},
		{"still within", `{"role":"DEVELOPER"}`, plugins.APIKey{Role: "USER"}, plugins.APIKey{Role: "USER"}},
		{"the default role is within", `{"role":"USER"}`, plugins.APIKey{}, plugins.APIKey{}},
		{"another tier", `{"tier":"pro"}`, plugins.APIKey{Tier: "free"}, plugins.APIKey{Tier: "pro"}},
		{"a tier of its own stays", `{"tier":"pro"}`, plugins.APIKey{Tier: "enterprise"}, plugins.APIKey{Tier: "enterprise"}},
		{"scopes", `{"scopes":["read"]}`, plugins.APIKey{Scopes: []string{"read", "write", "special"}}, plugins.APIKey{Scopes: []string{"read", "special"}}},
		{"a name", `{"full_name":"X"}`, plugins.APIKey{Role: "ADMIN", Tier: "free"}, plugins.APIKey{Role: "ADMIN", Tier: "free"}},
	} {
		b := newBench()
		u := b.register(t, "user@example.com")
		u.Role, u.Scopes = "ADMIN", []string{"read", "write"}
		b.store.users[u.ID] = u
		b.store.keys["k"] = tc.key
		got, refusal, err := b.Update(t.Context(), here, u.ID, body(t, tc.body))
		if refusal != nil || err != nil {
			t.Fatalf("%s: %+v, %v", tc.name, refusal, err)
		}
		if fmt.Sprint(b.store.keys["k"]) != fmt.Sprint(tc.want) {
			t.Errorf("%s: got the key %+v, want %+v", tc.name, b.store.keys["k"], tc.want)
		}
		if ended := slices.Contains(b.revoked, u.ID); ended == (tc.name == "a name") {
			t.Errorf("%s: tokens ended: %t; %+v", tc.name, ended, got)
		}
	}
	b := newBench()
	u := b.register(t, "user@example.com")
	_, refusal, err := b.Update(t.Context(), here, u.ID, body(t, `{"role":"ROOT"}`))
	wantNo(t, "unknown role", refusal, err, http.StatusUnprocessableEntity, plugins.ReasonBodyInvalid)
}
