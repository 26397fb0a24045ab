package storetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/store"
)

// Reuse is the interval of the cases below.
const reuse = 10 * time.Second

// again is a renewal of a token that was renewed already, so long after the first.
func again(t testing.TB, first plugins.Renewal, next string, after time.Duration) plugins.Renewal {
	t.Helper()
	first.Next, first.At, first.Reuse, first.Ends = next, first.At.Add(after), reuse, ends(t)
	return first
}

func testReuseFamilies(t *testing.T, open func(t *testing.T) store.Store) {
	// renewed makes a family whose first token was renewed once.
	renewed := func(t *testing.T) (s store.Store, u plugins.User, first plugins.Renewal, f plugins.TokenFamily) {
		t.Helper()
		s = open(t)
		u, f = begin(t, s)
		first = renewal(t, f, "second")
		f, err := s.RenewFamily(ctx(), first)
		must(t, err)
		return s, u, first, f
	}

	t.Run("the previous token stands for the current one for a while", func(t *testing.T) {
		for name, after := range map[string]time.Duration{
			"at once": 0, "at the end": reuse, "by a clock that is behind": -reuse,
		} {
			s, _, first, f := renewed(t)
			got, err := s.RenewFamily(ctx(), again(t, first, "third", after))
			must(t, err)
			wantEqual(t, name, got, f)
			got, err = s.Family(ctx(), f.ID)
			must(t, err)
			wantEqual(t, name+": kept", got, f)
			wantEqual(t, name+": revoked", revokedTokens(t, s), map[string]bool{first.Used: true})
		}
	})

	t.Run("then it is a replay", func(t *testing.T) {
		for name, c := range map[string]struct {
			after time.Duration
			spoil func(r *plugins.Renewal)
		}{
			"too late":                {reuse + time.Second, func(*plugins.Renewal) {}},
			"by a clock far behind":   {-reuse - time.Second, func(*plugins.Renewal) {}},
			"where there is no reuse": {0, func(r *plugins.Renewal) { r.Reuse = 0 }},
			"of an unknown token":     {0, func(r *plugins.Renewal) { r.Used = "jti" }},
			"without a token":         {0, func(r *plugins.Renewal) { r.Used = "" }},
		} {
			s, _, first, f := renewed(t)
			r := again(t, first, "third", c.after)
			c.spoil(&r)
			got, err := s.RenewFamily(ctx(), r)
			wantErr(t, name, err, store.ErrReplayed)
			f.RevokedAt = first.Ends.CreatedAt
			wantEqual(t, name, got, f)
			wantEqual(t, name+": revoked", revokedTokens(t, s), map[string]bool{first.Used: true, "second": true})
		}
	})

	t.Run("a token whose successor was renewed too is a replay", func(t *testing.T) {
		s, _, first, _ := renewed(t)
		second := again(t, first, "third", time.Second)
		second.Used = "second"
		_, err := s.RenewFamily(ctx(), second)
		must(t, err)
		_, err = s.RenewFamily(ctx(), again(t, first, "fourth", time.Second))
		wantErr(t, "the first", err, store.ErrReplayed)
		_, err = s.RenewFamily(ctx(), again(t, second, "fourth", 0))
		wantErr(t, "the second, of a family that has ended", err, store.ErrConflict)
		wantEqual(t, "revoked", revokedTokens(t, s), map[string]bool{first.Used: true, "second": true, "third": true})
	})

	t.Run("what has ended gives nothing", func(t *testing.T) {
		s, _, first, f := renewed(t)
		_, err := s.EndFamily(ctx(), f.ID, ends(t))
		must(t, err)
		_, err = s.RenewFamily(ctx(), again(t, first, "third", 0))
		wantErr(t, "family", err, store.ErrConflict)

		s, u, first, _ := renewed(t)
		_, err = s.UpdateUser(ctx(), u.ID, plugins.UserChange{Tokens: allTokens(t, u.ID, base.Add(time.Hour))})
		must(t, err)
		_, err = s.RenewFamily(ctx(), again(t, first, "third", 0))
		wantErr(t, "all tokens", err, store.ErrConflict)

		s, u, first, _ = renewed(t)
		_, err = s.UpdateUser(ctx(), u.ID, plugins.UserChange{User: func(u *plugins.User) error { u.DisabledAt = base; return nil }})
		must(t, err)
		_, err = s.RenewFamily(ctx(), again(t, first, "third", 0))
		wantErr(t, "disabled", err, store.ErrConflict)
		other := again(t, first, "third", 0)
		other.Epoch = 2
		_, err = s.RenewFamily(ctx(), other)
		wantErr(t, "another epoch", err, store.ErrConflict)
	})

	t.Run("many at once get one token", func(t *testing.T) {
		s := open(t)
		_, f := begin(t, s)
		RenewAtOnce(t, f, s)
	})
}

// RenewAtOnce renews the token of a family twenty times at once, by the stores in
// turn: one makes the new token, and all get it.
func RenewAtOnce(t *testing.T, f plugins.TokenFamily, stores ...store.Store) {
	t.Helper()
	var mu sync.Mutex
	current := map[string]int{}
	const times = 20
	run(t, times, func(i int) error {
		r := renewal(t, f, fmt.Sprint("next", i))
		r.Reuse = reuse
		got, err := stores[i%len(stores)].RenewFamily(ctx(), r)
		mu.Lock()
		defer mu.Unlock()
		current[got.Current]++
		return err
	})
	if len(current) != 1 {
		t.Errorf("got the tokens %v, want one, %d times", current, times)
	}
	wantEqual(t, "revoked", revokedTokens(t, stores[0]), map[string]bool{f.Current: true})
}
