package accounts

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins"
)

func TestRefresh(t *testing.T) {
	b := newBench()
	u := b.register(t, "user@example.com")
	_, first := b.logIn(t, "user@example.com")
	grant, refusal, err := b.Refresh(t.Context(), here, first)
	if refusal != nil || err != nil {
		t.Fatalf("%+v, %v", refusal, err)
	}
	second := b.present(grant)
	if second.Principal.TokenID == first.Principal.TokenID || second.Family != first.Family || second.Principal.Subject != u.ID {
		t.Errorf("got %+v after %+v", second, first)
	}
	if !slices.Contains(b.revoked, first.Principal.TokenID) || second.Revoked {
		t.Errorf("revoked are %v", b.revoked)
	}

	// The rights are those of the account now.
	if _, err := b.store.UpdateUser(t.Context(), u.ID, plugins.UserChange{User: func(u *plugins.User) error { u.Role, u.Tier = "DEVELOPER", "pro"; return nil }}); err != nil {
		t.Fatal(err)
	}
	grant, refusal, err = b.Refresh(t.Context(), here, second)
	if refusal != nil || err != nil {
		t.Fatalf("%+v, %v", refusal, err)
	}
	if token := b.signed[grant.Token.Reveal()]; token.Role != "DEVELOPER" || token.Tier != "pro" {
		t.Errorf("got %+v", token)
	}

	// The second again: its family ends, with the third.
	third := b.present(grant)
	_, refusal, err = b.Refresh(t.Context(), here, second)
	wantNo(t, "replay", refusal, err, http.StatusUnauthorized, plugins.ReasonTokenReplayed)
	if !slices.Contains(b.revoked, third.Principal.TokenID) {
		t.Errorf("after a replay the family goes on: revoked are %v", b.revoked)
	}
	_, refusal, err = b.Refresh(t.Context(), here, b.present(grant))
	wantNo(t, "of an ended family", refusal, err, http.StatusUnauthorized, plugins.ReasonTokenRevoked)
}

func TestRefreshRefuses(t *testing.T) {
	for _, tc := range []struct {
		name   string
		spoil  func(b *bench, p *Presented)
		reason plugins.Reason
	}{
		{"no family", func(_ *bench, p *Presented) { p.Family = "" }, plugins.ReasonTokenClaimMissing},
		{"no jti", func(_ *bench, p *Presented) { p.Principal.TokenID = "" }, plugins.ReasonTokenClaimMissing},
		{"unknown family", func(_ *bench, p *Presented) { p.Family = "x" }, plugins.ReasonTokenRevoked},
		{"somebody else's family", func(_ *bench, p *Presented) { p.Principal.Subject = "x" }, plugins.ReasonTokenRevoked},
		{"revoked", func(_ *bench, p *Presented) { p.Revoked = true }, plugins.ReasonTokenRevoked},
		{"of another issuer's log-in", func(b *bench, _ *Presented) { b.Issuer = "other" }, plugins.ReasonTokenRevoked},
		{"account gone", func(b *bench, p *Presented) { delete(b.store.users, p.Principal.Subject) }, plugins.ReasonAccountUnknown},
		{"account disabled", func(b *bench, p *Presented) {
			u := b.store.users[p.Principal.Subject]
			u.DisabledAt = b.clock
			b.store.users[u.ID] = u
		}, plugins.ReasonAccountDisabled},
	} {
		b := newBench()
		b.register(t, "user@example.com")
		_, p := b.logIn(t, "user@example.com")
		tc.spoil(b, &p)
		grant, refusal, err := b.Refresh(t.Context(), here, p)
		wantNo(t, tc.name, refusal, err, http.StatusUnauthorized, tc.reason)
		if grant != nil || refusal.Denial.Detail != DetailCredentials {
			t.Errorf("%s: got %+v, %+v", tc.name, grant, refusal.Denial)
		}
	}
}

// refresh renews a token, which must be possible.
func (b *bench) refresh(t testing.TB, p Presented) (*Grant, Presented) {
	t.Helper()
	grant, refusal, err := b.Refresh(context.Background(), here, p)
	if refusal != nil || err != nil {
		t.Fatalf("refreshing: %+v, %v", refusal, err)
	}
	return grant, b.present(grant)
}

// newReuseBench is a bench whose tokens can be refreshed again for ten seconds.
func newReuseBench(t testing.TB) (*bench, plugins.User, Presented) {
	t.Helper()
	b := newBench()
	b.ReuseInterval = 10 * time.Second
	u := b.register(t, "user@example.com")
	_, p := b.logIn(t, "user@example.com")
	return b, u, p
}

func TestRefreshAgain(t *testing.T) {
	b, _, first := newReuseBench(t)
	grant, second := b.refresh(t, first)
	want := b.signed[grant.Token.Reveal()]
	first.Revoked = true
	for _, after := range []time.Duration{0, 4 * time.Second, 6 * time.Second} {
		b.pass(after)
		again, _ := b.refresh(t, first)
		if got := b.signed[again.Token.Reveal()]; !reflect.DeepEqual(got, want) || again.Token != grant.Token || !again.Again {
			t.Errorf("got %+v, want %+v", got, want)
		}
		if left := want.ExpiresAt.Sub(b.now()); again.ExpiresIn != left {
			t.Errorf("got expires_in %s of a token that is good for %s", again.ExpiresIn, left)
		}
	}
	if got := b.trail[len(b.trail)-1]; got.Action != "token.refresh" || got.Result != "ok: the same token again" {
		t.Errorf("the trail ends with %+v", got)
	}
	if !slices.Equal(b.revoked, []string{first.Principal.TokenID}) {
		t.Errorf("revoked are %v", b.revoked)
	}
	b.pass(time.Second)
	_, refusal, err := b.Refresh(t.Context(), here, first)
	wantNo(t, "after the interval", refusal, err, http.StatusUnauthorized, plugins.ReasonTokenReplayed)
	if !slices.Contains(b.revoked, second.Principal.TokenID) {
		t.Errorf("the family goes on: revoked are %v", b.revoked)
	}
}

// What ends a log-in ends it within the interval too.
func TestRefreshAgainRefuses(t *testing.T) {
	for _, tc := range []struct {
		name   string
		spoil  func(t *testing.T, b *bench, u plugins.User, second Presented)
		reason plugins.Reason
	}{
		{"the new token was refreshed too", func(t *testing.T, b *bench, _ plugins.User, second Presented) { b.refresh(t, second) }, plugins.ReasonTokenReplayed},
		{"logged out", func(t *testing.T, b *bench, _ plugins.User, second Presented) {
			if refusal, err := b.LogOut(t.Context(), here, second); refusal != nil || err != nil {
				t.Fatalf("%+v, %v", refusal, err)
			}
		}, plugins.ReasonTokenRevoked},
		{"disabled and enabled", func(t *testing.T, b *bench, u plugins.User, _ Presented) {
			if _, refusal, err := b.Disable(t.Context(), here, u.ID); refusal != nil || err != nil {
				t.Fatalf("%+v, %v", refusal, err)
			}
			if _, refusal, err := b.Enable(t.Context(), here, u.ID); refusal != nil || err != nil {
				t.Fatalf("%+v, %v", refusal, err)
			}
		}, plugins.ReasonTokenRevoked},
		{"another role", func(t *testing.T, b *bench, u plugins.User, _ Presented) {
			if _, refusal, err := b.Update(t.Context(), here, u.ID, body(t, `{"role":"ADMIN"}`)); refusal != nil || err != nil {
				t.Fatalf("%+v, %v", refusal, err)
			}
		}, plugins.ReasonTokenRevoked},
		{"the new token is revoked, and was presented", func(t *testing.T, b *bench, _ plugins.User, second Presented) {
			second.Revoked = true
			_, refusal, err := b.Refresh(t.Context(), here, second)
			wantNo(t, "the new token", refusal, err, http.StatusUnauthorized, plugins.ReasonTokenRevoked)
		}, plugins.ReasonTokenRevoked},
		{"the new token is revoked by an operator", func(_ *testing.T, b *bench, _ plugins.User, second Presented) {
			b.IsRevoked = func(_ context.Context, token plugins.Secret) (bool, error) {
				return b.signed[token.Reveal()].ID == second.Principal.TokenID, nil
			}
		}, plugins.ReasonTokenRevoked},
		{"no interval", func(_ *testing.T, b *bench, _ plugins.User, _ Presented) { b.ReuseInterval = 0 }, plugins.ReasonTokenReplayed},
		{"a token that would have expired", func(_ *testing.T, b *bench, _ plugins.User, _ Presented) {
			b.TokenLifetime = time.Second
			b.pass(time.Second)
		}, plugins.ReasonTokenReplayed},
	} {
		b, u, first := newReuseBench(t)
		_, second := b.refresh(t, first)
		first.Revoked = true
		tc.spoil(t, b, u, second)
		grant, refusal, err := b.Refresh(t.Context(), here, first)
		wantNo(t, tc.name, refusal, err, http.StatusUnauthorized, tc.reason)
		if grant != nil {
			t.Errorf("%s: got %+v", tc.name, grant)
		}
		if f := b.store.families[first.Family]; f.RevokedAt.IsZero() {
			t.Errorf("%s: the family goes on: %+v", tc.name, f)
		}
	}
}

func TestRefreshAgainUndecided(t *testing.T) {
	b, _, first := newReuseBench(t)
	b.refresh(t, first)
	b.IsRevoked = func(context.Context, plugins.Secret) (bool, error) {
		return false, errors.New("no revocations were read")
	}
	grant, refusal, err := b.Refresh(t.Context(), here, first)
	if u, is := errors.AsType[*plugins.Unavailable](err); grant != nil || refusal != nil || !is || u.Reason != plugins.ReasonStoreUnavailable {
		t.Errorf("got %+v, %+v, %v; want it to be unavailable", grant, refusal, err)
	}
}

// If many callers renew one token at once, one wins. The others get the same token within
// the interval, and without an interval they end the family.
func TestRefreshInParallel(t *testing.T) {
	for _, tc := range []struct {
		name     string
		interval time.Duration
		tokens   int
		ended    bool
	}{
		{"with an interval", 10 * time.Second, 20, false},
		{"without", 0, 1, true},
	} {
		b, _, p := newReuseBench(t)
		b.ReuseInterval = tc.interval
		var group sync.WaitGroup
		var mu sync.Mutex
		given := map[string]int{}
		for range 20 {
			group.Go(func() {
				grant, refusal, err := b.Refresh(context.Background(), here, p)
				if err != nil {
					t.Error(err)
				}
				if grant != nil && refusal == nil {
					mu.Lock()
					defer mu.Unlock()
					given[grant.Token.Reveal()]++
				}
			})
		}
		group.Wait()
		f := b.store.families[p.Family]
		if got := given["token "+f.Current]; got != tc.tokens || len(given) != 1 {
			t.Errorf("%s: got the tokens %v, want one, %d times", tc.name, given, tc.tokens)
		}
		if ended := slices.Contains(b.revoked, f.Current); ended != tc.ended || f.RevokedAt.IsZero() == tc.ended {
			t.Errorf("%s: the family is %+v, its token revoked: %t", tc.name, f, ended)
		}
	}
}
