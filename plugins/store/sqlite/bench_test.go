package sqlite

import (
	"path/filepath"
	"testing"

	"github.com/ainative/portcullis/plugins/store/storetest"
)

func BenchmarkStore(b *testing.B) {
	s := mustOpen(b, filepath.Join(b.TempDir(), "gateway.db"))
	storetest.Bench(b, s, func(query string) error {
		_, err := s.write.ExecContext(b.Context(), query)
		return err
	})
}
