package accounts

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins"
)

func TestLogOut(t *testing.T) {
	b := newBench()
	b.register(t, "user@example.com")
	_, p := b.logIn(t, "user@example.com")
	if refusal, err := b.LogOut(t.Context(), here, p); refusal != nil || err != nil {
		t.Fatalf("%+v, %v", refusal, err)
	}
	if !slices.Contains(b.revoked, p.Principal.TokenID) {
		t.Error("the token is not revoked")
	}
	p.Revoked = true
	_, refusal, err := b.Refresh(t.Context(), here, p)
	wantNo(t, "refresh after", refusal, err, http.StatusUnauthorized, plugins.ReasonTokenRevoked)

	foreign := Presented{Principal: &plugins.Principal{Subject: "x", Scheme: plugins.SchemeBearer, Issuer: "other", TokenID: "theirs"}}
	if refusal, err := b.LogOut(t.Context(), here, foreign); refusal != nil || err != nil || !slices.Contains(b.revoked, "theirs") {
		t.Errorf("a token of another issuer: %+v, %v, revoked %v", refusal, err, b.revoked)
	}
	foreign.Principal.TokenID = ""
	refusal, err = b.LogOut(t.Context(), here, foreign)
	wantNo(t, "no jti", refusal, err, http.StatusBadRequest, plugins.ReasonTokenClaimMissing)
	refusal, err = b.LogOut(t.Context(), here, Presented{Principal: &plugins.Principal{Scheme: plugins.SchemeAPIKey}})
	wantNo(t, "a key", refusal, err, http.StatusForbidden, plugins.ReasonTokenRequired)
}

func TestChangePassword(t *testing.T) {
	b := newBench()
	u := b.register(t, "user@example.com")
	_, p := b.logIn(t, "user@example.com")
	const next = "AnotherPass456"
	change := func(current, next string) (*Grant, *Refusal, error) {
		return b.ChangePassword(t.Context(), here, p.Principal, body(t, fmt.Sprintf(`{"current_password":%q,"new_password":%q}`, current, next)))
	}
	_, refusal, err := change("wrong", next)
	wantNo(t, "wrong password", refusal, err, http.StatusUnauthorized, plugins.ReasonLoginFailed)
	_, refusal, err = change(goodPassword, "weak")
	wantNo(t, "weak password", refusal, err, http.StatusUnprocessableEntity, plugins.ReasonBodyInvalid)
	at := b.clock
	grant, refusal, err := change(goodPassword, next)
	if refusal != nil || err != nil {
		t.Fatalf("%+v, %v", refusal, err)
	}
	if !slices.Contains(b.revoked, u.ID) {
		t.Error("the tokens of before are not revoked")
	}
	// Tokens end by the second: the new one is of a later one.
	if token := b.signed[grant.Token.Reveal()]; token.IssuedAt.Unix() <= at.Unix() || b.slept != 500*time.Millisecond {
		t.Errorf("got a token of %s after a change at %s, having slept %s", token.IssuedAt, at, b.slept)
	}
	_, refusal, err = b.Refresh(t.Context(), here, p)
	wantNo(t, "an earlier token", refusal, err, http.StatusUnauthorized, plugins.ReasonTokenRevoked)
	if grant, _, _ := b.try(t, "user@example.com", goodPassword); grant != nil {
		t.Error("the old password is taken")
	}
	if grant, _, _ := b.try(t, "user@example.com", next); grant == nil {
		t.Error("the new password is not taken")
	}
	key := &plugins.Principal{Subject: u.ID, Scheme: plugins.SchemeAPIKey}
	_, refusal, err = b.ChangePassword(t.Context(), here, key, body(t, `{"current_password":"`+next+`","new_password":"`+goodPassword+`"}`))
	wantNo(t, "by a key", refusal, err, http.StatusForbidden, plugins.ReasonTokenRequired)
}

// If two callers set a password at once, the second is told that the account changed.
func TestChangePasswordTwiceAtOnce(t *testing.T) {
	b := newBench()
	u := b.register(t, "user@example.com")
	_, p := b.logIn(t, "user@example.com")
	derive := b.Config.Hasher.options.Derive
	calls := 0
	b.Config.Hasher.options.Derive = func(password, salt []byte, time, memory uint32, threads uint8, n uint32) []byte {
		if calls++; calls == 2 {
			other := b.store.users[u.ID]
			other.PasswordHash = plugins.NewSecret("another")
			b.store.users[u.ID] = other
		}
		return derive(password, salt, time, memory, threads, n)
	}
	_, refusal, err := b.ChangePassword(t.Context(), here, p.Principal, body(t, `{"current_password":"`+goodPassword+`","new_password":"AnotherPass456"}`))
	wantNo(t, "twice at once", refusal, err, http.StatusConflict, plugins.ReasonAccountChanged)
	if got := b.store.users[u.ID].PasswordHash.Reveal(); got != "another" {
		t.Errorf("the second took the first's place: %q", got)
	}
}
