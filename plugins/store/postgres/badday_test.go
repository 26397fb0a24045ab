//go:build unix

package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/store"
	"github.com/ainative/portcullis/plugins/store/postgres/postgrestest"
	"github.com/ainative/portcullis/plugins/store/storetest"
)

// wantFailure checks that an error is none of the answers that a store gives.
func wantFailure(t *testing.T, what string, err error) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error", what)
	}
	for _, answer := range []error{store.ErrNotFound, store.ErrExists, store.ErrConflict, store.ErrInvalid} {
		if errors.Is(err, answer) {
			t.Errorf("%s: err = %v, which is an answer", what, err)
		}
	}
}

// A server that crashes under load: what could not be done is an error and never
// "not found", what was done is there afterwards, and the store goes on by itself
// when the server is back.
func TestServerCrashesUnderLoad(t *testing.T) {
	srv := server(t)
	o := options(srv.URL(srv.NewDatabase(t)))
	o.Timeout = 2 * time.Second
	s := mustOpen(t, o)
	known := storetest.NewKey(t)
	if err := s.CreateKey(t.Context(), known); err != nil {
		t.Fatal(err)
	}

	ctx, stop := context.WithCancel(t.Context())
	var group sync.WaitGroup
	var created sync.Map
	var reads, failures atomic.Int64
	for w := range 6 {
		group.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				if w < 2 {
					key := storetest.NewKey(t)
					err := s.CreateKey(context.Background(), key)
					switch {
					case err == nil:
						created.Store(key.ID, true)
					case errors.Is(err, store.ErrExists), errors.Is(err, store.ErrNotFound):
						t.Errorf("CreateKey: %v", err)
					}
					continue
				}
				got, err := s.KeyByHash(context.Background(), known.Hash)
				switch {
				case errors.Is(err, store.ErrNotFound):
					t.Errorf("KeyByHash: %v", err)
				case err != nil:
					failures.Add(1)
				case got.ID != known.ID:
					t.Errorf("got %+v", got)
				default:
					reads.Add(1)
				}
			}
		})
	}
	await(t, func() bool { return reads.Load() > 50 })
	for _, signal := range []syscall.Signal{syscall.SIGQUIT, syscall.SIGINT} {
		srv.Stop(signal)
		before := failures.Load()
		await(t, func() bool { return failures.Load() > before+20 })
		if err := srv.Run(); err != nil {
			t.Fatal(err)
		}
		back := time.Now()
		before = reads.Load()
		await(t, func() bool { return reads.Load() > before+100 })
		if took := time.Since(back); took > 10*time.Second {
			t.Errorf("reads came back after %s", took)
		}
	}
	stop()
	group.Wait()
	n := 0
	created.Range(func(id, _ any) bool {
		n++
		if _, err := s.Key(t.Context(), id.(string)); err != nil {
			t.Errorf("%s was committed: %v", id, err)
		}
		return true
	})
	if n == 0 {
		t.Error("nothing was created")
	}
}

// await waits until a condition holds.
func await(t *testing.T, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); {
		if time.Now().After(deadline) {
			t.Fatal("waited for 30 seconds in vain")
		}
		<-time.After(5 * time.Millisecond)
	}
}

// A connection that the server has closed while it was idle, for a second or more,
// is no failure for the next caller.
func TestRestartBetweenRequestsIsNotNoticed(t *testing.T) {
	srv := server(t)
	s := mustOpen(t, options(srv.URL(srv.NewDatabase(t))))
	if _, err := s.Version(t.Context()); err != nil {
		t.Fatal(err)
	}
	srv.Stop(syscall.SIGINT)
	if err := srv.Run(); err != nil {
		t.Fatal(err)
	}
	<-time.After(1100 * time.Millisecond)
	for range 3 {
		if _, err := s.Version(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestOpenSaysWhatToDo(t *testing.T) {
	srv := server(t)
	database := srv.NewDatabase(t)
	silent, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	closed, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	good := tcp(srv, database)
	for _, c := range []struct {
		name string
		url  string
		want []string
	}{
		{"nobody listens", "postgres://u:hunter2@" + closed.Addr().String() + "/gw", []string{"connection refused", "start PostgreSQL, or name the host and port"}},
		{"nobody answers", "postgres://u:hunter2@" + silent.Addr().String() + "/gw", []string{"nothing answers there in time"}},
		{"no socket", "postgres:///gw?host=" + t.TempDir(), []string{"no such file", "start PostgreSQL"}},
		{"no such host", "postgres://u:hunter2@no-such-host.invalid/gw?sslmode=disable", []string{"no-such-host.invalid"}},
		{"wrong password", strings.Replace(good, "gateway:", "gateway:hunter2", 1), []string{"password authentication failed", "look at the user and the password"}},
		{"wrong user", strings.Replace(good, "gateway:", "nobody-hunter:", 1), []string{"password authentication failed", "pg_hba.conf"}},
		{"TLS that the server has not", good + "?sslmode=require", []string{"server refused TLS connection", "sslmode=disable"}},
		{"unknown parameter", good + "?no_such_setting=1", []string{"no_such_setting"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := options(c.url)
			o.Timeout = time.Second
			s, err := Open(t.Context(), mustParse(t, o))
			if err == nil {
				_ = s.Close()
				t.Fatal("no error")
			}
			for _, want := range append(c.want, "opening the store postgres ") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("err = %v\nwant %q in it", err, want)
				}
			}
			if said := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(said, "hunter2") || strings.Contains(said, postgrestest.Password) {
				t.Errorf("the password is in %s", said)
			}
		})
	}
	// The password of many special characters is the right one.
	mustOpen(t, options(good))
	apart := fmt.Sprintf("postgres://%s@127.0.0.1:%d/%s", postgrestest.User, srv.Port(), database)
	mustOpen(t, Options{URL: plugins.NewSecret(apart), Password: plugins.NewSecret(postgrestest.Password)})
}

// Somebody else's lock makes a failure within the timeout, on the server too, and no
// wait without end.
func TestLockedTable(t *testing.T) {
	srv := server(t)
	database := srv.NewDatabase(t)
	o := options(srv.URL(database))
	s := mustOpen(t, o)
	key := storetest.NewKey(t)
	if err := s.CreateKey(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	// Long enough that a busy server has begun with what it is asked to give up.
	o.Timeout = time.Second
	hasty := mustOpen(t, o)

	tx, err := s.db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(t.Context(), `LOCK TABLE api_keys, revocations IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	_, err = hasty.KeyByHash(t.Context(), key.Hash)
	wantFailure(t, "KeyByHash", err)
	_, err = hasty.Revocations(t.Context(), key.CreatedAt)
	wantFailure(t, "Revocations", err)
	wantFailure(t, "Revoke", hasty.Revoke(t.Context(), storetest.NewRevocation(t)))
	wantFailure(t, "TouchKeys", hasty.TouchKeys(t.Context(), map[string]time.Time{key.ID: time.Now()}))
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("four operations of 1s at most took %s", took)
	}
	// What needs none of the tables goes on.
	if _, err := hasty.Version(t.Context()); err != nil {
		t.Error(err)
	}
	// The server has given up too: nobody but the holder is in a query.
	await(t, func() bool {
		return mustSQL(t, srv, database, `SELECT count(*) FROM pg_locks WHERE NOT granted`) == "0"
	})
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if got, err := hasty.KeyByHash(t.Context(), key.Hash); err != nil || got.ID != key.ID {
		t.Errorf("afterwards: %+v, %v", got, err)
	}
}

// A server that keeps its connections and answers nothing, as a machine that hangs,
// holds no caller for longer than the timeout, whatever it asks for, and is used again
// when it answers.
func TestServerHangs(t *testing.T) {
	srv := postgrestest.Start(t)
	o := options(srv.URL(srv.NewDatabase(t)))
	o.Timeout, o.MaxConnections = 500*time.Millisecond, 4
	s := mustOpen(t, o)
	known := storetest.NewKey(t)
	if err := s.CreateKey(t.Context(), known); err != nil {
		t.Fatal(err)
	}
	left := mustOpen(t, o)
	thaw := srv.Freeze()
	defer thaw()
	// Twice: the first calls wait on connections that are there, the others for a new
	// one. All at once: they also wait for each other.
	for round := range 2 {
		var group sync.WaitGroup
		begin := time.Now()
		for name, call := range storetest.EveryMethod(t, s) {
			if name == "Counts" {
				continue // no request calls it, and its bound is readCountsTime
			}
			group.Go(func() {
				wantFailure(t, name, call(context.Background()))
				// A busy machine is slow; a call without a bound waits for ever.
				if took := time.Since(begin); took > 20*o.Timeout {
					t.Errorf("round %d: %s took %s, the timeout is %s", round, name, took, o.Timeout)
				}
			})
		}
		group.Wait()
	}
	begin := time.Now()
	if err := left.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("closing took %s", took)
	}
	thaw()
	await(t, func() bool {
		got, err := s.KeyByHash(t.Context(), known.Hash)
		return err == nil && got.ID == known.ID
	})
}

// A gateway that hangs in the middle of a change, as one whose machine has lost its
// network, does not keep the others waiting: the server ends its transaction.
func TestHangingHolderLosesTheLock(t *testing.T) {
	srv := server(t)
	url := srv.URL(srv.NewDatabase(t))
	s := mustOpen(t, options(url))
	key := storetest.NewKey(t)
	key.ID = "shared"
	if err := s.CreateKey(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	c := storetest.StartChild(t, "hold", url)
	c.Line(t)
	if err := c.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	for {
		err := s.Revoke(t.Context(), storetest.NewRevocation(t))
		if err == nil {
			break
		}
		wantFailure(t, "Revoke", err)
		if time.Since(begin) > 4*DefaultTimeout {
			t.Fatalf("the lock is still held: %v", err)
		}
	}
	if got, err := s.Key(t.Context(), "shared"); err != nil || got.Name != key.Name {
		t.Errorf("got %+v, %v; want the key as it was", got, err)
	}
}

// A replica is never asked: it may be behind, and on it a revoked key is good. When
// it has become the primary it is found by itself.
func TestReplicaAndFailover(t *testing.T) {
	primary := postgrestest.Start(t)
	database := primary.NewDatabase(t)
	mustOpen(t, options(primary.URL(database)))
	replica := primary.Replica(t)

	_, err := Open(t.Context(), mustParse(t, options(replica.URL(database))))
	if err == nil || !strings.Contains(err.Error(), "it can only be read, as a replica: name the primary, or all hosts") {
		t.Errorf("err = %v, want it to say that this is a replica", err)
	}

	both := fmt.Sprintf("postgres://%s@%%2F%s:%d,%%2F%s:%d/%s", postgrestest.User,
		strings.ReplaceAll(replica.Dir()[1:], "/", "%2F"), replica.Port(), strings.ReplaceAll(primary.Dir()[1:], "/", "%2F"), primary.Port(), database)
	s := mustOpen(t, options(both))
	key := storetest.NewKey(t)
	if err := s.CreateKey(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	await(t, func() bool {
		return mustSQL(t, replica, database, `SELECT count(*) FROM api_keys`) == "1"
	})
	primary.Stop(syscall.SIGQUIT)
	_, err = s.KeyByHash(t.Context(), key.Hash)
	wantFailure(t, "KeyByHash without primary", err)
	if err := replica.Promote(); err != nil {
		t.Fatal(err)
	}
	await(t, func() bool {
		got, err := s.KeyByHash(t.Context(), key.Hash)
		if errors.Is(err, store.ErrNotFound) {
			t.Error(err)
		}
		return err == nil && got.ID == key.ID
	})
	if err := s.CreateKey(t.Context(), storetest.NewKey(t)); err != nil {
		t.Error(err)
	}
}

// A server that turns read-only under open connections, as a primary that was
// demoted: writes fail, and the connections are made anew.
func TestReadOnlyServer(t *testing.T) {
	srv := server(t)
	database := srv.NewDatabase(t)
	s := mustOpen(t, options(srv.URL(database)))
	if _, err := s.db.ExecContext(t.Context(), `SET default_transaction_read_only = on`); err != nil {
		t.Fatal(err)
	}
	before := s.pool.Stat().NewConnsCount()
	failed := 0
	for range 3 {
		if err := s.Revoke(t.Context(), storetest.NewRevocation(t)); err != nil {
			wantFailure(t, "Revoke", err)
			failed++
		}
	}
	if failed != 1 || s.pool.Stat().NewConnsCount() == before {
		t.Errorf("%d writes failed, %d new connections; want one failure, and another connection", failed, s.pool.Stat().NewConnsCount()-before)
	}
}

// The pool has a bound: a caller that comes when it is used up waits, and fails in time.
func TestConnectionsAreBounded(t *testing.T) {
	srv := server(t)
	database := srv.NewDatabase(t)
	o := options(srv.URL(database))
	o.MaxConnections, o.Timeout = 2, time.Second
	s := mustOpen(t, o)
	var most atomic.Int64
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			for range 10 {
				if _, err := s.Keys(context.Background(), store.KeyFilter{}); err != nil {
					t.Error(err)
				}
				if n := int64(s.pool.Stat().TotalConns()); n > most.Load() {
					most.Store(n)
				}
			}
		})
	}
	group.Wait()
	if most.Load() > 2 {
		t.Errorf("%d connections, want 2 at most", most.Load())
	}
	a, err := s.db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := s.db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	begin := time.Now()
	_, err = s.Version(t.Context())
	wantFailure(t, "Version without a connection", err)
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("it took %s to fail", took)
	}
}
