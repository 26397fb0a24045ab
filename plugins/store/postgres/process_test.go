//go:build unix

package postgres

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/store"
)

// The tests of this file run the test binary again as another process: with the
// role in this variable it does that instead of testing.
const childRole = "POSTGRES_TEST_CHILD"

// children are the roles; each gets the URL of the database.
var children = map[string]func(url string) error{
	// write creates keys until it is killed, and says each that was committed.
	"write": func(url string) error {
		s, err := openURL(url)
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
	// open opens the store and says so.
	"open": func(url string) error {
		s, err := openURL(url)
		if err != nil {
			return err
		}
		fmt.Println("open")
		return s.Close()
	},
	// hold takes the lock of all changes and keeps it.
	"hold": func(url string) error {
		o := options(url)
		o.Timeout = time.Second
		target, err := Parse(o)
		if err != nil {
			return err
		}
		s, err := Open(context.Background(), target)
		if err != nil {
			return err
		}
		_, err = s.UpdateKey(context.Background(), "shared", func(*plugins.APIKey) error {
			fmt.Println("held")
			_, _ = io.Copy(io.Discard, os.Stdin)
			return nil
		})
		return err
	},
}

func openURL(url string) (*Store, error) {
	target, err := Parse(options(url))
	if err != nil {
		return nil, err
	}
	return Open(context.Background(), target)
}

// child is a running role.
type child struct {
	*exec.Cmd
	out *bufio.Scanner
}

func startChild(t *testing.T, role, url string) *child {
	t.Helper()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(executable, url)
	cmd.Env = append(os.Environ(), childRole+"="+role)
	cmd.Stderr = os.Stderr
	if _, err := cmd.StdinPipe(); err != nil {
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
	return &child{cmd, bufio.NewScanner(out)}
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

// Processes that start together on a new database take turns with its schema.
func TestProcessesOpenAtTheSameTime(t *testing.T) {
	srv := server(t)
	url := srv.URL(srv.NewDatabase(t))
	var started []*child
	for range 8 {
		started = append(started, startChild(t, "open", url))
	}
	for _, c := range started {
		if got := c.line(t); got != "open" {
			t.Errorf("it said %q", got)
		}
	}
}

// kill -9 in the middle of writes: what was committed is there, nothing is half
// there, and the lock is free at once.
func TestKilledWriterLosesNothing(t *testing.T) {
	srv := server(t)
	url := srv.URL(srv.NewDatabase(t))
	s := mustOpen(t, options(url))
	c := startChild(t, "write", url)
	var committed []string
	for range 40 {
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
	begin := time.Now()
	if err := s.Revoke(t.Context(), plugins.Revocation{ID: "r", Kind: plugins.RevokeTokenID, Value: "j", CreatedAt: time.Unix(1, 0)}); err != nil {
		t.Error(err)
	}
	if waited := time.Since(begin); waited > 2*time.Second {
		t.Errorf("the dead writer's lock was kept for %s", waited)
	}
	all, err := s.Keys(t.Context(), store.KeyFilter{})
	if err != nil || len(all) < len(committed) || len(all) > len(committed)+1 {
		t.Fatalf("%d keys, %v; want %d or one more", len(all), err, len(committed))
	}
	for i, id := range committed {
		if all[i].ID != id || all[i].Name != "updated" || all[i].Tier != "updated" {
			t.Errorf("got %+v, want %s updated", all[i], id)
		}
	}
}
