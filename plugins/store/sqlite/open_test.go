package sqlite

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/store"
	"github.com/ainative/portcullis/plugins/store/storetest"
)

func TestOpenMakesPrivateFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "deep", "gateway.db")
	s := mustOpen(t, path)
	if err := s.CreateKey(t.Context(), storetest.NewKey(t)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{
		path: 0o600, path + "-wal": 0o600, path + "-shm": 0o600,
		filepath.Dir(path): 0o700 | os.ModeDir, filepath.Dir(filepath.Dir(path)): 0o700 | os.ModeDir,
	} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode(); got != want {
			t.Errorf("%s has mode %v, want %v", name, got, want)
		}
	}
}

// Paths are paths, whatever SQLite's URIs make of their characters.
func TestOpenTakesAnyPath(t *testing.T) {
	for _, name := range []string{"a b.db", "a?mode=memory.db", "a#b.db", "a%41.db", "ünï→.db", "a&b=c;d.db", ":memory:", "file:x.db", "-x.db", "'; DROP TABLE x.db"} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), name)
			key := storetest.NewKey(t)
			s := mustOpen(t, path)
			if err := s.CreateKey(t.Context(), key); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			entries, err := os.ReadDir(filepath.Dir(path))
			if err != nil || len(entries) != 1 || entries[0].Name() != name {
				t.Fatalf("the directory holds %v, %v; want only %q", entries, err, name)
			}
			if _, err := mustOpen(t, path).Key(t.Context(), key.ID); err != nil {
				t.Fatal(err)
			}
		})
	}
	t.Run("relative", func(t *testing.T) {
		t.Chdir(t.TempDir())
		mustOpen(t, "gateway.db")
		if _, err := os.Stat("gateway.db"); err != nil {
			t.Error(err)
		}
	})
}

func TestConnectionsAreSetUp(t *testing.T) {
	s := mustOpen(t, filepath.Join(t.TempDir(), "gateway.db"))
	for name, db := range map[string]*sql.DB{"write": s.write, "read": s.read.DB} {
		for pragma, want := range map[string]string{
			"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "5000", "trusted_schema": "0",
			"application_id": fmt.Sprint(applicationID), "query_only": map[string]string{"write": "0", "read": "1"}[name],
		} {
			var got string
			if err := db.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil {
				t.Fatal(err)
			}
			if got != want {
				t.Errorf("%s: %s = %s, want %s", name, pragma, got, want)
			}
		}
	}
	if got := s.write.Stats().MaxOpenConnections; got != 1 {
		t.Errorf("%d write connections, want 1", got)
	}
}

// snapshot hashes every file of a directory.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() {
			files[e.Name()] = "directory"
			continue
		}
		content, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(content)
		files[e.Name()] = hex.EncodeToString(sum[:])
	}
	return files
}

// filledRecords is how many API keys a filled store has.
const filledRecords = 100

// filledOnce is the file of a filled store; many tests want one and each spoils it.
var filledOnce = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "filled")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "gateway.db")
	s, err := Open(context.Background(), path)
	if err != nil {
		return nil, err
	}
	for i := range filledRecords {
		hash := sha256.Sum256([]byte{byte(i)})
		if err := s.CreateKey(context.Background(), plugins.APIKey{
			ID: fmt.Sprintf("key-%03d", i), Owner: "u1", Name: strings.Repeat("n", 300), Hash: hash[:], CreatedAt: time.Unix(1770112800, 0),
		}); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	if err := s.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// filled makes a closed store with a good many records and returns its path.
func filled(t *testing.T) string {
	t.Helper()
	content, err := filledOnce()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "gateway.db")
	writeFile(t, path, content)
	return path
}

// execute runs SQL on a file behind the store's back.
func execute(t *testing.T, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", dsn(path, "rwc", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	db.SetMaxOpenConns(1)
	for _, statement := range statements {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

func edit(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestOpenRefuses: a file that can't be used is left as it is, to the byte, and
// the error says which file and what to do.
func TestOpenRefuses(t *testing.T) {
	fresh := func(t *testing.T) string { return filepath.Join(t.TempDir(), "gateway.db") }
	cases := []struct {
		name    string
		prepare func(t *testing.T) string
		want    []string
	}{
		{"directory", func(t *testing.T) string { return t.TempDir() }, []string{"it is a directory; name a file in it, such as", "gateway.db"}},
		{"file where the directory should be", func(t *testing.T) string {
			path := filled(t)
			return filepath.Join(path, "gateway.db")
		}, []string{"making its directory", `name another path with "store sqlite <path>"`}},
		{"text file", func(t *testing.T) string {
			path := fresh(t)
			writeFile(t, path, []byte(strings.Repeat("these are my notes\n", 100)))
			return path
		}, []string{"it is not a SQLite database; nothing was changed: move it away"}},
		{"one byte", func(t *testing.T) string {
			path := fresh(t)
			writeFile(t, path, []byte("x"))
			return path
		}, []string{"it is not a SQLite database"}},
		{"zeros", func(t *testing.T) string {
			path := fresh(t)
			writeFile(t, path, make([]byte, 8192))
			return path
		}, []string{"it is not a SQLite database"}},
		{"foreign database", func(t *testing.T) string {
			path := fresh(t)
			execute(t, path, `CREATE TABLE invoices (id INTEGER PRIMARY KEY)`)
			return path
		}, []string{"the database of another application; nothing was changed: name another path"}},
		{"foreign database in WAL mode", func(t *testing.T) string {
			path := fresh(t)
			execute(t, path, `PRAGMA journal_mode = WAL`, `CREATE TABLE api_keys (id INTEGER PRIMARY KEY)`)
			return path
		}, []string{"the database of another application"}},
		{"empty database of another application", func(t *testing.T) string {
			path := fresh(t)
			execute(t, path, `PRAGMA application_id = 1234`, `CREATE TABLE t (a)`, `DROP TABLE t`)
			return path
		}, []string{"the database of another application"}},
		{"header cut off", func(t *testing.T) string {
			path := filled(t)
			edit(t, path, func(b []byte) []byte { return b[:60] })
			return path
		}, []string{"it is damaged: its header is cut off; nothing was changed: restore a backup", ".recover"}},
		{"cut off in the middle", func(t *testing.T) string {
			path := filled(t)
			edit(t, path, func(b []byte) []byte { return b[:len(b)/2] })
			return path
		}, []string{"it is damaged", "restore a backup"}},
		{"cut off within a page", func(t *testing.T) string {
			path := filled(t)
			edit(t, path, func(b []byte) []byte { return b[:len(b)-100] })
			return path
		}, []string{"it is damaged", "restore a backup"}},
		{"pages overwritten", func(t *testing.T) string {
			path := filled(t)
			edit(t, path, func(b []byte) []byte {
				copy(b[4096*3:], bytes.Repeat([]byte{0xa5}, 3*4096))
				return b
			})
			return path
		}, []string{"it is damaged", "restore a backup"}},
		{"schema overwritten", func(t *testing.T) string {
			path := filled(t)
			edit(t, path, func(b []byte) []byte {
				copy(b[100:], bytes.Repeat([]byte{0xa5}, 3996))
				return b
			})
			return path
		}, []string{"it is damaged", "restore a backup"}},
		{"emptied beside its log", func(t *testing.T) string {
			path := fresh(t)
			writeFile(t, path, nil)
			writeFile(t, path+"-wal", []byte("log"))
			return path
		}, []string{"it is empty but its log is not", "restore a backup of both"}},
		{"newer schema", func(t *testing.T) string {
			path := filled(t)
			execute(t, path, `INSERT INTO schema_migrations (version, checksum, applied_at) VALUES (99, 'x', 0)`)
			return path
		}, []string{"its schema has version 99 or later and this release knows versions up to " + fmt.Sprint(len(released)) + "; run the release that last used it"}},
		{"other migration", func(t *testing.T) string {
			path := filled(t)
			execute(t, path, `UPDATE schema_migrations SET checksum = 'x' WHERE version = 2`)
			return path
		}, []string{"its schema was made by another migration 2"}},
		{"migration 0", func(t *testing.T) string {
			path := filled(t)
			execute(t, path, `INSERT INTO schema_migrations (version, checksum, applied_at) VALUES (0, 'x', 0)`)
			return path
		}, []string{"another migration 0"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			path := c.prepare(t)
			dir := filepath.Dir(path)
			if info, err := os.Stat(dir); err != nil || !info.IsDir() {
				dir = filepath.Dir(dir)
			}
			before := snapshot(t, dir)
			// Twice: a refusal must not be what makes the second attempt succeed.
			for range 2 {
				s, err := Open(t.Context(), path)
				if err == nil {
					_ = s.Close()
					t.Fatal("no error")
				}
				for _, want := range append(c.want, "opening the store "+path+": ") {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("err = %v\nwant %q in it", err, want)
					}
				}
			}
			after := snapshot(t, dir)
			// Reading a database in WAL mode may leave an empty log and its index.
			for _, beside := range []string{"-wal", "-shm"} {
				name := filepath.Base(path) + beside
				if _, ok := before[name]; !ok {
					delete(after, name)
				}
			}
			if fmt.Sprint(after) != fmt.Sprint(before) {
				t.Errorf("files changed:\n got %v\nwant %v", after, before)
			}
		})
	}
	t.Run("no path", func(t *testing.T) {
		if _, err := Open(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "no path is given") {
			t.Errorf("err = %v", err)
		}
	})
}

func writeFile(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// An empty file is what a start leaves that was killed at once.
func TestOpenTakesAnEmptyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gateway.db")
	writeFile(t, path, nil)
	if err := mustOpen(t, path).CreateKey(t.Context(), storetest.NewKey(t)); err != nil {
		t.Error(err)
	}
}

func TestOpenEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, path := range map[string]string{"new": filepath.Join(t.TempDir(), "gateway.db"), "old": filled(t)} {
		if s, err := Open(ctx, path); err == nil {
			_ = s.Close()
			t.Errorf("%s: no error", name)
		}
	}
}

// Many that start at once on a new file all get it.
func TestOpenAtTheSameTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gateway.db")
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			s, err := Open(context.Background(), path)
			if err != nil {
				t.Error(err)
				return
			}
			if err := s.CreateKey(context.Background(), storetest.NewKey(t)); err != nil {
				t.Error(err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	keys, err := mustOpen(t, path).Keys(t.Context(), store.KeyFilter{})
	if err != nil || len(keys) != 8 {
		t.Errorf("%d keys, %v; want 8", len(keys), err)
	}
}

// Reloads open and close the store many times; nothing must stay open.
func TestCloseGivesFilesBack(t *testing.T) {
	count := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	if _, err := os.Stat("/proc/self/fd"); err != nil {
		t.Log("this system does not list open files; only that opening succeeds is tested")
		count = func() int { return 0 }
	}
	path := filepath.Join(t.TempDir(), "gateway.db")
	mustClose := func() {
		s := mustOpen(t, path)
		if _, err := s.Version(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	mustClose()
	before := count()
	for range 20 {
		mustClose()
	}
	if after := count(); after > before {
		t.Errorf("%d files open after 20 rounds, %d before", after, before)
	}
	bad := filled(t)
	edit(t, bad, func(b []byte) []byte { return b[:len(b)/2] })
	before = count()
	for range 20 {
		if _, err := Open(t.Context(), bad); err == nil {
			t.Fatal("no error")
		}
	}
	if after := count(); after > before {
		t.Errorf("%d files open after 20 refusals, %d before", after, before)
	}
}
