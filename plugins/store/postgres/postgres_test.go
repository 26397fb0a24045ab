//go:build unix

package postgres

import (
	"flag"
	"fmt"
	"net/url"
	"os"
	"testing"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/store"
	"github.com/ainative/portcullis/plugins/store/postgres/postgrestest"
	"github.com/ainative/portcullis/plugins/store/storetest"
)

// shared is the server of all tests of this package; nil where there is none. Making
// one takes seconds.
var shared *postgrestest.Server

func TestMain(m *testing.M) {
	storetest.RunRole(children)
	flag.Parse()
	if _, why := postgrestest.Find(); why == "" && !testing.Short() {
		var err error
		if shared, err = postgrestest.New(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	code := m.Run()
	if shared != nil {
		shared.Close()
	}
	os.Exit(code)
}

func server(t testing.TB) *postgrestest.Server {
	t.Helper()
	postgrestest.Need(t)
	return shared
}

func options(url string) Options { return Options{URL: plugins.NewSecret(url)} }

func mustParse(t testing.TB, o Options) *Target {
	t.Helper()
	target, err := Parse(o)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func mustOpen(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), mustParse(t, o))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// The store says the same with prepared statements and without, as a pooler wants
// it that lends connections by the transaction.
func TestConformance(t *testing.T) {
	srv := server(t)
	for _, mode := range []string{"cache_statement", "exec"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			// Emptied for each test and not made anew: that takes a tenth of a second.
			o := options(srv.URL(srv.NewDatabase(t)) + "&default_query_exec_mode=" + mode)
			storetest.Run(t, func(t *testing.T) store.Store {
				s := mustOpen(t, o)
				if _, err := s.db.ExecContext(t.Context(), `TRUNCATE api_keys, revocations, audit, token_families, users, counts, owner_limits`); err != nil {
					t.Fatal(err)
				}
				return s
			})
		})
	}
}

// tcp is a database's URL over TCP, with the password.
func tcp(srv *postgrestest.Server, database string) string {
	return (&url.URL{
		Scheme: "postgres", User: url.UserPassword(postgrestest.User, postgrestest.Password),
		Host: fmt.Sprintf("127.0.0.1:%d", srv.Port()), Path: database,
	}).String()
}
