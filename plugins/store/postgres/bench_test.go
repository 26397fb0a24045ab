//go:build unix

package postgres

import (
	"context"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/store"
	"github.com/ainative/portcullis/plugins/store/storetest"
)

func benchHash(i int) []byte {
	hash := make([]byte, 32)
	binary.BigEndian.PutUint64(hash, uint64(i))
	return hash
}

// BenchmarkStore asks a server on the same machine, that syncs nothing to disk.
func BenchmarkStore(b *testing.B) {
	const records = 10_000
	srv := server(b)
	s := mustOpen(b, options(srv.URL(srv.NewDatabase(b))))
	ctx := b.Context()
	at := time.Unix(1770112800, 0)
	used := make(map[string]time.Time)
	keys := make([]plugins.APIKey, records)
	for i := range keys {
		id := fmt.Sprintf("key-%06d", i)
		keys[i] = plugins.APIKey{ID: id, Owner: "u1", Hash: benchHash(i), CreatedAt: at}
		if i < 1000 {
			used[id] = at
		}
	}
	begin := time.Now()
	if err := s.CreateKeys(ctx, keys); err != nil {
		b.Fatal(err)
	}
	b.Logf("CreateKeys of %d: %s", records, time.Since(begin))
	if _, err := s.db.ExecContext(ctx, `INSERT INTO revocations SELECT id, 'jti', 'main', id, NULL, 1770112800, NULL, '' FROM api_keys`); err != nil {
		b.Fatal(err)
	}
	for _, bench := range []struct {
		name string
		do   func(i int) error
	}{
		{"KeyByHash", func(i int) error { _, err := s.KeyByHash(ctx, benchHash(i%records)); return err }},
		{"Version", func(int) error { _, err := s.Version(ctx); return err }},
		{"CreateKey", func(int) error { return s.CreateKey(ctx, storetest.NewKey(b)) }},
		{"AppendAudit", func(int) error { return s.AppendAudit(ctx, store.AuditEntry{At: at, Action: "a"}) }},
		{"Revocations of 10k", func(int) error { _, err := s.Revocations(ctx, at); return err }},
		{"TouchKeys of 1k", func(i int) error {
			for id := range used {
				used[id] = at.Add(time.Duration(i) * time.Second)
			}
			return s.TouchKeys(ctx, used)
		}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if err := bench.do(i); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("CreateKey by 8 at once", func(b *testing.B) {
		b.SetParallelism(4)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := s.CreateKey(context.Background(), storetest.NewKey(b)); err != nil {
					b.Error(err)
				}
			}
		})
	})
}
