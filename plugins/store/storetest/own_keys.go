package storetest

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/store"
)

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
