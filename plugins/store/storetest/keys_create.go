package storetest

import (
	"bytes"
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
			wantKeys(t, s, "record of "+text, key)
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
		wantAllKeys(t, s, "all", first)
	})
}

func testCreateManyKeys(t *testing.T, open func(t *testing.T) store.Store) {
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
		wantAllKeys(t, s, "all after refusals", taken)

		many := make([]plugins.APIKey, 500)
		for i := range many {
			many[i] = NewKey(t)
		}
		must(t, s.CreateKeys(ctx(), many))
		all, err := s.Keys(ctx(), store.KeyFilter{After: taken.ID})
		must(t, err)
		wantEqual(t, "all", all, many)
	})
}

func testBoundsOfKeys(t *testing.T, open func(t *testing.T) store.Store) {
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
		wantAllKeys(t, s, "all")
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
		wantKeys(t, s, "record", key)
	})
}
