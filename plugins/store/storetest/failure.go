package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/store"
)

// EveryMethod is a call of each method of a store but Close.
func EveryMethod(t testing.TB, s store.Store) map[string]func(context.Context) error {
	t.Helper()
	key := NewKey(t)
	only := func(_ any, err error) error { return err }
	return map[string]func(context.Context) error{
		"CreateKey":  func(c context.Context) error { return s.CreateKey(c, NewKey(t)) },
		"CreateKeys": func(c context.Context) error { return s.CreateKeys(c, []plugins.APIKey{NewKey(t)}) },
		"KeyByHash":  func(c context.Context) error { return only(s.KeyByHash(c, key.Hash)) },
		"KeysByHash": func(c context.Context) error { return only(s.KeysByHash(c, [][]byte{key.Hash})) },
		"Key":        func(c context.Context) error { return only(s.Key(c, key.ID)) },
		"Keys":       func(c context.Context) error { return only(s.Keys(c, store.KeyFilter{})) },
		"UpdateKey": func(c context.Context) error {
			return only(s.UpdateKey(c, key.ID, func(*plugins.APIKey) error { return nil }))
		},
		"RotateKey":        func(c context.Context) error { return s.RotateKey(c, key.ID, NewKey(t), base) },
		"TouchKeys":        func(c context.Context) error { return s.TouchKeys(c, map[string]time.Time{key.ID: base}) },
		"Revoke":           func(c context.Context) error { return s.Revoke(c, NewRevocation(t)) },
		"Revocations":      func(c context.Context) error { return only(s.Revocations(c, base)) },
		"DeleteRevocation": func(c context.Context) error { return s.DeleteRevocation(c, "r") },
		"SweepRevocations": func(c context.Context) error { return only(s.SweepRevocations(c, base)) },
		"AppendAudit":      func(c context.Context) error { return s.AppendAudit(c, store.AuditEntry{At: base, Action: "a"}) },
		"Audit":            func(c context.Context) error { return only(s.Audit(c, store.AuditFilter{})) },
		"SweepAudit":       func(c context.Context) error { return only(s.SweepAudit(c, base)) },
		"CreateUser":       func(c context.Context) error { return s.CreateUser(c, NewUser(t)) },
		"User":             func(c context.Context) error { return only(s.User(c, "u")) },
		"UserByEmail":      func(c context.Context) error { return only(s.UserByEmail(c, "u")) },
		"Users":            func(c context.Context) error { return only(s.Users(c, store.UserFilter{})) },
		"UpdateUser":       func(c context.Context) error { return only(s.UpdateUser(c, "u", plugins.UserChange{})) },
		"CreateOwnKey":     func(c context.Context) error { return s.CreateOwnKey(c, NewKey(t), 0, 9) },
		"UpdateOwnKey": func(c context.Context) error {
			return only(s.UpdateOwnKey(c, key.ID, 0, func(*plugins.APIKey) error { return nil }))
		},
		"RotateOwnKey": func(c context.Context) error {
			return s.RotateOwnKey(c, key.ID, func(plugins.APIKey) (plugins.APIKey, error) { return NewKey(t), nil }, base, 0, 9)
		},
		"StartFamily":  func(c context.Context) error { return s.StartFamily(c, NewFamily(t, "u"), 1) },
		"Family":       func(c context.Context) error { return only(s.Family(c, "f")) },
		"RenewFamily":  func(c context.Context) error { return only(s.RenewFamily(c, renewal(t, NewFamily(t, "u"), "next"))) },
		"EndFamily":    func(c context.Context) error { return only(s.EndFamily(c, "f", ends(t))) },
		"SaveCounts":   func(c context.Context) error { return s.SaveCounts(c, []store.Count{newCount(1)}) },
		"Counts":       func(c context.Context) error { return s.Counts(c, "z", base, func(store.Count) error { return nil }) },
		"DeleteCounts": func(c context.Context) error { return s.DeleteCounts(c, "z", [16]byte{}) },
		"SweepCounts":  func(c context.Context) error { return only(s.SweepCounts(c, base)) },
		"SetOwner":     func(c context.Context) error { return s.SetOwner(c, newOwner("o")) },
		"Owners":       func(c context.Context) error { return only(s.Owners(c)) },
		"DeleteOwner":  func(c context.Context) error { return s.DeleteOwner(c, "o") },
		"Version":      func(c context.Context) error { return only(s.Version(c)) },
	}
}

// testFailure: what can't be decided is none of the documented answers.
func testFailure(t *testing.T, open func(t *testing.T) store.Store) {
	check := func(t *testing.T, c context.Context, s store.Store) {
		t.Helper()
		for name, call := range EveryMethod(t, s) {
			err := call(c)
			if err == nil {
				t.Errorf("%s: no error", name)
			}
			for _, answer := range []error{store.ErrNotFound, store.ErrExists, store.ErrConflict, store.ErrInvalid, store.ErrTooMany, store.ErrReplayed} {
				if errors.Is(err, answer) {
					t.Errorf("%s: err = %v, which is an answer", name, err)
				}
			}
		}
	}

	t.Run("context ended", func(t *testing.T) {
		s, key := open(t), NewKey(t)
		create(t, s, key)
		ended, cancel := context.WithCancel(ctx())
		cancel()
		check(t, ended, s)
		wantAllKeys(t, s, "all", key)
	})

	t.Run("closed", func(t *testing.T) {
		s := open(t)
		must(t, s.Close())
		check(t, ctx(), s)
		must(t, s.Close())
	})
}
