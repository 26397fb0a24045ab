package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/store"
)

func testVersion(t *testing.T, open func(t *testing.T) store.Store) {
	s, key, r := open(t), NewKey(t), NewRevocation(t)
	r.ExpiresAt = base.Add(time.Minute)
	u, own := NewUser(t), NewKey(t)
	own.Owner = u.ID
	f := NewFamily(t, u.ID)
	nothing := errors.New("nothing")
	for _, step := range []struct {
		name  string
		do    func() error
		grows bool
	}{
		{"nothing", func() error { return nil }, false},
		{"CreateKey", func() error { return s.CreateKey(ctx(), key) }, true},
		{"refused CreateKey", func() error { return expect(s.CreateKey(ctx(), key), store.ErrExists) }, false},
		{"CreateKeys", func() error { return s.CreateKeys(ctx(), []plugins.APIKey{NewKey(t), NewKey(t)}) }, true},
		{"refused CreateKeys", func() error { return expect(s.CreateKeys(ctx(), []plugins.APIKey{NewKey(t), key}), store.ErrExists) }, false},
		{"Key", func() error { _, err := s.Key(ctx(), key.ID); return err }, false},
		{"TouchKeys", func() error { return s.TouchKeys(ctx(), map[string]time.Time{key.ID: base.Add(time.Hour)}) }, false},
		{"UpdateKey", func() error {
			_, err := s.UpdateKey(ctx(), key.ID, func(k *plugins.APIKey) error { k.Tier = "free"; return nil })
			return err
		}, true},
		{"refused UpdateKey", func() error {
			_, err := s.UpdateKey(ctx(), key.ID, func(k *plugins.APIKey) error { return nothing })
			return expect(err, nothing)
		}, false},
		{"RotateKey", func() error { return s.RotateKey(ctx(), key.ID, NewKey(t), base) }, true},
		{"refused RotateKey", func() error { return expect(s.RotateKey(ctx(), key.ID, NewKey(t), base), store.ErrConflict) }, false},
		{"Revoke", func() error { return s.Revoke(ctx(), r) }, true},
		{"Revoke again", func() error { return s.Revoke(ctx(), r) }, true},
		{"CreateUser", func() error { return s.CreateUser(ctx(), u) }, false},
		{"CreateOwnKey", func() error { return s.CreateOwnKey(ctx(), own, 1, 9) }, true},
		{"refused CreateOwnKey", func() error { return expect(s.CreateOwnKey(ctx(), NewKey(t), 1, 9), store.ErrConflict) }, false},
		{"UpdateOwnKey", func() error {
			_, err := s.UpdateOwnKey(ctx(), own.ID, 1, func(k *plugins.APIKey) error { k.Tier = "free"; return nil })
			return err
		}, true},
		{"refused UpdateOwnKey", func() error {
			_, err := s.UpdateOwnKey(ctx(), own.ID, 2, func(k *plugins.APIKey) error { return nil })
			return expect(err, store.ErrAccountChanged)
		}, false},
		{"RotateOwnKey", func() error { return s.RotateOwnKey(ctx(), own.ID, nextOf(t), base, 1, 9) }, true},
		{"refused RotateOwnKey", func() error {
			return expect(s.RotateOwnKey(ctx(), own.ID, nextOf(t), base, 1, 9), store.ErrConflict)
		}, false},
		{"StartFamily", func() error { return s.StartFamily(ctx(), f, 1) }, false},
		{"RenewFamily", func() error { _, err := s.RenewFamily(ctx(), renewal(t, f, "next")); return err }, true},
		{"replayed RenewFamily", func() error {
			_, err := s.RenewFamily(ctx(), renewal(t, f, "next"))
			return expect(err, store.ErrReplayed)
		}, true},
		{"UpdateUser", func() error { _, err := s.UpdateUser(ctx(), u.ID, plugins.UserChange{}); return err }, false},
		{"UpdateUser with tokens", func() error {
			_, err := s.UpdateUser(ctx(), u.ID, plugins.UserChange{Tokens: allTokens(t, u.ID, base)})
			return err
		}, true},
		{"UpdateUser with keys", func() error {
			_, err := s.UpdateUser(ctx(), u.ID, plugins.UserChange{Keys: func(_ plugins.User, k *plugins.APIKey) error { k.RevokedAt = base; return nil }})
			return err
		}, true},
		{"AppendAudit", func() error { return s.AppendAudit(ctx(), store.AuditEntry{At: base, Action: "a"}) }, false},
		{"SaveCounts", func() error { return s.SaveCounts(ctx(), []store.Count{newCount(1)}) }, false},
		{"DeleteCounts", func() error { return s.DeleteCounts(ctx(), "z", newCount(1).Key) }, false},
		{"SweepCounts", func() error { _, err := s.SweepCounts(ctx(), base); return err }, false},
		{"SetOwner", func() error { return s.SetOwner(ctx(), newOwner("o")) }, true},
		{"SetOwner again", func() error { return s.SetOwner(ctx(), newOwner("o")) }, true},
		{"DeleteOwner", func() error { return s.DeleteOwner(ctx(), "o") }, true},
		{"refused DeleteOwner", func() error { return expect(s.DeleteOwner(ctx(), "o"), store.ErrNotFound) }, false},
		{"empty sweep", func() error { _, err := s.SweepRevocations(ctx(), base); return err }, false},
		{"sweep", func() error { _, err := s.SweepRevocations(ctx(), base.Add(time.Hour)); return err }, true},
		{"Revoke anew", func() error { return s.Revoke(ctx(), r) }, true},
		{"DeleteRevocation", func() error { return s.DeleteRevocation(ctx(), r.ID) }, true},
		{"refused DeleteRevocation", func() error { return expect(s.DeleteRevocation(ctx(), r.ID), store.ErrNotFound) }, false},
	} {
		before, err := s.Version(ctx())
		must(t, err)
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		after, err := s.Version(ctx())
		must(t, err)
		if after < before || (after > before) != step.grows {
			t.Errorf("%s: version went from %d to %d; grows: want %t", step.name, before, after, step.grows)
		}
	}
}

// expect turns the error that should come into none.
func expect(err, want error) error {
	if errors.Is(err, want) {
		return nil
	}
	return fmt.Errorf("err = %w, want %w", err, want)
}
