package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/store"
)

// testFailure: what can't be decided is none of the documented answers.
func testFailure(t *testing.T, open func(t *testing.T) store.Store) {
	methods := func(s store.Store, c context.Context, key plugins.APIKey, r plugins.Revocation) map[string]error {
		errs := make(map[string]error)
		errs["CreateKey"] = s.CreateKey(c, NewKey(t))
		errs["CreateKeys"] = s.CreateKeys(c, []plugins.APIKey{NewKey(t)})
		_, errs["KeyByHash"] = s.KeyByHash(c, key.Hash)
		_, errs["KeysByHash"] = s.KeysByHash(c, [][]byte{key.Hash})
		_, errs["Key"] = s.Key(c, key.ID)
		_, errs["Keys"] = s.Keys(c, store.KeyFilter{})
		_, errs["UpdateKey"] = s.UpdateKey(c, key.ID, func(*plugins.APIKey) error { return nil })
		errs["RotateKey"] = s.RotateKey(c, key.ID, NewKey(t), base)
		errs["TouchKeys"] = s.TouchKeys(c, map[string]time.Time{key.ID: base})
		errs["Revoke"] = s.Revoke(c, NewRevocation(t))
		_, errs["Revocations"] = s.Revocations(c, base)
		errs["DeleteRevocation"] = s.DeleteRevocation(c, r.ID)
		_, errs["SweepRevocations"] = s.SweepRevocations(c, base)
		errs["AppendAudit"] = s.AppendAudit(c, store.AuditEntry{At: base, Action: "a"})
		_, errs["Audit"] = s.Audit(c, store.AuditFilter{})
		_, errs["SweepAudit"] = s.SweepAudit(c, base)
		errs["CreateUser"] = s.CreateUser(c, NewUser(t))
		_, errs["User"] = s.User(c, "u")
		_, errs["UserByEmail"] = s.UserByEmail(c, "u")
		_, errs["Users"] = s.Users(c, store.UserFilter{})
		_, errs["UpdateUser"] = s.UpdateUser(c, "u", plugins.UserChange{})
		errs["CreateOwnKey"] = s.CreateOwnKey(c, NewKey(t), 0, 9)
		_, errs["UpdateOwnKey"] = s.UpdateOwnKey(c, key.ID, 0, func(*plugins.APIKey) error { return nil })
		errs["RotateOwnKey"] = s.RotateOwnKey(c, key.ID, func(plugins.APIKey) (plugins.APIKey, error) { return NewKey(t), nil }, base, 0, 9)
		errs["StartFamily"] = s.StartFamily(c, NewFamily(t, "u"), 1)
		_, errs["Family"] = s.Family(c, "f")
		_, errs["RenewFamily"] = s.RenewFamily(c, renewal(t, NewFamily(t, "u"), "next"))
		_, errs["EndFamily"] = s.EndFamily(c, "f", ends(t))
		errs["SaveCounts"] = s.SaveCounts(c, []store.Count{newCount(1)})
		errs["Counts"] = s.Counts(c, "z", base, func(store.Count) error { return nil })
		errs["DeleteCounts"] = s.DeleteCounts(c, "z", [16]byte{})
		_, errs["SweepCounts"] = s.SweepCounts(c, base)
		errs["SetOwner"] = s.SetOwner(c, newOwner("o"))
		_, errs["Owners"] = s.Owners(c)
		errs["DeleteOwner"] = s.DeleteOwner(c, "o")
		_, errs["Version"] = s.Version(c)
		return errs
	}
	check := func(t *testing.T, errs map[string]error) {
		t.Helper()
		for name, err := range errs {
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
		s, key, r := open(t), NewKey(t), NewRevocation(t)
		create(t, s, key)
		must(t, s.Revoke(ctx(), r))
		ended, cancel := context.WithCancel(ctx())
		cancel()
		check(t, methods(s, ended, key, r))
		all, err := s.Keys(ctx(), store.KeyFilter{})
		must(t, err)
		wantEqual(t, "all", all, []plugins.APIKey{key})
	})

	t.Run("closed", func(t *testing.T) {
		s, key, r := open(t), NewKey(t), NewRevocation(t)
		create(t, s, key)
		must(t, s.Revoke(ctx(), r))
		must(t, s.Close())
		check(t, methods(s, ctx(), key, r))
		must(t, s.Close())
	})
}
