package storetest

import (
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/store"
)

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
		wantAllKeys(t, s, "all", old, other)
	})
}
