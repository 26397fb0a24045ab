//go:build unix

package sqlite

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/store"
	"github.com/ainative/portcullis/plugins/store/storetest"
)

func TestMain(m *testing.M) {
	storetest.RunRole(children)
	os.Exit(m.Run())
}

// children are the roles in which the test binary runs again as another process;
// each gets the path of the store.
var children = map[string]func(path string) error{
	"write": func(path string) error {
		s, err := Open(context.Background(), path)
		if err != nil {
			return err
		}
		return storetest.WriteUntilKilled(s)
	},
	// obey revokes the key of each line that it reads.
	"obey": func(path string) error {
		s, err := Open(context.Background(), path)
		if err != nil {
			return err
		}
		lines := bufio.NewScanner(os.Stdin)
		fmt.Println("ready")
		for lines.Scan() {
			if _, err := s.UpdateKey(context.Background(), lines.Text(), func(k *plugins.APIKey) error {
				k.RevokedAt = time.Unix(1770112800, 0)
				return nil
			}); err != nil {
				return err
			}
			fmt.Println("done")
		}
		return errors.Join(lines.Err(), s.Close())
	},
	// append adds 50 limits to the key "shared", one transaction each.
	"append": func(path string) error {
		s, err := Open(context.Background(), path)
		if err != nil {
			return err
		}
		for range 50 {
			if _, err := s.UpdateKey(context.Background(), "shared", func(k *plugins.APIKey) error {
				k.Limits = append(k.Limits, "1/1s")
				return nil
			}); err != nil {
				return err
			}
		}
		return s.Close()
	},
	// open opens the store as an ordinary user and says what came of it.
	"open": func(path string) error {
		if os.Getuid() == 0 {
			if err := errors.Join(syscall.Setgid(65534), syscall.Setuid(65534)); err != nil {
				return err
			}
		}
		s, err := Open(context.Background(), path)
		if err != nil {
			return err
		}
		return s.Close()
	},
}

// kill -9 in the middle of writes: the file is whole, and what was committed is
// there.
func TestKilledWriterLosesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gateway.db")
	for round := 1; round <= 4; round++ {
		s := mustOpen(t, path)
		all, err := s.Keys(t.Context(), store.KeyFilter{})
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range all {
			if _, err := s.write.ExecContext(t.Context(), `DELETE FROM api_keys WHERE id = ?`, key.ID); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}

		committed := storetest.StartChild(t, "write", path).KillAfter(t, 25*round)
		s = mustOpen(t, path)
		storetest.WantCommitted(t, s, committed)
		if err := s.CreateKey(t.Context(), storetest.NewKey(t)); err != nil {
			t.Errorf("round %d: %v", round, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// What another process writes is seen by the next read, and the version tells of
// it.
func TestTwoProcessesShareTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gateway.db")
	s := mustOpen(t, path)
	c := storetest.StartChild(t, "obey", path)
	c.Line(t)
	for range 10 {
		key := storetest.NewKey(t)
		if err := s.CreateKey(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		before, err := s.Version(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprintln(c.In, key.ID); err != nil {
			t.Fatal(err)
		}
		c.Line(t)
		after, err := s.Version(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if after <= before {
			t.Errorf("version %d after %d, want it to grow", after, before)
		}
		got, err := s.KeyByHash(t.Context(), key.Hash)
		if err != nil || got.RevokedAt.IsZero() {
			t.Errorf("got %+v, %v; want it revoked", got, err)
		}
	}
}

// Writers of several processes take turns, and no update is lost.
func TestProcessesWriteAtTheSameTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gateway.db")
	s := mustOpen(t, path)
	key := storetest.NewKey(t)
	key.ID, key.Limits = "shared", nil
	if err := s.CreateKey(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	children := []*storetest.Child{storetest.StartChild(t, "append", path), storetest.StartChild(t, "append", path)}
	var group sync.WaitGroup
	group.Go(func() {
		for range 50 {
			if _, err := s.UpdateKey(context.Background(), "shared", func(k *plugins.APIKey) error {
				k.Limits = append(k.Limits, "1/1s")
				return nil
			}); err != nil {
				t.Error(err)
			}
		}
	})
	for _, c := range children {
		for c.Out.Scan() {
			t.Error(c.Out.Text())
		}
		if err := c.Wait(); err != nil {
			t.Error(err)
		}
	}
	group.Wait()
	got, err := s.Key(t.Context(), "shared")
	if err != nil || len(got.Limits) != 150 {
		t.Errorf("%d updates, %v; want 150", len(got.Limits), err)
	}
}

// A writer that is killed while it holds the lock does not keep others out.
func TestKilledHolderFreesTheLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gateway.db")
	s := mustOpen(t, path)
	storetest.StartChild(t, "write", path).KillAfter(t, 1)
	if err := s.CreateKey(t.Context(), storetest.NewKey(t)); err != nil {
		t.Error(err)
	}
}

// What the file system forbids is refused with the path and what to do. It runs in
// a process without root's rights, to which nothing is forbidden.
func TestOpenRefusesWhatIsForbidden(t *testing.T) {
	cases := []struct {
		name    string
		prepare func(t *testing.T, dir string) (path string)
		want    []string
	}{
		{"unwritable directory", func(t *testing.T, dir string) string {
			chmod(t, dir, 0o555)
			return filepath.Join(dir, "gateway.db")
		}, []string{"making the file", "permission denied", "make its directory writable"}},
		{"unwritable parent", func(t *testing.T, dir string) string {
			chmod(t, dir, 0o555)
			return filepath.Join(dir, "new", "gateway.db")
		}, []string{"making its directory", "permission denied", "make that writable"}},
		{"read-only file", func(t *testing.T, dir string) string {
			path := place(t, dir)
			chmod(t, path, 0o444)
			return path
		}, []string{"it can't be written", "permission denied", "make it writable"}},
		{"unreadable file", func(t *testing.T, dir string) string {
			path := place(t, dir)
			chmod(t, path, 0o200)
			return path
		}, []string{"it can't be written", "permission denied"}},
		{"writable file in an unwritable directory", func(t *testing.T, dir string) string {
			path := place(t, dir)
			chmod(t, path, 0o666)
			chmod(t, dir, 0o555)
			return path
		}, []string{"-wal and -shm", "must be writable for the user that runs the gateway"}},
		{"pipe", func(t *testing.T, dir string) string {
			path := filepath.Join(dir, "gateway.db")
			if err := syscall.Mkfifo(path, 0o666); err != nil {
				t.Fatal(err)
			}
			return path
		}, []string{"it is no regular file"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			// The directory that t.TempDir's stands in is the user's alone.
			outer := t.TempDir()
			chmod(t, filepath.Dir(outer), 0o755)
			dir := filepath.Join(outer, "dir")
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { chmod(t, dir, 0o755) })
			path := c.prepare(t, dir)
			before := entriesOf(t, dir)
			child := storetest.StartChild(t, "open", path)
			var said []string
			for child.Out.Scan() {
				said = append(said, child.Out.Text())
			}
			got := strings.Join(said, "\n")
			if err := child.Wait(); err == nil {
				t.Error("no error")
			}
			for _, want := range append(c.want, "opening the store "+path+": ") {
				if !strings.Contains(got, want) {
					t.Errorf("it said %q\nwant %q in it", got, want)
				}
			}
			if after := entriesOf(t, dir); after != before {
				t.Errorf("files were %s and are %s", before, after)
			}
		})
	}
}

// place puts a filled store into a directory.
func place(t *testing.T, dir string) string {
	t.Helper()
	content, err := filledOnce()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "gateway.db")
	writeFile(t, path, content)
	return path
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func entriesOf(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprint(e.Name(), " ", info.Size(), " ", info.ModTime().UnixNano()))
	}
	return strings.Join(all, ", ")
}
