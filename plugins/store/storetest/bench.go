package storetest

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/store"
)

// Bench measures a store that is empty. Exec runs SQL on its database.
func Bench(b *testing.B, s store.Store, exec func(query string) error) {
	const records = 10_000
	at := time.Unix(1770112800, 0)
	hash := func(i int) []byte {
		hash := make([]byte, 32)
		binary.BigEndian.PutUint64(hash, uint64(i))
		return hash
	}
	used := make(map[string]time.Time)
	keys := make([]plugins.APIKey, records)
	for i := range keys {
		id := fmt.Sprintf("key-%06d", i)
		keys[i] = plugins.APIKey{ID: id, Owner: "u1", Hash: hash(i), CreatedAt: at}
		if i < 1000 {
			used[id] = at
		}
	}
	begin := time.Now()
	must(b, s.CreateKeys(ctx(), keys))
	b.Logf("CreateKeys of %d: %s", records, time.Since(begin))
	must(b, exec(`INSERT INTO revocations SELECT id, 'jti', 'main', id, NULL, 1770112800, NULL, '' FROM api_keys`))

	for _, bench := range []struct {
		name string
		do   func(i int) error
	}{
		{"KeyByHash", func(i int) error { _, err := s.KeyByHash(ctx(), hash(i%records)); return err }},
		{"Version", func(int) error { _, err := s.Version(ctx()); return err }},
		{"CreateKey", func(int) error { return s.CreateKey(ctx(), NewKey(b)) }},
		{"AppendAudit", func(int) error { return s.AppendAudit(ctx(), store.AuditEntry{At: at, Action: "a"}) }},
		{"Revocations of 10k", func(int) error { _, err := s.Revocations(ctx(), at); return err }},
		{"TouchKeys of 1k", func(i int) error {
			for id := range used {
				used[id] = at.Add(time.Duration(i) * time.Second)
			}
			return s.TouchKeys(ctx(), used)
		}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				must(b, bench.do(i))
			}
		})
	}
}
