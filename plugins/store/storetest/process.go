package storetest

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/ainative/portcullis/internal/servertest"
	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/store"
)

// roleVariable makes the test binary another process that does what the role says,
// instead of testing.
const roleVariable = "PORTCULLIS_STORE_TEST_ROLE"

// RunRole does what the process's role says with the store of its argument, and
// ends it. In a process without a role, that of the tests, it returns.
func RunRole(roles map[string]func(target string) error) {
	role := os.Getenv(roleVariable)
	if role == "" {
		return
	}
	if err := roles[role](os.Args[1]); err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// A Child is a running role.
type Child struct {
	*exec.Cmd
	In  io.WriteCloser
	Out *bufio.Scanner
}

// StartChild runs the test binary in a role, and kills it when the test ends.
func StartChild(t *testing.T, role, target string) *Child {
	t.Helper()
	executable, err := os.Executable()
	must(t, err)
	cmd := exec.CommandContext(t.Context(), executable, target)
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, servertest.Start(t, cmd))
	t.Cleanup(func() {
		// It may have ended long ago, by itself or killed by the test.
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return &Child{cmd, in, bufio.NewScanner(out)}
}

// Line returns the next line that the child prints.
func (c *Child) Line(t *testing.T) string {
	t.Helper()
	if !c.Out.Scan() {
		t.Fatalf("the child printed no more: %v", c.Out.Err())
	}
	if strings.HasPrefix(c.Out.Text(), "error:") {
		t.Fatal(c.Out.Text())
	}
	return c.Out.Text()
}

// KillAfter kills a child in the role of WriteUntilKilled once it has committed so
// many keys, as kill -9 does, and returns the ids of those that it committed.
func (c *Child) KillAfter(t *testing.T, keys int) (committed []string) {
	t.Helper()
	for range keys {
		committed = append(committed, c.Line(t))
	}
	must(t, c.Process.Kill())
	// What it had still printed counts too.
	for c.Out.Scan() {
		committed = append(committed, c.Out.Text())
	}
	_ = c.Wait() // it was killed
	return committed
}

// WriteUntilKilled is a role: it creates and updates keys, and prints the id of
// each that was committed.
func WriteUntilKilled(s store.Store) error {
	for i := 0; ; i++ {
		key := plugins.APIKey{ID: fmt.Sprintf("child-%06d", i), Owner: "u1", Hash: make([]byte, 32), CreatedAt: time.Unix(1770112800, 0)}
		copy(key.Hash, key.ID)
		if err := s.CreateKey(ctx(), key); err != nil {
			return err
		}
		if _, err := s.UpdateKey(ctx(), key.ID, func(k *plugins.APIKey) error {
			k.Name, k.Tier = "updated", "updated"
			return nil
		}); err != nil {
			return err
		}
		fmt.Println(key.ID)
	}
}

// WantCommitted fails unless the store has every key that WriteUntilKilled
// committed, whole, and one more at most.
func WantCommitted(t *testing.T, s store.Store, committed []string) {
	t.Helper()
	all, err := s.Keys(ctx(), store.KeyFilter{})
	must(t, err)
	if len(all) < len(committed) || len(all) > len(committed)+1 {
		t.Fatalf("%d keys, want %d or one more", len(all), len(committed))
	}
	for i, id := range committed {
		if all[i].ID != id || all[i].Name != "updated" || all[i].Tier != "updated" {
			t.Errorf("got %+v, want %s updated", all[i], id)
		}
	}
}
