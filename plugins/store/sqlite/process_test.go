//go:build unix

package sqlite

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
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

// The tests of this file run the test binary again as another process: with the
// role in this variable it does that instead of testing.
const childRole = "SQLITE_TEST_CHILD"

func TestMain(m *testing.M) {
	role := os.Getenv(childRole)
	if role == "" {
		os.Exit(m.Run())
	}
	if err := children[role](os.Args[1]); err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// children are the roles; each gets the path of the store.
var children = map[string]func(path string) error{
	// write creates keys until it is killed, and says each that was committed.
	"write": func(path string) error {
		s, err := Open(context.Background(), path)
		if err != nil {
			return err
		}
		for i := 0; ; i++ {
			key := plugins.APIKey{ID: fmt.Sprintf("child-%06d", i), Owner: "u1", Hash: make([]byte, 32), CreatedAt: time.Unix(1770112800, 0)}
			copy(key.Hash, key.ID)
			if err := s.CreateKey(context.Background(), key); err != nil {
				return err
			}
			if _, err := s.UpdateKey(context.Background(), key.ID, func(k *plugins.APIKey) error {
				k.Name, k.Tier = "updated", "updated"
				return nil
			}); err != nil {
				return err
			}
			fmt.Println(key.ID)
		}
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

// child is a running role.
type child struct {
	*exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

func startChild(t *testing.T, role, path string) *child {
	t.Helper()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(executable, path)
	cmd.Env = append(os.Environ(), childRole+"="+role)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// It may have ended long ago, by itself or killed by the test.
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return &child{cmd, in, bufio.NewScanner(out)}
}

// line returns the next line that the child prints.
func (c *child) line(t *testing.T) string {
	t.Helper()
	if !c.out.Scan() {
		t.Fatalf("the child printed no more: %v", c.out.Err())
	}
	if strings.HasPrefix(c.out.Text(), "error:") {
		t.Fatal(c.out.Text())
	}
	return c.out.Text()
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

		c := startChild(t, "write", path)
		var committed []string
		for range 25 * round {
			committed = append(committed, c.line(t))
		}
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		// What it had still printed counts too.
		for c.out.Scan() {
			committed = append(committed, c.out.Text())
		}
		_ = c.Wait() // it was killed

		s = mustOpen(t, path)
		for _, id := range committed {
			key, err := s.Key(t.Context(), id)
			if err != nil {
				t.Fatalf("round %d: %s was committed: %v", round, id, err)
			}
			if key.Name != "updated" || key.Tier != "updated" {
				t.Errorf("round %d: %s is half updated: %+v", round, id, key)
			}
		}
		all, err = s.Keys(t.Context(), store.KeyFilter{})
		if err != nil || len(all) > len(committed)+1 {
			t.Errorf("round %d: %d keys, %v; want %d or one more", round, len(all), err, len(committed))
		}
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
	c := startChild(t, "obey", path)
	c.line(t)
	for range 10 {
		key := storetest.NewKey(t)
		if err := s.CreateKey(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		before, err := s.Version(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprintln(c.in, key.ID); err != nil {
			t.Fatal(err)
		}
		c.line(t)
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
	children := []*child{startChild(t, "append", path), startChild(t, "append", path)}
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
		for c.out.Scan() {
			t.Error(c.out.Text())
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
	c := startChild(t, "write", path)
	c.line(t)
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait() // it was killed
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
			child := startChild(t, "open", path)
			var said []string
			for child.out.Scan() {
				said = append(said, child.out.Text())
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
