package accounts

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins"
)

func TestLogIn(t *testing.T) {
	b := newBench()
	u := b.register(t, "user@example.com")
	for _, username := range []string{"user@example.com", "USER@Example.com", " user@example.com "} {
		grant, refusal, err := b.try(t, username, goodPassword)
		if refusal != nil || err != nil {
			t.Fatalf("%s: %+v, %v", username, refusal, err)
		}
		token := b.signed[grant.Token.Reveal()]
		if token.Subject != u.ID || token.Role != "USER" || token.Tier != "free" || token.ExpiresAt.Sub(token.IssuedAt) != 8*time.Hour || token.Family == "" || len(token.ID) < 20 {
			t.Errorf("got the token %+v", token)
		}
		if grant.Role != "USER" || grant.ExpiresIn != 8*time.Hour {
			t.Errorf("got %+v", grant)
		}
	}
	if want := []string{"registration 192.0.2.1 +1", "known address user@example.com\x00192.0.2.1 +1"}; !slices.Equal(b.taken, want) {
		t.Errorf("counted %q, want %q", b.taken, want)
	}
	b.store.failing = errors.New("disk")
	_, refusal, err := b.try(t, "user@example.com", goodPassword)
	if unavailable, ok := errors.AsType[*plugins.Unavailable](err); refusal != nil || !ok || unavailable.Reason != plugins.ReasonStoreUnavailable {
		t.Errorf("store down: got %+v, %v", refusal, err)
	}
}

// Every failed log-in looks the same to the caller: the text, and the work behind it.
func TestLogInTellsNothing(t *testing.T) {
	b := newBench()
	b.register(t, "user@example.com")
	off := b.register(t, "off@example.com")
	if _, refusal, err := b.Disable(t.Context(), here, off.ID); refusal != nil || err != nil {
		t.Fatalf("%+v, %v", refusal, err)
	}
	if _, refusal, err := b.try(t, "first@example.com", "x"); refusal == nil || err != nil {
		t.Fatalf("%+v, %v", refusal, err)
	}
	var first plugins.Denial
	for i, tc := range []struct{ name, username, password string }{
		{"wrong password", "user@example.com", "x"},
		{"unknown", "nobody@example.com", goodPassword},
		{"disabled", "off@example.com", goodPassword},
		{"not an address", "nobody", goodPassword},
		{"empty", "", ""},
		{"too long to be one", "user@example.com", goodPassword + strings.Repeat("x", 2*maxPassword)},
	} {
		before, counted := b.hashes.Load(), len(b.taken)
		grant, refusal, err := b.try(t, tc.username, tc.password)
		wantNo(t, tc.name, refusal, err, http.StatusUnauthorized, plugins.ReasonLoginFailed)
		if grant != nil || refusal == nil {
			t.Fatalf("%s: got %+v", tc.name, grant)
		}
		if got := b.hashes.Load() - before; got != 1 {
			t.Errorf("%s: %d hashes, want 1", tc.name, got)
		}
		if got := b.taken[counted:]; len(got) != 2 || !strings.HasPrefix(got[0], "account ") || got[1] != "address 192.0.2.1 +1" {
			t.Errorf("%s: counted %q, want the account and the address", tc.name, got)
		}
		public := *refusal.Denial
		public.Value = ""
		if i == 0 {
			first = public
		}
		if fmt.Sprint(public) != fmt.Sprint(first) || public.Detail != DetailLogin {
			t.Errorf("%s: got %+v, want %+v", tc.name, public, first)
		}
	}
	// A password that was typed as the address is not kept.
	if _, refusal, _ := b.try(t, goodPassword, ""); refusal == nil {
		t.Error("got no refusal")
	}
	for _, e := range b.trail {
		if strings.Contains(fmt.Sprint(e), goodPassword) {
			t.Errorf("the audit trail has a password: %+v", e)
		}
	}
}

// A prefix of as many bytes as are looked at is not the password.
func TestPasswordIsWhole(t *testing.T) {
	b := newBench()
	long := "Aa1" + strings.Repeat("x", maxPassword-3)
	if _, refusal, err := b.Register(t.Context(), here, body(t, `{"email":"user@example.com","password":"`+long+`","full_name":""}`)); refusal != nil || err != nil {
		t.Fatalf("%+v, %v", refusal, err)
	}
	if grant, _, _ := b.try(t, "user@example.com", long+"y"); grant != nil {
		t.Error("a longer password was taken")
	}
	if grant, _, _ := b.try(t, "user@example.com", long); grant == nil {
		t.Error("the password was not taken")
	}
}

// What was begun before an account changed can't be completed after it.
func TestLogInRacesWithDisable(t *testing.T) {
	b := newBench()
	u := b.register(t, "user@example.com")
	b.Config.Hasher.options.Derive = func(password, salt []byte, _, _ uint32, _ uint8, n uint32) []byte {
		if _, refusal, err := b.Disable(t.Context(), here, u.ID); refusal != nil || err != nil {
			t.Errorf("%+v, %v", refusal, err)
		}
		if _, refusal, err := b.Enable(t.Context(), here, u.ID); refusal != nil || err != nil {
			t.Errorf("%+v, %v", refusal, err)
		}
		return []byte(fmt.Sprintf("%-*s", n, string(password)+string(salt)))[:n]
	}
	grant, refusal, err := b.try(t, "user@example.com", goodPassword)
	wantNo(t, "disabled and enabled meanwhile", refusal, err, http.StatusUnauthorized, plugins.ReasonLoginFailed)
	if grant != nil {
		t.Error("a token was given")
	}
}
