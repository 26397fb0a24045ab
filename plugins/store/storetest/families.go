package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/store"
)

// NewFamily makes a family of a user's tokens.
func NewFamily(t testing.TB, user string) plugins.TokenFamily {
	t.Helper()
	id := NewID(t)
	return plugins.TokenFamily{ID: id, User: user, Issuer: "main", Current: "jti-" + id, CreatedAt: base, ExpiresAt: base.Add(32 * time.Hour)}
}

// ends is the revocation by which one token ends.
func ends(t testing.TB) plugins.Revocation {
	t.Helper()
	return plugins.Revocation{ID: NewID(t), Kind: plugins.RevokeTokenID, Issuer: "main", CreatedAt: base.Add(time.Minute), ExpiresAt: base.Add(9 * time.Hour)}
}

func renewal(t testing.TB, f plugins.TokenFamily, next string) plugins.Renewal {
	t.Helper()
	return plugins.Renewal{Family: f.ID, Used: f.Current, Next: next, At: ends(t).CreatedAt, Epoch: 1, ExpiresAt: f.ExpiresAt.Add(time.Hour), Ends: ends(t)}
}

// revokedTokens are the ids of tokens that are revoked.
func revokedTokens(t testing.TB, s store.Store) map[string]bool {
	t.Helper()
	all, err := s.Revocations(ctx(), base)
	must(t, err)
	ids := map[string]bool{}
	for _, r := range all {
		if r.Kind == plugins.RevokeTokenID {
			ids[r.Value] = true
		}
	}
	return ids
}

// begin makes an account with a family of tokens.
func begin(t *testing.T, s store.Store) (plugins.User, plugins.TokenFamily) {
	t.Helper()
	u := NewUser(t)
	must(t, s.CreateUser(ctx(), u))
	f := NewFamily(t, u.ID)
	must(t, s.StartFamily(ctx(), f, 1))
	return u, f
}

func testStartFamilies(t *testing.T, open func(t *testing.T) store.Store) {
	t.Run("beginning", func(t *testing.T) {
		s := open(t)
		u, f := begin(t, s)
		got, err := s.Family(ctx(), f.ID)
		must(t, err)
		wantEqual(t, "family", got, f)
		_, err = s.Family(ctx(), "unknown")
		wantErr(t, "unknown", err, store.ErrNotFound)
		wantErr(t, "again", s.StartFamily(ctx(), f, 1), store.ErrExists)
		wantErr(t, "no account", s.StartFamily(ctx(), NewFamily(t, "unknown"), 1), store.ErrNotFound)
		wantErr(t, "another epoch", s.StartFamily(ctx(), NewFamily(t, u.ID), 2), store.ErrConflict)
		for name, spoil := range map[string]func(f *plugins.TokenFamily){
			"no id":             func(f *plugins.TokenFamily) { f.ID = "" },
			"no user":           func(f *plugins.TokenFamily) { f.User = "" },
			"no jti":            func(f *plugins.TokenFamily) { f.Current = "" },
			"no end":            func(f *plugins.TokenFamily) { f.ExpiresAt = time.Time{} },
			"NUL":               func(f *plugins.TokenFamily) { f.Issuer = "\x00" },
			"an iat of nothing": func(f *plugins.TokenFamily) { f.RenewedAt = base },
			"no iat":            func(f *plugins.TokenFamily) { f.Previous = "jti" },
		} {
			f := NewFamily(t, u.ID)
			spoil(&f)
			wantErr(t, name, s.StartFamily(ctx(), f, 1), store.ErrInvalid)
		}
		// What has expired goes when the next begins.
		next := NewFamily(t, u.ID)
		next.CreatedAt, next.ExpiresAt = f.ExpiresAt, f.ExpiresAt.Add(time.Hour)
		must(t, s.StartFamily(ctx(), next, 1))
		_, err = s.Family(ctx(), f.ID)
		wantErr(t, "expired", err, store.ErrNotFound)
		_, err = s.UpdateUser(ctx(), u.ID, plugins.UserChange{User: func(u *plugins.User) error { u.DisabledAt = base; return nil }})
		must(t, err)
		wantErr(t, "disabled", s.StartFamily(ctx(), NewFamily(t, u.ID), 1), store.ErrConflict)
	})
}

func testRenewFamilies(t *testing.T, open func(t *testing.T) store.Store) {
	t.Run("renewing and replaying", func(t *testing.T) {
		s := open(t)
		_, f := begin(t, s)
		r := renewal(t, f, "second")
		got, err := s.RenewFamily(ctx(), r)
		must(t, err)
		want := f
		want.Previous, want.Current, want.RenewedAt, want.ExpiresAt = f.Current, "second", r.At, r.ExpiresAt
		wantEqual(t, "renewed", got, want)
		got, err = s.Family(ctx(), f.ID)
		must(t, err)
		wantEqual(t, "kept", got, want)
		wantEqual(t, "revoked", revokedTokens(t, s), map[string]bool{f.Current: true})

		// The first token again: its family ends, the second token with it.
		again := renewal(t, f, "third")
		got, err = s.RenewFamily(ctx(), again)
		wantErr(t, "replay", err, store.ErrReplayed)
		want.RevokedAt = again.Ends.CreatedAt
		wantEqual(t, "replayed", got, want)
		got, err = s.Family(ctx(), f.ID)
		must(t, err)
		wantEqual(t, "kept after a replay", got, want)
		wantEqual(t, "revoked after a replay", revokedTokens(t, s), map[string]bool{f.Current: true, "second": true})
		for _, used := range []string{f.Current, "second", "third"} {
			r := renewal(t, f, "fourth")
			r.Used = used
			_, err = s.RenewFamily(ctx(), r)
			wantErr(t, "ended family", err, store.ErrConflict)
		}
		r.Family = "unknown"
		_, err = s.RenewFamily(ctx(), r)
		wantErr(t, "unknown family", err, store.ErrNotFound)
	})

	t.Run("refused renewals change nothing", func(t *testing.T) {
		s := open(t)
		u, f := begin(t, s)
		for name, c := range map[string]struct {
			spoil func(r *plugins.Renewal)
			want  error
		}{
			"another epoch": {func(r *plugins.Renewal) { r.Epoch = 2 }, store.ErrConflict},
			"no next":       {func(r *plugins.Renewal) { r.Next = "" }, store.ErrInvalid},
			"no end":        {func(r *plugins.Renewal) { r.ExpiresAt = time.Time{} }, store.ErrInvalid},
			"no revocation": {func(r *plugins.Renewal) { r.Ends = plugins.Revocation{} }, store.ErrInvalid},
			"no iat":        {func(r *plugins.Renewal) { r.At = time.Time{} }, store.ErrInvalid},
		} {
			r := renewal(t, f, "second")
			c.spoil(&r)
			_, err := s.RenewFamily(ctx(), r)
			wantErr(t, name, err, c.want)
		}
		got, err := s.Family(ctx(), f.ID)
		must(t, err)
		wantEqual(t, "family", got, f)
		wantEqual(t, "revoked", revokedTokens(t, s), map[string]bool{})
		_, err = s.UpdateUser(ctx(), u.ID, plugins.UserChange{User: func(u *plugins.User) error { u.DisabledAt = base; return nil }})
		must(t, err)
		_, err = s.RenewFamily(ctx(), renewal(t, f, "second"))
		wantErr(t, "disabled", err, store.ErrConflict)
	})

	t.Run("of many renewals at once one wins, and a replay ends the family", func(t *testing.T) {
		s := open(t)
		_, f := begin(t, s)
		var mu sync.Mutex
		won, replays := 0, 0
		run(t, 8, func(i int) error {
			_, err := s.RenewFamily(ctx(), renewal(t, f, fmt.Sprint("next", i)))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				won++
			case errors.Is(err, store.ErrReplayed):
				replays++
			default:
				return expect(err, store.ErrConflict)
			}
			return nil
		})
		wantEqual(t, "renewals that won", won, 1)
		wantEqual(t, "renewals that ended the family", replays, 1)
	})
}

func testEndFamilies(t *testing.T, open func(t *testing.T) store.Store) {
	t.Run("ending", func(t *testing.T) {
		s := open(t)
		_, f := begin(t, s)
		e := ends(t)
		got, err := s.EndFamily(ctx(), f.ID, e)
		must(t, err)
		want := f
		want.RevokedAt = e.CreatedAt
		wantEqual(t, "ended", got, want)
		wantEqual(t, "revoked", revokedTokens(t, s), map[string]bool{f.Current: true})
		later := ends(t)
		later.CreatedAt = e.CreatedAt.Add(time.Hour)
		got, err = s.EndFamily(ctx(), f.ID, later)
		must(t, err)
		wantEqual(t, "ended again", got, want)
		_, err = s.EndFamily(ctx(), "unknown", ends(t))
		wantErr(t, "unknown", err, store.ErrNotFound)
		_, err = s.EndFamily(ctx(), f.ID, plugins.Revocation{})
		wantErr(t, "no revocation", err, store.ErrInvalid)
	})
}
