package storetest

import (
	"errors"
	"strings"
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

// allTokens is the revocation by which all tokens of a user end.
func allTokens(t testing.TB, user string, at time.Time) *plugins.Revocation {
	t.Helper()
	return &plugins.Revocation{ID: NewID(t), Kind: plugins.RevokeSubject, Value: user, IssuedBefore: at, CreatedAt: at, ExpiresAt: at.Add(9 * time.Hour)}
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
		email := NewID(t) + "@example.com"
		made := succeed(t, 8, store.ErrExists, func(int) error {
			u := NewUser(t)
			u.Email = email
			return s.CreateUser(ctx(), u)
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
			wantKeys(t, s, name+": key", mine)
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
		wantKeys(t, s, "key", mine, gone, others)
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
