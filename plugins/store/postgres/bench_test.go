//go:build unix

package postgres

import (
	"context"
	"testing"

	"github.com/ainative/portcullis/plugins/store/storetest"
)

// BenchmarkStore asks a server on the same machine, that syncs nothing to disk.
func BenchmarkStore(b *testing.B) {
	srv := server(b)
	s := mustOpen(b, options(srv.URL(srv.NewDatabase(b))))
	storetest.Bench(b, s, func(query string) error {
		_, err := s.db.ExecContext(b.Context(), query)
		return err
	})
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
