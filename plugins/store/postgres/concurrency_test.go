//go:build unix

package postgres

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/store"
	"github.com/ainative/portcullis/plugins/store/storetest"
)

// A version is never seen before the change that it stands for, nor a change
// without a version: a reader that asks for the version first and for the revocations
// then misses none, whatever is written meanwhile.
func TestVersionIsSeenWithItsChange(t *testing.T) {
	srv := server(t)
	url := srv.URL(srv.NewDatabase(t))
	writers := []*Store{mustOpen(t, options(url)), mustOpen(t, options(url))}
	reader := mustOpen(t, options(url))
	at := time.Unix(1770112800, 0)
	first, err := reader.Version(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	const each = 100
	var group sync.WaitGroup
	for _, s := range writers {
		for range 2 {
			group.Go(func() {
				for range each {
					if err := s.Revoke(context.Background(), storetest.NewRevocation(t)); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	done := make(chan struct{})
	go func() {
		group.Wait()
		close(done)
	}()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		version, err := reader.Version(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		all, err := reader.Revocations(t.Context(), at)
		if err != nil {
			t.Fatal(err)
		}
		if seen := int(version - first); len(all) < seen {
			t.Fatalf("version %d stands for %d changes, and %d are there", version, seen, len(all))
		}
	}
	last, err := reader.Version(t.Context())
	if err != nil || last != first+4*each {
		t.Errorf("version %d, %v; want %d", last, err, first+4*each)
	}
}

// However many rows a transaction changes, the version grows once: a row that is
// written ten thousand times in one transaction costs the square of that.
func TestVersionGrowsOnceInATransaction(t *testing.T) {
	srv := server(t)
	database := srv.NewDatabase(t)
	s := mustOpen(t, options(srv.URL(database)))
	version := func() uint64 {
		t.Helper()
		v, err := s.Version(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	keys := make([]plugins.APIKey, 1000)
	for i := range keys {
		keys[i] = storetest.NewKey(t)
	}
	before := version()
	if err := s.CreateKeys(t.Context(), keys); err != nil {
		t.Fatal(err)
	}
	if got := version(); got != before+1 {
		t.Errorf("version %d after %d, want it to grow by 1", got, before)
	}
	// A change by hand is noticed too, on a connection that has
	// counted before as well.
	for i, script := range []string{
		`DELETE FROM api_keys WHERE id = '` + keys[0].ID + `'; DELETE FROM api_keys WHERE id = '` + keys[1].ID + `'`,
		`BEGIN; SAVEPOINT a; DELETE FROM api_keys; ROLLBACK TO a; DELETE FROM api_keys WHERE id = '` + keys[2].ID + `'; COMMIT`,
		`SET search_path = pg_catalog; UPDATE public.api_keys SET revoked_at = 1 WHERE id = '` + keys[3].ID + `'`,
		`TRUNCATE revocations`,
	} {
		before := version()
		mustSQL(t, srv, database, script)
		if got := version(); got <= before {
			t.Errorf("%d: version %d after %d, want it to grow", i, got, before)
		}
	}
	before = version()
	mustSQL(t, srv, database, `UPDATE api_keys SET last_used_at = 1; DELETE FROM api_keys WHERE false`)
	if got := version(); got != before {
		t.Errorf("version %d after %d, want the same: nothing changed that decides", got, before)
	}
}

// Changes of many records, last uses and counts at once, in whatever order they
// come: no change waits for one that waits for it, and no last use goes back.
func TestNoDeadlocks(t *testing.T) {
	srv := server(t)
	url := srv.URL(srv.NewDatabase(t))
	stores := []*Store{mustOpen(t, options(url)), mustOpen(t, options(url))}
	at := time.Unix(1770112800, 0).UTC()
	u := storetest.NewUser(t)
	if err := stores[0].CreateUser(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	var keys []plugins.APIKey
	used := map[string]time.Time{}
	for range 40 {
		key := storetest.NewKey(t)
		key.Owner, key.LastUsedAt = u.ID, time.Time{}
		keys = append(keys, key)
		used[key.ID] = at
	}
	if err := stores[0].CreateKeys(t.Context(), keys); err != nil {
		t.Fatal(err)
	}
	counts := func(seconds int) (all []store.Count) {
		for i := range 20 {
			all = append(all, store.Count{Zone: "z", Key: [16]byte{byte(i)}, Period: time.Hour, Full: at.Add(time.Duration(seconds) * time.Second)})
		}
		return all
	}
	const rounds = 15
	var group sync.WaitGroup
	for n, s := range stores {
		for _, do := range []func(round int) error{
			func(round int) error {
				later := map[string]time.Time{}
				for id := range used {
					later[id] = at.Add(time.Duration(round) * time.Second)
				}
				return s.TouchKeys(context.Background(), later)
			},
			func(round int) error {
				_, err := s.UpdateUser(context.Background(), u.ID, plugins.UserChange{Keys: func(_ plugins.User, k *plugins.APIKey) error {
					k.Name = fmt.Sprint(n, " ", round)
					return nil
				}})
				return err
			},
			func(round int) error {
				_, err := s.UpdateKey(context.Background(), keys[round].ID, func(k *plugins.APIKey) error { k.Role = fmt.Sprint(n); return nil })
				return err
			},
			func(round int) error {
				next := storetest.NewKey(t)
				next.Owner = u.ID
				err := s.RotateKey(context.Background(), keys[20+round].ID, next, at.Add(time.Hour))
				if errors.Is(err, store.ErrConflict) {
					return nil // the other store was first
				}
				return err
			},
			func(round int) error { return s.SaveCounts(context.Background(), counts(round)) },
			func(int) error { _, err := s.SweepCounts(context.Background(), at.Add(5*time.Second)); return err },
			func(int) error { return s.AppendAudit(context.Background(), store.AuditEntry{At: at, Action: "a"}) },
		} {
			group.Go(func() {
				for round := range rounds {
					if err := do(round); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	group.Wait()
	for _, key := range keys {
		got, err := stores[0].Key(t.Context(), key.ID)
		if want := at.Add((rounds - 1) * time.Second); err != nil || !got.LastUsedAt.Equal(want) {
			t.Errorf("last use of %s = %s, %v; want %s", key.ID, got.LastUsedAt, err, want)
		}
	}
}

// Of many refreshes of one token, at two gateways, all get the same new one.
func TestRefreshesOfTwoGateways(t *testing.T) {
	srv := server(t)
	url := srv.URL(srv.NewDatabase(t))
	a, b := mustOpen(t, options(url)), mustOpen(t, options(url))
	u := storetest.NewUser(t)
	if err := a.CreateUser(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	f := storetest.NewFamily(t, u.ID)
	if err := a.StartFamily(t.Context(), f, u.Epoch); err != nil {
		t.Fatal(err)
	}
	storetest.RenewAtOnce(t, f, a, b)
}

// Counts of two processes are merged under a lock, a strict one too that neither
// has written before.
func TestCountsOfTwoProcesses(t *testing.T) {
	srv := server(t)
	url := srv.URL(srv.NewDatabase(t))
	a, b := mustOpen(t, options(url)), mustOpen(t, options(url))
	at := time.Unix(1770112800, 0).UTC()
	for i := range 20 {
		count := func(n int64) store.Count {
			return store.Count{
				Zone: "z", Key: [16]byte{byte(i)}, Period: time.Hour, Strict: true, Full: at.Add(time.Hour),
				Events: []store.CountEvents{{At: at.Add(time.Duration(n) * time.Second), N: n}},
			}
		}
		one, two := count(1), count(2)
		var group sync.WaitGroup
		group.Go(func() {
			if err := a.SaveCounts(context.Background(), []store.Count{one}); err != nil {
				t.Error(err)
			}
		})
		group.Go(func() {
			if err := b.SaveCounts(context.Background(), []store.Count{two}); err != nil {
				t.Error(err)
			}
		})
		group.Wait()
		want := one.Merge(two)
		if err := a.Counts(t.Context(), "z", at, func(c store.Count) error {
			if c.Key == want.Key && !reflect.DeepEqual(c, want) {
				t.Errorf("got %+v, want %+v", c, want)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// A row that somebody changed by hand into what we do not understand must not be
// read as less than it says: a list of addresses as none, which would be any.
func TestStrangeRowsAreErrors(t *testing.T) {
	srv := server(t)
	database := srv.NewDatabase(t)
	s := mustOpen(t, options(srv.URL(database)))
	key := storetest.NewKey(t)
	if err := s.CreateKey(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	for _, refused := range []string{`{"10.0.0.0/8": true}`, `"10.0.0.0/8"`, `1`, `null`, `[`, ``} {
		if _, err := srv.SQL(database, `UPDATE api_keys SET ip_allow = '`+refused+`'`); err == nil {
			t.Errorf("the server takes %s for a list", refused)
		}
	}
	mustSQL(t, srv, database, `UPDATE api_keys SET ip_allow = '[1]'`)
	_, err := s.KeyByHash(t.Context(), key.Hash)
	wantFailure(t, "KeyByHash", err)
	_, err = s.Keys(t.Context(), store.KeyFilter{})
	wantFailure(t, "Keys", err)
}
