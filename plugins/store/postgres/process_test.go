//go:build unix

package postgres

import (
	"context"
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/store/storetest"
)

// children are the roles in which the test binary runs again as another process;
// each gets the URL of the database.
var children = map[string]func(url string) error{
	"write": func(url string) error {
		s, err := openURL(url)
		if err != nil {
			return err
		}
		return storetest.WriteUntilKilled(s)
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

// Processes that start together on a new database take turns with its schema.
func TestProcessesOpenAtTheSameTime(t *testing.T) {
	srv := server(t)
	url := srv.URL(srv.NewDatabase(t))
	var started []*storetest.Child
	for range 8 {
		started = append(started, storetest.StartChild(t, "open", url))
	}
	for _, c := range started {
		if got := c.Line(t); got != "open" {
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
	committed := storetest.StartChild(t, "write", url).KillAfter(t, 40)
	begin := time.Now()
	if err := s.Revoke(t.Context(), plugins.Revocation{ID: "r", Kind: plugins.RevokeTokenID, Value: "j", CreatedAt: time.Unix(1, 0)}); err != nil {
		t.Error(err)
	}
	if waited := time.Since(begin); waited > 2*time.Second {
		t.Errorf("the dead writer's lock was kept for %s", waited)
	}
	storetest.WantCommitted(t, s, committed)
}
