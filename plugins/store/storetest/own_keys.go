package storetest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/store"
)

func testOwnKeys(t *testing.T, open func(t *testing.T) store.Store) {
	t.Run("as many as may be", func(t *testing.T) {
		s, u := open(t), NewUser(t)
		must(t, s.CreateUser(ctx(), u))
		expired, revoked := keyOf(t, u.ID), keyOf(t, u.ID)
		expired.ExpiresAt, revoked.RevokedAt = base, base
		create(t, s, expired, revoked, keyOf(t, "u2"))
		made := succeed(t, 8, store.ErrTooMany, func(int) error {
			return s.CreateOwnKey(ctx(), keyOf(t, u.ID), 1, 3)
		})
		wantEqual(t, "keys made at once", made, 3)
	})

	t.Run("of an account as it is", func(t *testing.T) {
		s, u := open(t), NewUser(t)
		key := keyOf(t, u.ID)
		wantErr(t, "no account", s.CreateOwnKey(ctx(), key, 1, 9), store.ErrConflict)
		must(t, s.CreateUser(ctx(), u))
		wantErr(t, "an account", s.CreateOwnKey(ctx(), key, 0, 9), store.ErrConflict)
		wantErr(t, "another epoch", s.CreateOwnKey(ctx(), key, 2, 9), store.ErrConflict)
		must(t, s.CreateOwnKey(ctx(), key, 1, 9))
		wantErr(t, "again", s.CreateOwnKey(ctx(), key, 1, 9), store.ErrExists)
		_, err := s.UpdateUser(ctx(), u.ID, plugins.UserChange{User: func(u *plugins.User) error { u.DisabledAt = base; return nil }})
		must(t, err)
		wantErr(t, "disabled", s.CreateOwnKey(ctx(), keyOf(t, u.ID), 1, 9), store.ErrConflict)
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
		next := keyOf(t, old.Owner)
		next.Name = old.Name
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

// ownerWithKeys makes an account that has so many keys.
func ownerWithKeys(t *testing.T, s store.Store, keys int) (plugins.User, []plugins.APIKey) {
	t.Helper()
	u := NewUser(t)
	must(t, s.CreateUser(ctx(), u))
	var made []plugins.APIKey
	for range keys {
		made = append(made, keyOf(t, u.ID))
	}
	create(t, s, made...)
	return u, made
}

// keyOf makes a record of a key of this owner.
func keyOf(t testing.TB, owner string) plugins.APIKey {
	t.Helper()
	key := NewKey(t)
	key.Owner = owner
	return key
}

// working counts the keys of an owner that work.
func working(t *testing.T, s store.Store, owner string) int {
	t.Helper()
	all, err := s.Keys(ctx(), store.KeyFilter{Owner: owner})
	must(t, err)
	return len(slices.DeleteFunc(all, func(key plugins.APIKey) bool { return !key.Works(base) }))
}

func rename(k *plugins.APIKey) error { k.Name = "renamed"; return nil }

func testRotatingOwnKeys(t *testing.T, open func(t *testing.T) store.Store) {
	t.Run("many rotations at once are no more than may be", func(t *testing.T) {
		const keys, most = 12, 16
		s := open(t)
		u, made := ownerWithKeys(t, s, keys)
		done := succeed(t, keys, store.ErrTooMany, func(i int) error {
			return s.RotateOwnKey(ctx(), made[i].ID, nextOf(t), base.Add(time.Hour), 1, most)
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
		s := open(t)
		u, made := ownerWithKeys(t, s, keys)
		run(t, 16, func(i int) error {
			var err error
			if i < keys {
				err = s.RotateOwnKey(ctx(), made[i].ID, nextOf(t), base.Add(time.Hour), 1, most)
			} else {
				err = s.CreateOwnKey(ctx(), keyOf(t, u.ID), 1, most)
			}
			if err == nil {
				return nil
			}
			return expect(err, store.ErrTooMany)
		})
		wantEqual(t, "keys that work", working(t, s, u.ID), most)
	})

	t.Run("the record that is there is rotated", func(t *testing.T) {
		s := open(t)
		_, made := ownerWithKeys(t, s, 1)
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
}

func testChangingOwnKeys(t *testing.T, open func(t *testing.T) store.Store) {
	t.Run("of an account as it is", func(t *testing.T) {
		s := open(t)
		u, made := ownerWithKeys(t, s, 1)
		foreign := keyOf(t, "somebody else's subject")
		create(t, s, foreign)
		update := func(id string, epoch int64) error { _, err := s.UpdateOwnKey(ctx(), id, epoch, rename); return err }
		rotate := func(id string, epoch int64) error { return s.RotateOwnKey(ctx(), id, nextOf(t), base, epoch, 9) }
		for name, change := range map[string]func(id string, epoch int64) error{"update": update, "rotate": rotate} {
			wantChanged(t, name+" in another epoch", change(made[0].ID, 2))
			wantChanged(t, name+" without the account", change(made[0].ID, 0))
			wantChanged(t, name+" of an account that is not there", change(foreign.ID, 1))
			wantErr(t, name+" of no key", change(NewID(t), 1), store.ErrNotFound)
		}
		wantKeys(t, s, "after refusals", made[0], foreign)
		must(t, update(made[0].ID, 1))
		must(t, update(foreign.ID, 0))
		must(t, rotate(foreign.ID, 0))
		_, err := s.UpdateUser(ctx(), u.ID, plugins.UserChange{User: func(u *plugins.User) error { u.DisabledAt = base; return nil }})
		must(t, err)
		wantChanged(t, "update by a disabled account", update(made[0].ID, 1))
		wantChanged(t, "rotate by a disabled account", rotate(made[0].ID, 1))
	})
}
