package sqlite

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ainative/portcullis/plugins/store"
	"github.com/ainative/portcullis/plugins/store/storetest"
)

// The open connections of a store go on with a file that can't be read any more;
// Check says so.
func TestCheck(t *testing.T) {
	for _, tc := range []struct {
		name  string
		harm  func(t *testing.T, path string)
		wants string
	}{
		{"nothing", func(*testing.T, string) {}, ""},
		{"taken away", func(t *testing.T, path string) { rename(t, path, path+".away") }, "its file is gone"},
		{"replaced", func(t *testing.T, path string) {
			rename(t, path, path+".away")
			write(t, path, "")
		}, "another file has taken its place"},
		{"its directory is gone", func(t *testing.T, path string) { rename(t, filepath.Dir(path), filepath.Dir(path)+".away") }, "its file is gone"},
		{"a directory in its place", func(t *testing.T, path string) {
			rename(t, path, path+".away")
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, "another file has taken its place"},
		{"unreadable", func(t *testing.T, path string) {
			if os.Getuid() == 0 {
				t.Skip("root reads everything")
			}
			if err := os.Chmod(path, 0); err != nil {
				t.Fatal(err)
			}
		}, "writable"},
		{"overwritten", func(t *testing.T, path string) {
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			write(t, path, strings.Repeat("garbage ", int(info.Size())/8))
		}, "not a SQLite database"},
		{"cut off", func(t *testing.T, path string) {
			if err := os.Truncate(path, 0); err != nil {
				t.Fatal(err)
			}
		}, "no such table"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "data", "gateway.db")
			// Opened twice, so that the schema has moved from the log into the file.
			if err := mustOpen(t, path).Close(); err != nil {
				t.Fatal(err)
			}
			s := mustOpen(t, path)
			if err := s.CreateKey(t.Context(), storetest.NewKey(t)); err != nil {
				t.Fatal(err)
			}
			if tc.name == "overwritten" || tc.name == "cut off" {
				// What is in the log is read from there.
				if _, err := s.write.ExecContext(t.Context(), `PRAGMA wal_checkpoint(TRUNCATE)`); err != nil {
					t.Fatal(err)
				}
			}
			tc.harm(t, path)
			err := store.Check(t.Context(), s)
			if (err == nil) != (tc.wants == "") || err != nil && !strings.Contains(err.Error(), tc.wants) {
				t.Errorf("err = %v, want %q in it", err, tc.wants)
			}
		})
	}
}

func TestCheckTakesNoLongerThanItsContext(t *testing.T) {
	s := mustOpen(t, filepath.Join(t.TempDir(), "gateway.db"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Check(ctx); err == nil {
		t.Error("no error of a context that has ended")
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
}
