package storetest

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/store"
)

func testReadKeys(t *testing.T, open func(t *testing.T) store.Store) {
	t.Run("what is not there is not found", func(t *testing.T) {
		s, key := open(t), NewKey(t)
		create(t, s, key)
		_, err := s.Key(ctx(), NewID(t))
		wantErr(t, "Key", err, store.ErrNotFound)
		_, err = s.Key(ctx(), "")
		wantErr(t, "Key of no id", err, store.ErrNotFound)
		_, err = s.Key(ctx(), key.ID[:20])
		wantErr(t, "Key of a part of an id", err, store.ErrNotFound)
		_, err = s.Key(ctx(), strings.ToUpper(key.ID))
		wantErr(t, "Key in upper case", err, store.ErrNotFound)
		for name, hash := range map[string][]byte{"nil": nil, "empty": {}, "part": key.Hash[:31], "longer": append(bytes.Clone(key.Hash), 0), "other": make([]byte, 32)} {
			_, err = s.KeyByHash(ctx(), hash)
			wantErr(t, "KeyByHash of "+name, err, store.ErrNotFound)
		}
		_, err = s.UpdateKey(ctx(), NewID(t), func(*plugins.APIKey) error { t.Error("change is called"); return nil })
		wantErr(t, "UpdateKey", err, store.ErrNotFound)
	})

	t.Run("keys are counted by state", func(t *testing.T) {
		s := open(t)
		key := func(expires, revoked time.Time) plugins.APIKey {
			k := NewKey(t)
			k.ExpiresAt, k.RevokedAt = expires, revoked
			return k
		}
		never, later, past := time.Time{}, base.Add(time.Second), base
		create(t, s, key(never, never), key(later, never), key(past, never), key(never, past), key(past, past), key(later, past))
		got, err := s.CountKeys(ctx(), base)
		must(t, err)
		wantEqual(t, "counts", got, store.KeyCounts{Active: 2, Expired: 1, Revoked: 3})
	})

	t.Run("list, filter and pages", func(t *testing.T) {
		s := open(t)
		var all, ofU1 []plugins.APIKey
		for i := range 7 {
			key := NewKey(t)
			key.Owner = []string{"u1", "u2", "U1"}[i%3]
			create(t, s, key)
			all = append(all, key)
			if key.Owner == "u1" {
				ofU1 = append(ofU1, key)
			}
		}
		for _, c := range []struct {
			name   string
			filter store.KeyFilter
			want   []plugins.APIKey
		}{
			{"all", store.KeyFilter{}, all},
			{"owner", store.KeyFilter{Owner: "u1"}, ofU1},
			{"unknown owner", store.KeyFilter{Owner: "u"}, nil},
			{"first page", store.KeyFilter{Limit: 3}, all[:3]},
			{"second page", store.KeyFilter{Limit: 3, After: all[2].ID}, all[3:6]},
			{"last page", store.KeyFilter{Limit: 3, After: all[5].ID}, all[6:]},
			{"behind the end", store.KeyFilter{After: all[6].ID}, nil},
			{"owner's second page", store.KeyFilter{Owner: "u1", Limit: 1, After: ofU1[0].ID}, ofU1[1:2]},
			{"limit above the number", store.KeyFilter{Limit: 100}, all},
		} {
			got, err := s.Keys(ctx(), c.filter)
			must(t, err)
			if got == nil {
				t.Errorf("%s: nil, want a list", c.name)
			}
			wantEqual(t, c.name, ids(got), ids(c.want))
		}
	})
}

func testUpdateKeys(t *testing.T, open func(t *testing.T) store.Store) {
	t.Run("update", func(t *testing.T) {
		s, key, other := open(t), NewKey(t), NewKey(t)
		create(t, s, key, other)
		want := key
		want.Name, want.Role, want.Tier = "n", "r", "t"
		want.Scopes, want.IPAllow, want.Limits = []string{"s"}, nil, []string{"1/1s", "2/1m"}
		want.ExpiresAt, want.LastUsedAt, want.RevokedAt, want.ReplacedBy = time.Time{}, base.Add(time.Hour), base.Add(2*time.Hour), other.ID
		got, err := s.UpdateKey(ctx(), key.ID, func(k *plugins.APIKey) error {
			wantEqual(t, "record given to change", *k, key)
			*k = want
			k.RevokedAt = k.RevokedAt.Add(5 * time.Millisecond)
			return nil
		})
		must(t, err)
		wantEqual(t, "answer", got, want)
		wantKeys(t, s, "record", want, other)
	})

	t.Run("update that fails writes nothing", func(t *testing.T) {
		s, key := open(t), NewKey(t)
		create(t, s, key)
		no := errors.New("no")
		for _, c := range []struct {
			name   string
			change func(k *plugins.APIKey) error
			want   error
		}{
			{"error of change", func(*plugins.APIKey) error { return no }, no},
			{"error that wraps one of ours", func(*plugins.APIKey) error { return store.ErrConflict }, store.ErrConflict},
			{"id", func(k *plugins.APIKey) error { k.ID = NewID(t); return nil }, store.ErrInvalid},
			{"owner", func(k *plugins.APIKey) error { k.Owner = "u2"; return nil }, store.ErrInvalid},
			{"hash", func(k *plugins.APIKey) error { k.Hash = make([]byte, 32); return nil }, store.ErrInvalid},
			{"hash in place", func(k *plugins.APIKey) error { k.Hash[0] ^= 1; return nil }, store.ErrInvalid},
			{"pepper version", func(k *plugins.APIKey) error { k.PepperVersion++; return nil }, store.ErrInvalid},
			{"prefix", func(k *plugins.APIKey) error { k.Prefix = "sk_test_Ab3x"; return nil }, store.ErrInvalid},
			{"time of making", func(k *plugins.APIKey) error { k.CreatedAt = k.CreatedAt.Add(time.Second); return nil }, store.ErrInvalid},
			{"NUL", func(k *plugins.APIKey) error { k.Tier = "\x00"; return nil }, store.ErrInvalid},
		} {
			got, err := s.UpdateKey(ctx(), key.ID, func(k *plugins.APIKey) error {
				k.Name = "changed"
				return c.change(k)
			})
			wantErr(t, c.name, err, c.want)
			wantEqual(t, c.name+", answer", got, plugins.APIKey{})
		}
		wantKeys(t, s, "record", key)
	})

	t.Run("update that panics leaves the store usable", func(t *testing.T) {
		s, key := open(t), NewKey(t)
		create(t, s, key)
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic is swallowed")
				}
			}()
			_, _ = s.UpdateKey(ctx(), key.ID, func(k *plugins.APIKey) error { panic("boom") })
		}()
		create(t, s, NewKey(t))
	})
}

func testTouchKeys(t *testing.T, open func(t *testing.T) store.Store) {
	t.Run("last use", func(t *testing.T) {
		s, a, b, c := open(t), NewKey(t), NewKey(t), NewKey(t)
		a.LastUsedAt = time.Time{}
		create(t, s, a, b, c)
		must(t, s.TouchKeys(ctx(), nil))
		must(t, s.TouchKeys(ctx(), map[string]time.Time{
			a.ID:             base.Add(time.Second + 900*time.Millisecond),
			b.ID:             b.LastUsedAt.Add(-time.Second), // never back
			c.ID:             {},
			"unknown":        base,
			"'; DELETE FROM": base,
		}))
		a.LastUsedAt = base.Add(time.Second)
		wantKeys(t, s, "record", a, b, c)
		all, err := s.Keys(ctx(), store.KeyFilter{})
		must(t, err)
		wantEqual(t, "number of keys", len(all), 3)
	})

	t.Run("last use of many", func(t *testing.T) {
		s := open(t)
		keys := make([]plugins.APIKey, 50)
		used := make(map[string]time.Time)
		for i := range keys {
			keys[i] = NewKey(t)
			keys[i].LastUsedAt = time.Time{}
			used[keys[i].ID] = base.Add(time.Duration(i) * time.Second)
		}
		must(t, s.CreateKeys(ctx(), keys))
		used[keys[49].ID] = time.Time{} // no time is no use
		must(t, s.TouchKeys(ctx(), used))
		all, err := s.Keys(ctx(), store.KeyFilter{})
		must(t, err)
		for i := range keys {
			keys[i].LastUsedAt = used[keys[i].ID]
		}
		wantEqual(t, "all", all, keys)
	})
}
