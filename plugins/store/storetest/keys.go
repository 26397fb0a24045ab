package storetest

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/store"
)

func testCreateKeys(t *testing.T, open func(t *testing.T) store.Store) {
	t.Run("what is created comes back", func(t *testing.T) {
		full := NewKey(t)
		full.RevokedAt, full.ReplacedBy = base.Add(time.Hour), NewID(t)
		bare := plugins.APIKey{ID: NewID(t), Owner: "u2", Hash: bytes.Repeat([]byte{9}, 32), CreatedAt: base}
		epoch := NewKey(t)
		epoch.ExpiresAt = time.Unix(0, 0).UTC() // a time like others, not "never"
		s := open(t)
		create(t, s, full, bare, epoch)
		for name, want := range map[string]plugins.APIKey{"full": full, "bare": bare, "expired in 1970": epoch} {
			got, err := s.Key(ctx(), want.ID)
			must(t, err)
			wantEqual(t, name+" by id", got, want)
			got, err = s.KeyByHash(ctx(), want.Hash)
			must(t, err)
			wantEqual(t, name+" by hash", got, want)
		}
	})

	t.Run("many are found by their hashes at once", func(t *testing.T) {
		s := open(t)
		want := map[string]plugins.APIKey{}
		var hashes [][]byte
		for range 1201 {
			key := NewKey(t)
			want[key.ID] = key
			hashes = append(hashes, key.Hash)
		}
		all := slices.Collect(maps.Values(want))
		must(t, s.CreateKeys(ctx(), all))
		other := NewKey(t)
		create(t, s, other)
		found, err := s.KeysByHash(ctx(), append(hashes, bytes.Repeat([]byte{1}, 32), nil, []byte("' OR 1=1 --")))
		must(t, err)
		for _, key := range found {
			wantEqual(t, "record", key, want[key.ID])
			delete(want, key.ID)
		}
		if len(want) != 0 || len(found) != len(all) {
			t.Errorf("%d records, %d are missing", len(found), len(want))
		}
		none, err := s.KeysByHash(ctx(), nil)
		must(t, err)
		wantEqual(t, "records of no hash", none, []plugins.APIKey{})
	})

	t.Run("times are cut to UTC seconds and empty lists are nil", func(t *testing.T) {
		s, key := open(t), NewKey(t)
		zone := time.FixedZone("east", 2*60*60)
		key.CreatedAt, key.ExpiresAt = base.Add(999*time.Millisecond).In(zone), base.Add(time.Hour+time.Nanosecond).In(zone)
		key.Scopes = []string{}
		create(t, s, key)
		got, err := s.Key(ctx(), key.ID)
		must(t, err)
		key.CreatedAt, key.ExpiresAt, key.Scopes = base, base.Add(time.Hour), nil
		wantEqual(t, "record", got, key)
	})

	t.Run("text is data", func(t *testing.T) {
		s := open(t)
		for _, text := range hostile {
			key := NewKey(t)
			key.ID = text + key.ID
			key.Owner, key.Name, key.Prefix, key.Role, key.Tier, key.ReplacedBy = text, text, text, text, text, text
			key.Scopes, key.IPAllow, key.Limits = []string{text, text}, []string{text}, []string{text}
			create(t, s, key)
			got, err := s.Key(ctx(), key.ID)
			must(t, err)
			wantEqual(t, "record of "+text, got, key)
			listed, err := s.Keys(ctx(), store.KeyFilter{Owner: text})
			must(t, err)
			wantEqual(t, "keys of owner "+text, listed, []plugins.APIKey{key})
			_, err = s.Key(ctx(), text)
			wantErr(t, "key with the id "+text, err, store.ErrNotFound)
			_, err = s.KeyByHash(ctx(), []byte(text))
			wantErr(t, "key with the hash "+text, err, store.ErrNotFound)
		}
		all, err := s.Keys(ctx(), store.KeyFilter{})
		must(t, err)
		wantEqual(t, "number of keys", len(all), len(hostile))
	})

	t.Run("id and hash are taken once", func(t *testing.T) {
		s, first := open(t), NewKey(t)
		create(t, s, first)
		sameID := NewKey(t)
		sameID.ID = first.ID
		wantErr(t, "same id", s.CreateKey(ctx(), sameID), store.ErrExists)
		sameHash := NewKey(t)
		sameHash.Hash = first.Hash
		wantErr(t, "same hash", s.CreateKey(ctx(), sameHash), store.ErrExists)
		all, err := s.Keys(ctx(), store.KeyFilter{})
		must(t, err)
		wantEqual(t, "all", all, []plugins.APIKey{first})
	})

	t.Run("many are created together or not at all", func(t *testing.T) {
		s := open(t)
		taken := NewKey(t)
		create(t, s, taken)
		must(t, s.CreateKeys(ctx(), nil))
		sameHash, invalid := NewKey(t), NewKey(t)
		sameHash.Hash, invalid.Owner = taken.Hash, ""
		twice := NewKey(t)
		for _, c := range []struct {
			name   string
			keys   []plugins.APIKey
			want   error
			record string
		}{
			{"taken", []plugins.APIKey{NewKey(t), sameHash, NewKey(t)}, store.ErrExists, "record 2"},
			{"twice in the list", []plugins.APIKey{twice, NewKey(t), twice}, store.ErrExists, "record 3"},
			{"invalid", []plugins.APIKey{NewKey(t), NewKey(t), invalid}, store.ErrInvalid, "record 3"},
		} {
			err := s.CreateKeys(ctx(), c.keys)
			wantErr(t, c.name, err, c.want)
			if err != nil && !strings.Contains(err.Error(), c.record) {
				t.Errorf("%s: err = %v, want %q in it", c.name, err, c.record)
			}
		}
		all, err := s.Keys(ctx(), store.KeyFilter{})
		must(t, err)
		wantEqual(t, "all after refusals", all, []plugins.APIKey{taken})

		many := make([]plugins.APIKey, 500)
		for i := range many {
			many[i] = NewKey(t)
		}
		must(t, s.CreateKeys(ctx(), many))
		all, err = s.Keys(ctx(), store.KeyFilter{After: taken.ID})
		must(t, err)
		wantEqual(t, "all", all, many)
	})

	t.Run("invalid records are refused", func(t *testing.T) {
		s := open(t)
		for name, spoil := range map[string]func(*plugins.APIKey){
			"no id":              func(k *plugins.APIKey) { k.ID = "" },
			"no owner":           func(k *plugins.APIKey) { k.Owner = "" },
			"no hash":            func(k *plugins.APIKey) { k.Hash = nil },
			"short hash":         func(k *plugins.APIKey) { k.Hash = k.Hash[:31] },
			"long hash":          func(k *plugins.APIKey) { k.Hash = append(k.Hash, 0) },
			"negative version":   func(k *plugins.APIKey) { k.PepperVersion = -1 },
			"no time of making":  func(k *plugins.APIKey) { k.CreatedAt = time.Time{} },
			"NUL":                func(k *plugins.APIKey) { k.Name = "a\x00b" },
			"not UTF-8":          func(k *plugins.APIKey) { k.Owner = "\xff" },
			"NUL in a list":      func(k *plugins.APIKey) { k.Scopes = []string{"a\x00"} },
			"long text":          func(k *plugins.APIKey) { k.Name = strings.Repeat("x", store.MaxText+1) },
			"long list":          func(k *plugins.APIKey) { k.Limits = make([]string, store.MaxList+1) },
			"time before 1970":   func(k *plugins.APIKey) { k.ExpiresAt = time.Unix(-1, 0) },
			"year 10000":         func(k *plugins.APIKey) { k.ExpiresAt = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) },
			"impossible to keep": func(k *plugins.APIKey) { k.RevokedAt = time.Unix(1<<60, 0) },
		} {
			key := NewKey(t)
			spoil(&key)
			wantErr(t, name, s.CreateKey(ctx(), key), store.ErrInvalid)
		}
		all, err := s.Keys(ctx(), store.KeyFilter{})
		must(t, err)
		wantEqual(t, "all", all, []plugins.APIKey{})
	})

	t.Run("what is just within bounds is kept", func(t *testing.T) {
		s, key := open(t), NewKey(t)
		long := strings.Repeat("x", store.MaxText)
		key.Owner, key.Name, key.PepperVersion = long, long, 0
		key.Scopes = nil
		for range store.MaxList {
			key.Scopes = append(key.Scopes, "s")
		}
		key.CreatedAt = time.Unix(0, 0).UTC()
		key.ExpiresAt = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
		create(t, s, key)
		got, err := s.Key(ctx(), key.ID)
		must(t, err)
		wantEqual(t, "record", got, key)
	})
}

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
		got, err = s.Key(ctx(), key.ID)
		must(t, err)
		wantEqual(t, "record", got, want)
		got, err = s.Key(ctx(), other.ID)
		must(t, err)
		wantEqual(t, "other record", got, other)
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
		got, err := s.Key(ctx(), key.ID)
		must(t, err)
		wantEqual(t, "record", got, key)
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
		for _, want := range []plugins.APIKey{a, b, c} {
			got, err := s.Key(ctx(), want.ID)
			must(t, err)
			wantEqual(t, "record", got, want)
		}
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

func testRotation(t *testing.T, open func(t *testing.T) store.Store) {
	ends := base.Add(time.Hour)
	for _, c := range []struct {
		name string
		old  func(*plugins.APIKey)
		next func(*plugins.APIKey)
		ends time.Time
		want error
		// wantEnds is when the old key ends afterwards.
		wantEnds time.Time
	}{
		{name: "ends before the key's own end", ends: ends, wantEnds: ends},
		{name: "never past the key's own end", ends: base.Add(48 * time.Hour), wantEnds: base.Add(24 * time.Hour)},
		{name: "key without end", old: func(k *plugins.APIKey) { k.ExpiresAt = time.Time{} }, ends: ends, wantEnds: ends},
		{name: "at once", ends: base, wantEnds: base},
		{name: "no end", want: store.ErrInvalid},
		{name: "end that can't be kept", old: func(k *plugins.APIKey) { k.ExpiresAt = time.Time{} }, ends: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), want: store.ErrInvalid},
		{name: "revoked", old: func(k *plugins.APIKey) { k.RevokedAt = base }, ends: ends, want: store.ErrConflict},
		{name: "rotated already", old: func(k *plugins.APIKey) { k.ReplacedBy = "x" }, ends: ends, want: store.ErrConflict},
		{name: "expired", old: func(k *plugins.APIKey) { k.ExpiresAt = base.Add(-time.Second) }, ends: ends, want: store.ErrConflict},
		{name: "expires at the moment", old: func(k *plugins.APIKey) { k.ExpiresAt = base }, ends: ends, want: store.ErrConflict},
		{name: "other owner", next: func(k *plugins.APIKey) { k.Owner = "u2" }, ends: ends, want: store.ErrInvalid},
		{name: "invalid next", next: func(k *plugins.APIKey) { k.Hash = nil }, ends: ends, want: store.ErrInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, old, next := open(t), NewKey(t), NewKey(t)
			if c.old != nil {
				c.old(&old)
			}
			if c.next != nil {
				c.next(&next)
			}
			create(t, s, old)
			err := s.RotateKey(ctx(), old.ID, next, c.ends)
			want := []plugins.APIKey{old}
			if c.want != nil {
				wantErr(t, "RotateKey", err, c.want)
			} else {
				must(t, err)
				want[0].ExpiresAt, want[0].ReplacedBy = c.wantEnds, next.ID
				want = append(want, next)
			}
			got, err := s.Keys(ctx(), store.KeyFilter{})
			must(t, err)
			wantEqual(t, "all", got, want)
		})
	}

	t.Run("unknown key", func(t *testing.T) {
		s, next := open(t), NewKey(t)
		wantErr(t, "RotateKey", s.RotateKey(ctx(), NewID(t), next, ends), store.ErrNotFound)
		_, err := s.Key(ctx(), next.ID)
		wantErr(t, "Key of the next", err, store.ErrNotFound)
	})

	t.Run("next is taken", func(t *testing.T) {
		s, old, other := open(t), NewKey(t), NewKey(t)
		create(t, s, old, other)
		next := NewKey(t)
		next.Hash = other.Hash
		wantErr(t, "same hash", s.RotateKey(ctx(), old.ID, next, ends), store.ErrExists)
		wantErr(t, "itself", s.RotateKey(ctx(), old.ID, old, ends), store.ErrExists)
		all, err := s.Keys(ctx(), store.KeyFilter{})
		must(t, err)
		wantEqual(t, "all", all, []plugins.APIKey{old, other})
	})
}
