package sqlite

import (
	"errors"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/store"
	"github.com/ainative/portcullis/plugins/store/internal/sqlstore"
	"github.com/ainative/portcullis/plugins/store/storetest"
)

func wantFailure(t *testing.T, what string, err error) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error", what)
	}
	for _, answer := range []error{store.ErrNotFound, store.ErrExists, store.ErrConflict, store.ErrInvalid} {
		if errors.Is(err, answer) {
			t.Errorf("%s: err = %v, which is an answer", what, err)
		}
	}
}

// A write that the database refuses is an error, and nothing of it stays.
func TestRefusedWritesAreErrors(t *testing.T) {
	s := mustOpen(t, filepath.Join(t.TempDir(), "gateway.db"))
	key := storetest.NewKey(t)
	if err := s.CreateKey(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if _, err := s.write.ExecContext(t.Context(), `CREATE TRIGGER refuse BEFORE UPDATE ON api_keys BEGIN SELECT raise(ABORT, 'refused'); END`); err != nil {
		t.Fatal(err)
	}
	_, err := s.UpdateKey(t.Context(), key.ID, func(k *plugins.APIKey) error { k.RevokedAt = key.CreatedAt; return nil })
	wantFailure(t, "UpdateKey", err)
	wantFailure(t, "RotateKey", s.RotateKey(t.Context(), key.ID, storetest.NewKey(t), key.CreatedAt))
	wantFailure(t, "TouchKeys", s.TouchKeys(t.Context(), map[string]time.Time{key.ID: key.CreatedAt.AddDate(1, 0, 0)}))
	all, err := s.Keys(t.Context(), store.KeyFilter{})
	if err != nil || !reflect.DeepEqual(all, []plugins.APIKey{key}) {
		t.Errorf("all = %+v, %v; want the key as it was", all, err)
	}
}

// A row that somebody changed by hand into what we do not understand must not be
// read as less than it says: a list of addresses as none, which would be any.
func TestStrangeRowsAreErrors(t *testing.T) {
	for _, strange := range []string{`'{"10.0.0.0/8": true}'`, `'"10.0.0.0/8"'`, `'[1]'`, `'1'`} {
		s := mustOpen(t, filepath.Join(t.TempDir(), "gateway.db"))
		key := storetest.NewKey(t)
		if err := s.CreateKey(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		if _, err := s.write.ExecContext(t.Context(), `UPDATE api_keys SET ip_allow = `+strange); err != nil {
			t.Fatal(err)
		}
		_, err := s.KeyByHash(t.Context(), key.Hash)
		wantFailure(t, "KeyByHash with "+strange, err)
		_, err = s.Keys(t.Context(), store.KeyFilter{})
		wantFailure(t, "Keys with "+strange, err)
	}
}

// A listing that breaks off is an error and not a shorter listing: half of the
// revocations would let the others in.
func TestListingThatBreaksOffIsAnError(t *testing.T) {
	s := mustOpen(t, filepath.Join(t.TempDir(), "gateway.db"))
	got, err := sqlstore.Collect(t.Context(), s.read, func(r sqlstore.Row) (text string, err error) { return text, r.Scan(&text) },
		`SELECT json_extract(column1, '$.a') FROM (VALUES ('{"a":"1"}'), ('{"a":"2"}'), ('{broken'))`)
	if err == nil || got != nil {
		t.Errorf("got %v, %v; want an error", got, err)
	}
}

func TestPageSize(t *testing.T) {
	for _, c := range []struct {
		high, low byte
		want      int64
	}{{0x02, 0, 512}, {0x10, 0, 4096}, {0x80, 0, 32768}, {0, 1, 65536}} {
		header := make([]byte, headerSize)
		header[headerPageSize], header[headerPageSize+1] = c.high, c.low
		if got := pageSize(header); got != c.want {
			t.Errorf("pageSize(%d %d) = %d, want %d", c.high, c.low, got, c.want)
		}
	}
}
