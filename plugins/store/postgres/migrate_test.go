//go:build unix

package postgres

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/store"
	"github.com/ainative/portcullis/plugins/store/internal/sqlstore"
	"github.com/ainative/portcullis/plugins/store/postgres/postgrestest"
	"github.com/ainative/portcullis/plugins/store/storetest"
)

// released are the checksums of the migrations as they went out. A migration is
// never changed; a new one gets a line here.
var released = []string{
	"71ed05270d249f8b0ceeb9e9af23d8a68ee4b9db0e36a638ac62e428f52c50cb",
	"0eba55e7b1c19f00a6bd231aa8043833ba7eff63ece200eac5898f530d654810",
	"30ef72d5200ac4eecb77695b3f78c01751edd10fb926759900a3bfb2be30d9ee",
	"3936922dfdcfa9b4e1d7a30c5162dd8d934be0586fe4c84f9ee0ee3b078ed3b5",
	"55b70609a66fc68b1283d2b04c22aee464627610c1e611f873d57829ce882ee5",
	"5dc87d7e1b487de34ee873207e19734c3b5866705f8421e3bec807b9abe66f3c",
}

func mustLoad(t testing.TB) []sqlstore.Migration {
	t.Helper()
	return storetest.Migrations(t, migrationFiles)
}

func TestMigrationsAreNeverChanged(t *testing.T) {
	storetest.MigrationsAreReleased(t, mustLoad(t), released)
}

// Each store has its own tables, and the migrations of both go by the same names:
// a migration added to only one of them is found here, also without a server.
func TestMigrationsAreThoseOfSQLite(t *testing.T) {
	names := func(dir string) (list []string) {
		t.Helper()
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			list = append(list, e.Name())
		}
		return list
	}
	if got, want := names("migrations"), names("../sqlite/migrations"); !reflect.DeepEqual(got, want) {
		t.Errorf("migrations are %q, those of SQLite %q: add what is missing", got, want)
	}
}

func mustSQL(t *testing.T, srv *postgrestest.Server, database, script string) string {
	t.Helper()
	out, err := srv.SQL(database, script)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// rawOpen connects without preparing anything.
func rawOpen(t *testing.T, url string) *Store {
	t.Helper()
	s, err := connect(t.Context(), mustParse(t, options(url)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

const schemaQuery = `
	SELECT 'column ' || table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable || ' ' || coalesce(collation_name, '')
		FROM information_schema.columns WHERE table_schema = 'public'
	UNION ALL SELECT 'index ' || indexdef FROM pg_indexes WHERE schemaname = 'public'
	UNION ALL SELECT 'trigger ' || pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
	UNION ALL SELECT 'constraint ' || conrelid::regclass || ' ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace
	UNION ALL SELECT 'function ' || prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace
	ORDER BY 1`

// A database of each older release is brought to the schema of a new one, and
// keeps what was in it.
func TestMigrationFromEachVersion(t *testing.T) {
	srv := server(t)
	newest := srv.NewDatabase(t)
	mustOpen(t, options(srv.URL(newest)))
	want := mustSQL(t, srv, newest, schemaQuery)
	at := time.Unix(1770112800, 0).UTC()
	for version := range len(mustLoad(t)) + 1 {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			database := srv.NewDatabase(t)
			old := rawOpen(t, srv.URL(database))
			if err := migrate(t.Context(), old.db, mustLoad(t)[:version]); err != nil {
				t.Fatal(err)
			}
			if version >= 1 {
				mustSQL(t, srv, database, `INSERT INTO api_keys VALUES ('k', 'u1', 'n', 'sk_live_Ab3x', '\x`+strings.Repeat("07", 32)+`', 1, 'USER', 'pro',
					'["a"]', '[]', '[]', 1770112800, NULL, 1770112800, 1770112801, '')`)
			}
			if version >= 2 {
				mustSQL(t, srv, database, `INSERT INTO revocations VALUES ('r', 'subject', '', 'u1', 1770112800, 1770112800, NULL, '')`)
			}
			s := mustOpen(t, options(srv.URL(database)))
			if got := mustSQL(t, srv, database, schemaQuery); got != want {
				t.Errorf("schema:\n got %s\nwant %s", got, want)
			}
			keys, err := s.Keys(t.Context(), store.KeyFilter{})
			if err != nil || len(keys) != min(version, 1) || len(keys) == 1 && (keys[0].ID != "k" || !keys[0].RevokedAt.Equal(at.Add(time.Second))) {
				t.Errorf("keys = %+v, %v", keys, err)
			}
			revocations, err := s.Revocations(t.Context(), at)
			if err != nil || len(revocations) != min(max(version-1, 0), 1) || len(revocations) == 1 && revocations[0].Kind != plugins.RevokeSubject {
				t.Errorf("revocations = %+v, %v", revocations, err)
			}
			if err := s.CreateKey(t.Context(), storetest.NewKey(t)); err != nil {
				t.Error(err)
			}
		})
	}
}

// A migration that fails leaves the database as it was, with its records.
func TestFailedMigrationChangesNothing(t *testing.T) {
	srv := server(t)
	database := srv.NewDatabase(t)
	s := mustOpen(t, options(srv.URL(database)))
	if err := s.CreateKey(t.Context(), storetest.NewKey(t)); err != nil {
		t.Fatal(err)
	}
	want := mustSQL(t, srv, database, schemaQuery)
	err := migrate(t.Context(), s.db, storetest.Broken(mustLoad(t)))
	if err == nil || !strings.Contains(err.Error(), "applying migration next_bad.sql") {
		t.Errorf("err = %v, want one that names the migration", err)
	}
	if got := mustSQL(t, srv, database, schemaQuery); got != want {
		t.Errorf("schema:\n got %s\nwant %s", got, want)
	}
	if keys, err := s.Keys(t.Context(), store.KeyFilter{}); err != nil || len(keys) != 1 {
		t.Errorf("%d keys, %v; want 1", len(keys), err)
	}
	mustOpen(t, options(srv.URL(database)))
}

// Many that start at once on a new database all get it, and one of them makes it.
func TestOpenAtTheSameTime(t *testing.T) {
	srv := server(t)
	url := srv.URL(srv.NewDatabase(t))
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			s, err := Open(context.Background(), mustParse(t, options(url)))
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
	keys, err := mustOpen(t, options(url)).Keys(t.Context(), store.KeyFilter{})
	if err != nil || len(keys) != 8 {
		t.Errorf("%d keys, %v; want 8", len(keys), err)
	}
}

// TestOpenRefuses: a database that can't be used is left as it is, and the error
// says which and what to do.
func TestOpenRefuses(t *testing.T) {
	srv := server(t)
	for _, c := range []struct {
		name    string
		prepare func(t *testing.T, database string)
		url     func(database string) string
		want    []string
	}{
		{name: "newer schema", prepare: func(t *testing.T, database string) {
			mustOpen(t, options(srv.URL(database)))
			mustSQL(t, srv, database, `INSERT INTO schema_migrations VALUES (99, 'x', 0)`)
		}, want: []string{"its schema has version 99 or later and this release knows versions up to", "run the release that last used it"}},
		{name: "other migration", prepare: func(t *testing.T, database string) {
			mustOpen(t, options(srv.URL(database)))
			mustSQL(t, srv, database, `UPDATE schema_migrations SET checksum = 'x' WHERE version = 2`)
		}, want: []string{"its schema was made by another migration 2", "restore a backup"}},
		{name: "migrations of another tool", prepare: func(t *testing.T, database string) {
			mustSQL(t, srv, database, `CREATE TABLE schema_migrations (version varchar PRIMARY KEY)`)
		}, want: []string{"tables of another application are there; nothing was changed"}},
		{name: "tables of another application", prepare: func(t *testing.T, database string) {
			mustSQL(t, srv, database, `CREATE TABLE users (id serial PRIMARY KEY)`)
		}, want: []string{"applying migration 0004_users.sql", "tables of another application are there; nothing was changed: give the gateway a database"}},
		{name: "no right to make tables", prepare: func(t *testing.T, database string) {
			mustSQL(t, srv, "postgres", `DO $$ BEGIN CREATE ROLE guest LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$`)
		}, url: func(database string) string {
			return strings.Replace(srv.URL(database), postgrestest.User+"@", "guest@", 1)
		}, want: []string{"permission denied for schema public", "the role must own the database"}},
		{name: "encoding", url: func(string) string {
			mustSQL(t, srv, "postgres", `CREATE DATABASE ascii ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0`)
			return srv.URL("ascii")
		}, want: []string{"its encoding is SQL_ASCII and must be UTF8", "createdb"}},
		{
			name: "no such database", url: func(string) string { return srv.URL("nowhere") },
			want: []string{`database "nowhere" does not exist`, "make the database: `createdb"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			database := srv.NewDatabase(t)
			if c.prepare != nil {
				c.prepare(t, database)
			}
			url := srv.URL(database)
			if c.url != nil {
				url = c.url(database)
			}
			before := mustSQL(t, srv, database, schemaQuery)
			// Twice: a refusal must not be what makes the second attempt succeed.
			for range 2 {
				s, err := Open(t.Context(), mustParse(t, options(url)))
				if err == nil {
					_ = s.Close()
					t.Fatal("no error")
				}
				for _, want := range append(c.want, "opening the store postgres "+srv.Dir()) {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("err = %v\nwant %q in it", err, want)
					}
				}
				if strings.Contains(err.Error(), "\n") {
					t.Errorf("err = %q, which has several lines", err)
				}
			}
			if after := mustSQL(t, srv, database, schemaQuery); after != before {
				t.Errorf("schema changed:\n got %s\nwant %s", after, before)
			}
		})
	}
}

// Where there is nothing to migrate the role needs no right to make anything.
func TestOpenByARoleThatMayOnlyWrite(t *testing.T) {
	srv := server(t)
	database := srv.NewDatabase(t)
	mustOpen(t, options(srv.URL(database)))
	mustSQL(t, srv, database, `DO $$ BEGIN CREATE ROLE writer LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
		GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO writer`)
	s := mustOpen(t, options(strings.Replace(srv.URL(database), postgrestest.User+"@", "writer@", 1)))
	if err := s.CreateKey(t.Context(), storetest.NewKey(t)); err != nil {
		t.Error(err)
	}
	if err := s.AppendAudit(t.Context(), store.AuditEntry{At: time.Unix(1, 0), Action: "a"}); err != nil {
		t.Error(err)
	}
}
