package storetest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/store"
)

// NewUser makes an account with every field set, of an address that no other has.
func NewUser(t testing.TB) plugins.User {
	t.Helper()
	id := NewID(t)
	return plugins.User{
		ID: id, Email: id + "@example.com", Address: id + "@Example.com", FullName: "John Doe", PasswordHash: plugins.NewSecret("$argon2id$v=19$"),
		Role: "USER", Tier: "free", Scopes: []string{"read"}, CreatedAt: base, PasswordSetAt: base, Epoch: 1,
	}
}

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

// allTokens is the revocation by which all tokens of a user end.
func allTokens(t testing.TB, user string, at time.Time) *plugins.Revocation {
	t.Helper()
	return &plugins.Revocation{ID: NewID(t), Kind: plugins.RevokeSubject, Value: user, IssuedBefore: at, CreatedAt: at, ExpiresAt: at.Add(9 * time.Hour)}
}

func renewal(t testing.TB, f plugins.TokenFamily, next string) plugins.Renewal {
	t.Helper()
	return plugins.Renewal{Family: f.ID, Used: f.Current, Next: next, Epoch: 1, ExpiresAt: f.ExpiresAt.Add(time.Hour), Ends: ends(t)}
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

func testCreateUsers(t *testing.T, open func(t *testing.T) store.Store) {
	t.Run("what is created comes back", func(t *testing.T) {
		s := open(t)
		empty, err := s.Users(ctx(), store.UserFilter{})
		must(t, err)
		wantEqual(t, "empty", empty, []plugins.User{})
		full, bare := NewUser(t), NewUser(t)
		full.DisabledAt, full.TokensEndedAt, full.Epoch = base.Add(time.Hour), base.Add(time.Minute), 7
		bare.Scopes, bare.FullName, bare.Address, bare.PasswordSetAt = nil, "", "", time.Time{}
		for _, want := range []plugins.User{full, bare} {
			must(t, s.CreateUser(ctx(), want))
			got, err := s.User(ctx(), want.ID)
			must(t, err)
			wantEqual(t, "by id", got, want)
			got, err = s.UserByEmail(ctx(), want.Email)
			must(t, err)
			wantEqual(t, "by email", got, want)
		}
		all, err := s.Users(ctx(), store.UserFilter{})
		must(t, err)
		wantEqual(t, "all", all, []plugins.User{full, bare})
		page, err := s.Users(ctx(), store.UserFilter{After: full.ID, Limit: 1})
		must(t, err)
		wantEqual(t, "second page", page, []plugins.User{bare})
	})

	t.Run("ids and addresses are there once", func(t *testing.T) {
		s, u := open(t), NewUser(t)
		must(t, s.CreateUser(ctx(), u))
		sameID, sameEmail := NewUser(t), NewUser(t)
		sameID.ID, sameEmail.Email = u.ID, u.Email
		wantErr(t, "same id", s.CreateUser(ctx(), sameID), store.ErrExists)
		wantErr(t, "same email", s.CreateUser(ctx(), sameEmail), store.ErrExists)
		_, err := s.User(ctx(), sameEmail.ID)
		wantErr(t, "refused account", err, store.ErrNotFound)
		_, err = s.UserByEmail(ctx(), strings.ToUpper(u.Email))
		wantErr(t, "another spelling", err, store.ErrNotFound)
		var mu sync.Mutex
		made := 0
		email := NewID(t) + "@example.com"
		run(t, 8, func(int) error {
			u := NewUser(t)
			u.Email = email
			err := s.CreateUser(ctx(), u)
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				made++
				return nil
			}
			return expect(err, store.ErrExists)
		})
		wantEqual(t, "accounts made at once with one address", made, 1)
	})

	t.Run("text is data", func(t *testing.T) {
		s := open(t)
		for _, text := range hostile {
			u := NewUser(t)
			u.Email, u.Address, u.FullName, u.Role, u.Tier, u.Scopes = text, text, text, text, text, []string{text}
			must(t, s.CreateUser(ctx(), u))
			got, err := s.UserByEmail(ctx(), text)
			must(t, err)
			wantEqual(t, "account of "+text, got, u)
		}
	})

	t.Run("invalid accounts are refused", func(t *testing.T) {
		s := open(t)
		for name, spoil := range map[string]func(u *plugins.User){
			"no id":       func(u *plugins.User) { u.ID = "" },
			"no email":    func(u *plugins.User) { u.Email = "" },
			"no password": func(u *plugins.User) { u.PasswordHash = plugins.Secret{} },
			"no role":     func(u *plugins.User) { u.Role = "" },
			"no tier":     func(u *plugins.User) { u.Tier = "" },
			"no time":     func(u *plugins.User) { u.CreatedAt = time.Time{} },
			"epoch 0":     func(u *plugins.User) { u.Epoch = 0 },
			"NUL":         func(u *plugins.User) { u.FullName = "\x00" },
			"not UTF-8":   func(u *plugins.User) { u.Scopes = []string{"\xff"} },
			"long text":   func(u *plugins.User) { u.FullName = strings.Repeat("x", store.MaxText+1) },
			"long list":   func(u *plugins.User) { u.Scopes = make([]string, store.MaxList+1) },
		} {
			u := NewUser(t)
			spoil(&u)
			wantErr(t, name, s.CreateUser(ctx(), u), store.ErrInvalid)
		}
	})
}

// account is a stored user with keys and families, beside those of somebody else.
type account struct {
	user, other         plugins.User
	working, ended      plugins.APIKey // of user
	foreign             plugins.APIKey // of a third
	family, otherFamily plugins.TokenFamily
}

func newAccount(t *testing.T, s store.Store) account {
	t.Helper()
	a := account{user: NewUser(t), other: NewUser(t), working: NewKey(t), ended: NewKey(t), foreign: NewKey(t)}
	must(t, s.CreateUser(ctx(), a.user))
	must(t, s.CreateUser(ctx(), a.other))
	a.working.Owner, a.ended.Owner = a.user.ID, a.user.ID
	a.ended.RevokedAt = base
	create(t, s, a.working, a.ended, a.foreign)
	a.family, a.otherFamily = NewFamily(t, a.user.ID), NewFamily(t, a.other.ID)
	must(t, s.StartFamily(ctx(), a.family, 1))
	must(t, s.StartFamily(ctx(), a.otherFamily, 1))
	return a
}

func testUpdateUsers(t *testing.T, open func(t *testing.T) store.Store) {
	at := base.Add(time.Hour)

	t.Run("a refused change writes nothing", func(t *testing.T) {
		s := open(t)
		a := newAccount(t, s)
		u, mine, other, family := a.user, a.working, a.other, a.family
		nothing := errors.New("nothing")
		for name, c := range map[string]struct {
			change plugins.UserChange
			want   error
		}{
			"refused by User":        {plugins.UserChange{User: func(u *plugins.User) error { u.Role = "ADMIN"; return nothing }, Tokens: allTokens(t, u.ID, at)}, nothing},
			"refused by Keys":        {plugins.UserChange{User: func(u *plugins.User) error { u.Role = "ADMIN"; return nil }, Tokens: allTokens(t, u.ID, at), Keys: func(plugins.User, *plugins.APIKey) error { return nothing }}, nothing},
			"another id":             {plugins.UserChange{User: func(u *plugins.User) error { u.ID = "x"; return nil }}, store.ErrInvalid},
			"another email":          {plugins.UserChange{User: func(u *plugins.User) error { u.Email = "x"; return nil }}, store.ErrInvalid},
			"another epoch":          {plugins.UserChange{User: func(u *plugins.User) error { u.Epoch = 9; return nil }}, store.ErrInvalid},
			"no role":                {plugins.UserChange{User: func(u *plugins.User) error { u.Role = ""; return nil }}, store.ErrInvalid},
			"tokens of another":      {plugins.UserChange{Tokens: allTokens(t, other.ID, at)}, store.ErrInvalid},
			"tokens without a time":  {plugins.UserChange{Tokens: allTokens(t, u.ID, time.Time{})}, store.ErrInvalid},
			"another hash of a key":  {plugins.UserChange{Keys: func(_ plugins.User, k *plugins.APIKey) error { k.Hash[0]++; return nil }}, store.ErrInvalid},
			"another owner of a key": {plugins.UserChange{Keys: func(_ plugins.User, k *plugins.APIKey) error { k.Owner = "u1"; return nil }}, store.ErrInvalid},
		} {
			_, err := s.UpdateUser(ctx(), u.ID, c.change)
			wantErr(t, name, err, c.want)
			got, err := s.User(ctx(), u.ID)
			must(t, err)
			wantEqual(t, name+": account", got, u)
			gotKey, err := s.Key(ctx(), mine.ID)
			must(t, err)
			wantEqual(t, name+": key", gotKey, mine)
			gotFamily, err := s.Family(ctx(), family.ID)
			must(t, err)
			wantEqual(t, name+": family", gotFamily, family)
			all, err := s.Revocations(ctx(), base)
			must(t, err)
			wantEqual(t, name+": revocations", all, []plugins.Revocation{})
		}
		_, err := s.UpdateUser(ctx(), "unknown", plugins.UserChange{})
		wantErr(t, "unknown", err, store.ErrNotFound)
	})

	t.Run("account, keys, families and revocation change together", func(t *testing.T) {
		s := open(t)
		a := newAccount(t, s)
		u, mine, gone, others, family, othersFamily := a.user, a.working, a.ended, a.foreign, a.family, a.otherFamily
		revocation := allTokens(t, u.ID, at)
		got, err := s.UpdateUser(ctx(), u.ID, plugins.UserChange{
			User:   func(u *plugins.User) error { u.Role, u.DisabledAt, u.Scopes = "ADMIN", at, nil; return nil },
			Tokens: revocation,
			Keys: func(u plugins.User, k *plugins.APIKey) error {
				k.Role, k.RevokedAt = u.Role, at
				return nil
			},
		})
		must(t, err)
		want := u
		want.Role, want.DisabledAt, want.Scopes, want.Epoch, want.TokensEndedAt = "ADMIN", at, nil, 2, at
		wantEqual(t, "changed", got, want)
		got, err = s.User(ctx(), u.ID)
		must(t, err)
		wantEqual(t, "kept", got, want)
		mine.Role, mine.RevokedAt = "ADMIN", at
		for _, want := range []plugins.APIKey{mine, gone, others} {
			got, err := s.Key(ctx(), want.ID)
			must(t, err)
			wantEqual(t, "key", got, want)
		}
		family.RevokedAt = at
		for _, want := range []plugins.TokenFamily{family, othersFamily} {
			got, err := s.Family(ctx(), want.ID)
			must(t, err)
			wantEqual(t, "family", got, want)
		}
		all, err := s.Revocations(ctx(), base)
		must(t, err)
		wantEqual(t, "revocations", all, []plugins.Revocation{*revocation})
	})

	t.Run("a clock that went back does not bring tokens back", func(t *testing.T) {
		s := open(t)
		u := newAccount(t, s).user
		_, err := s.UpdateUser(ctx(), u.ID, plugins.UserChange{Tokens: allTokens(t, u.ID, at)})
		must(t, err)
		got, err := s.UpdateUser(ctx(), u.ID, plugins.UserChange{Tokens: allTokens(t, u.ID, base)})
		must(t, err)
		wantEqual(t, "tokens ended at", got.TokensEndedAt, at)
		wantEqual(t, "epoch", got.Epoch, int64(3))
	})
}

func testOwnKeys(t *testing.T, open func(t *testing.T) store.Store) {
	t.Run("as many as may be", func(t *testing.T) {
		s, u := open(t), NewUser(t)
		must(t, s.CreateUser(ctx(), u))
		key := func(owner string) plugins.APIKey {
			k := NewKey(t)
			k.Owner = owner
			return k
		}
		expired, revoked := key(u.ID), key(u.ID)
		expired.ExpiresAt, revoked.RevokedAt = base, base
		create(t, s, expired, revoked, key("u2"))
		var mu sync.Mutex
		made := 0
		run(t, 8, func(int) error {
			err := s.CreateOwnKey(ctx(), key(u.ID), 1, 3)
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				made++
				return nil
			}
			return expect(err, store.ErrTooMany)
		})
		wantEqual(t, "keys made at once", made, 3)
	})

	t.Run("of an account as it is", func(t *testing.T) {
		s, u := open(t), NewUser(t)
		key := NewKey(t)
		key.Owner = u.ID
		wantErr(t, "no account", s.CreateOwnKey(ctx(), key, 1, 9), store.ErrConflict)
		must(t, s.CreateUser(ctx(), u))
		wantErr(t, "an account", s.CreateOwnKey(ctx(), key, 0, 9), store.ErrConflict)
		wantErr(t, "another epoch", s.CreateOwnKey(ctx(), key, 2, 9), store.ErrConflict)
		must(t, s.CreateOwnKey(ctx(), key, 1, 9))
		wantErr(t, "again", s.CreateOwnKey(ctx(), key, 1, 9), store.ErrExists)
		_, err := s.UpdateUser(ctx(), u.ID, plugins.UserChange{User: func(u *plugins.User) error { u.DisabledAt = base; return nil }})
		must(t, err)
		next := NewKey(t)
		next.Owner = u.ID
		wantErr(t, "disabled", s.CreateOwnKey(ctx(), next, 1, 9), store.ErrConflict)
		must(t, s.CreateOwnKey(ctx(), NewKey(t), 0, 9))
		bad := NewKey(t)
		bad.Hash = nil
		wantErr(t, "invalid", s.CreateOwnKey(ctx(), bad, 0, 9), store.ErrInvalid)
		all, err := s.Keys(ctx(), store.KeyFilter{Owner: u.ID})
		must(t, err)
		wantEqual(t, "keys", ids(all), []string{key.ID})
	})
}

// nextOf makes the record that a rotation puts in the place of another.
func nextOf(t testing.TB) func(plugins.APIKey) (plugins.APIKey, error) {
	return func(old plugins.APIKey) (plugins.APIKey, error) {
		next := NewKey(t)
		next.Owner, next.Name = old.Owner, old.Name
		return next, nil
	}
}

// wantChanged checks for ErrAccountChanged, which is an ErrConflict too.
func wantChanged(t testing.TB, what string, err error) {
	t.Helper()
	wantErr(t, what, err, store.ErrConflict)
	if !errors.Is(err, store.ErrAccountChanged) {
		t.Errorf("%s: err = %v, want ErrAccountChanged", what, err)
	}
}

func testChangingOwnKeys(t *testing.T, open func(t *testing.T) store.Store) {
	// account makes an account with keys.
	account := func(t *testing.T, keys int) (store.Store, plugins.User, []plugins.APIKey) {
		t.Helper()
		s, u := open(t), NewUser(t)
		must(t, s.CreateUser(ctx(), u))
		var made []plugins.APIKey
		for range keys {
			key := NewKey(t)
			key.Owner = u.ID
			made = append(made, key)
		}
		create(t, s, made...)
		return s, u, made
	}
	working := func(t *testing.T, s store.Store, owner string) int {
		t.Helper()
		all, err := s.Keys(ctx(), store.KeyFilter{Owner: owner})
		must(t, err)
		n := 0
		for _, key := range all {
			if key.Works(base) {
				n++
			}
		}
		return n
	}
	rename := func(k *plugins.APIKey) error { k.Name = "renamed"; return nil }

	t.Run("many rotations at once are no more than may be", func(t *testing.T) {
		const keys, most = 12, 16
		s, u, made := account(t, keys)
		var mu sync.Mutex
		done := 0
		run(t, keys, func(i int) error {
			err := s.RotateOwnKey(ctx(), made[i].ID, nextOf(t), base.Add(time.Hour), 1, most)
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				done++
				return nil
			}
			return expect(err, store.ErrTooMany)
		})
		wantEqual(t, "rotations", done, most-keys)
		wantEqual(t, "keys that work", working(t, s, u.ID), most)
		// One without a grace needs no room.
		for _, key := range made {
			if old, err := s.Key(ctx(), key.ID); err != nil || old.ReplacedBy != "" {
				continue
			}
			must(t, s.RotateOwnKey(ctx(), key.ID, nextOf(t), base, 1, most))
			break
		}
		wantEqual(t, "keys that work", working(t, s, u.ID), most)
	})

	t.Run("keys and rotations at once are no more than may be", func(t *testing.T) {
		const keys, most = 4, 6
		s, u, made := account(t, keys)
		run(t, 16, func(i int) error {
			var err error
			if i < keys {
				err = s.RotateOwnKey(ctx(), made[i].ID, nextOf(t), base.Add(time.Hour), 1, most)
			} else {
				key := NewKey(t)
				key.Owner = u.ID
				err = s.CreateOwnKey(ctx(), key, 1, most)
			}
			if err == nil {
				return nil
			}
			return expect(err, store.ErrTooMany)
		})
		wantEqual(t, "keys that work", working(t, s, u.ID), most)
	})

	t.Run("the record that is there is rotated", func(t *testing.T) {
		s, _, made := account(t, 1)
		_, err := s.UpdateKey(ctx(), made[0].ID, rename)
		must(t, err)
		no := errors.New("no")
		err = s.RotateOwnKey(ctx(), made[0].ID, func(old plugins.APIKey) (plugins.APIKey, error) {
			wantEqual(t, "old name", old.Name, "renamed")
			return plugins.APIKey{}, no
		}, base, 1, 9)
		wantErr(t, "refused by next", err, no)
		wantErr(t, "invalid next", s.RotateOwnKey(ctx(), made[0].ID, func(old plugins.APIKey) (plugins.APIKey, error) {
			old.ID, old.Hash = NewID(t), nil
			return old, nil
		}, base, 1, 9), store.ErrInvalid)
		wantErr(t, "no end", s.RotateOwnKey(ctx(), made[0].ID, nextOf(t), time.Time{}, 1, 9), store.ErrInvalid)
		wantErr(t, "unknown", s.RotateOwnKey(ctx(), NewID(t), nextOf(t), base, 1, 9), store.ErrNotFound)
		old, err := s.Key(ctx(), made[0].ID)
		must(t, err)
		wantEqual(t, "replaced by", old.ReplacedBy, "")
		must(t, s.RotateOwnKey(ctx(), made[0].ID, nextOf(t), base, 1, 9))
		wantErr(t, "again", s.RotateOwnKey(ctx(), made[0].ID, nextOf(t), base, 1, 9), store.ErrConflict)
	})

	t.Run("of an account as it is", func(t *testing.T) {
		s, u, made := account(t, 1)
		foreign := NewKey(t)
		foreign.Owner = "somebody else's subject"
		create(t, s, foreign)
		update := func(id string, epoch int64) error { _, err := s.UpdateOwnKey(ctx(), id, epoch, rename); return err }
		rotate := func(id string, epoch int64) error { return s.RotateOwnKey(ctx(), id, nextOf(t), base, epoch, 9) }
		for name, change := range map[string]func(id string, epoch int64) error{"update": update, "rotate": rotate} {
			wantChanged(t, name+" in another epoch", change(made[0].ID, 2))
			wantChanged(t, name+" without the account", change(made[0].ID, 0))
			wantChanged(t, name+" of an account that is not there", change(foreign.ID, 1))
			wantErr(t, name+" of no key", change(NewID(t), 1), store.ErrNotFound)
		}
		for _, want := range []plugins.APIKey{made[0], foreign} {
			got, err := s.Key(ctx(), want.ID)
			must(t, err)
			wantEqual(t, "after refusals", got, want)
		}
		must(t, update(made[0].ID, 1))
		must(t, update(foreign.ID, 0))
		must(t, rotate(foreign.ID, 0))
		_, err := s.UpdateUser(ctx(), u.ID, plugins.UserChange{User: func(u *plugins.User) error { u.DisabledAt = base; return nil }})
		must(t, err)
		wantChanged(t, "update by a disabled account", update(made[0].ID, 1))
		wantChanged(t, "rotate by a disabled account", rotate(made[0].ID, 1))
	})
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
			"no id":   func(f *plugins.TokenFamily) { f.ID = "" },
			"no user": func(f *plugins.TokenFamily) { f.User = "" },
			"no jti":  func(f *plugins.TokenFamily) { f.Current = "" },
			"no end":  func(f *plugins.TokenFamily) { f.ExpiresAt = time.Time{} },
			"NUL":     func(f *plugins.TokenFamily) { f.Issuer = "\x00" },
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
		want.Current, want.ExpiresAt = "second", r.ExpiresAt
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

	t.Run("one renewal wins", func(t *testing.T) {
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
