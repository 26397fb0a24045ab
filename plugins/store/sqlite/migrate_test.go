package sqlite

import (
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/store"
	"github.com/ainative/portcullis/plugins/store/internal/sqlstore"
	"github.com/ainative/portcullis/plugins/store/storetest"
)

// released are the checksums of the migrations as they went out. A migration is
// never changed; a new one gets a line here.
var released = []string{
	"227d794f0b114425f51c1896862e49451dd72f9d5a3d982509be4e14ceceb85e",
	"f49348ccd4977e52179adfaf95e434f13fe15b7b49cd8ba5ee84ce0862be09e9",
	"23fc59d0fe1fbc4f32fc251a733e6053f08d57674895145a4d80d717e81ad8f3",
	"04c08fdcd912a69535e1451c5d3efbdedb33faf2fbcde4884c7f28b36cbf7373",
	"7b0bdca42697c700c73eaff2e6240c7adc470d25d28b8d2a475272668ab8d4fe",
	"96441f8ba1321f4705dec9ffe69e14e3516b60dfa0f27e161098a19babf4becc",
}

func mustLoad(t testing.TB) []sqlstore.Migration {
	t.Helper()
	return storetest.Migrations(t, migrationFiles)
}

func TestMigrationsAreNeverChanged(t *testing.T) {
	storetest.MigrationsAreReleased(t, mustLoad(t), released)
}

// openAt makes a database as the release did whose last migration had this number.
func openAt(t *testing.T, path string, version int) {
	t.Helper()
	s := &Store{path: path}
	if _, err := prepareFile(path); err != nil {
		t.Fatal(err)
	}
	var err error
	if s.write, err = sql.Open("sqlite", dsn(path, "rw", map[string][]string{"_txlock": {"immediate"}})); err != nil {
		t.Fatal(err)
	}
	s.write.SetMaxOpenConns(1)
	if err := s.enterWAL(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := migrate(t.Context(), s.write, mustLoad(t)[:version]); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// A database of each older release is brought to the schema of a new one, and
// keeps what was in it.
func TestMigrationFromEachVersion(t *testing.T) {
	newest := filepath.Join(t.TempDir(), "new.db")
	want := schemaOf(t, mustOpen(t, newest))
	for version := range len(mustLoad(t)) + 1 {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "gateway.db")
			openAt(t, path, version)
			if version >= 1 {
				execute(t, path, `INSERT INTO api_keys VALUES ('k', 'u1', 'n', 'sk_live_Ab3x', x'`+strings.Repeat("07", 32)+`', 1, 'USER', 'pro',
					'["a"]', '[]', '[]', 1770112800, NULL, NULL, 1770112801, '')`)
			}
			if version >= 2 {
				execute(t, path, `INSERT INTO revocations VALUES ('r', 'subject', '', 'u1', 1770112800, 1770112800, NULL, '')`)
			}
			if version >= 4 {
				execute(t, path, `INSERT INTO users VALUES ('u1', 'u1@example.com', 'U1@example.com', 'U One', '$argon2id$', 'USER', 'pro',
					'["a"]', 1770112800, 1770112800, NULL, 1, NULL)`)
				execute(t, path, `INSERT INTO token_families (id, user_id, issuer, current_token, created_at, expires_at) VALUES ('f', 'u1', 'main', 'j', 1770112800, 1770112801)`)
			}
			if version >= 3 {
				execute(t, path, `INSERT INTO audit (at, actor, action, target, origin, result) VALUES (1770112800, 'cli', 'key.create', 'k', '', 'ok')`)
			}

			s := mustOpen(t, path)
			if got := schemaOf(t, s); !reflect.DeepEqual(got, want) {
				t.Errorf("schema:\n got %v\nwant %v", got, want)
			}
			at := time.Unix(1770112800, 0).UTC()
			var hash [32]byte
			for i := range hash {
				hash[i] = 7
			}
			wantKeys, wantRevocations, wantAudit := []plugins.APIKey{}, []plugins.Revocation{}, []store.AuditEntry{}
			if version >= 1 {
				wantKeys = []plugins.APIKey{{
					ID: "k", Owner: "u1", Name: "n", Prefix: "sk_live_Ab3x", Hash: hash[:], PepperVersion: 1, Role: "USER", Tier: "pro",
					Scopes: []string{"a"}, CreatedAt: at, RevokedAt: at.Add(time.Second),
				}}
			}
			if version >= 2 {
				wantRevocations = []plugins.Revocation{{ID: "r", Kind: plugins.RevokeSubject, Value: "u1", IssuedBefore: at, CreatedAt: at}}
			}
			if version >= 3 {
				wantAudit = []store.AuditEntry{{ID: 1, At: at, Actor: "cli", Action: "key.create", Target: "k", Result: "ok"}}
			}
			keys, err := s.Keys(t.Context(), store.KeyFilter{})
			if err != nil || !reflect.DeepEqual(keys, wantKeys) {
				t.Errorf("keys = %+v, %v; want %+v", keys, err, wantKeys)
			}
			revocations, err := s.Revocations(t.Context(), at)
			if err != nil || !reflect.DeepEqual(revocations, wantRevocations) {
				t.Errorf("revocations = %+v, %v; want %+v", revocations, err, wantRevocations)
			}
			audit, err := s.Audit(t.Context(), store.AuditFilter{})
			if err != nil || !reflect.DeepEqual(audit, wantAudit) {
				t.Errorf("audit = %+v, %v; want %+v", audit, err, wantAudit)
			}
			wantUsers := []plugins.User{}
			if version >= 4 {
				wantUsers = []plugins.User{{
					ID: "u1", Email: "u1@example.com", Address: "U1@example.com", FullName: "U One", PasswordHash: plugins.NewSecret("$argon2id$"),
					Role: "USER", Tier: "pro", Scopes: []string{"a"}, CreatedAt: at, PasswordSetAt: at, Epoch: 1,
				}}
				want := plugins.TokenFamily{ID: "f", User: "u1", Issuer: "main", Current: "j", CreatedAt: at, ExpiresAt: at.Add(time.Second)}
				if f, err := s.Family(t.Context(), "f"); err != nil || f != want {
					t.Errorf("family = %+v, %v; want %+v", f, err, want)
				}
			}
			users, err := s.Users(t.Context(), store.UserFilter{})
			if err != nil || !reflect.DeepEqual(users, wantUsers) {
				t.Errorf("users = %+v, %v; want %+v", users, err, wantUsers)
			}
			if err := s.CreateKey(t.Context(), storetest.NewKey(t)); err != nil {
				t.Error(err)
			}
		})
	}
}

// A gateway of the release before renewals were noted renews a token on this schema:
// the token before the last is a replay, and gets nothing.
func TestRenewalByAnOlderRelease(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gateway.db")
	s := mustOpen(t, path)
	u := storetest.NewUser(t)
	f := storetest.NewFamily(t, u.ID)
	renewal := func(used, next string) plugins.Renewal {
		return plugins.Renewal{
			Family: f.ID, Used: used, Next: next, At: f.CreatedAt, Reuse: time.Minute, Epoch: u.Epoch, ExpiresAt: f.ExpiresAt,
			Ends: plugins.Revocation{ID: storetest.NewID(t), Kind: plugins.RevokeTokenID, Issuer: f.Issuer, CreatedAt: f.CreatedAt},
		}
	}
	if err := s.CreateUser(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	if err := s.StartFamily(t.Context(), f, u.Epoch); err != nil {
		t.Fatal(err)
	}
	if _, err := s.RenewFamily(t.Context(), renewal(f.Current, "second")); err != nil {
		t.Fatal(err)
	}
	execute(t, path, `UPDATE token_families SET current_token = 'third', expires_at = expires_at + 60`)
	got, err := s.Family(t.Context(), f.ID)
	if err != nil || got.Current != "third" || got.Previous != "" || !got.RenewedAt.IsZero() {
		t.Errorf("got %+v, %v, want nothing of the renewal before", got, err)
	}
	if _, err := s.RenewFamily(t.Context(), renewal(f.Current, "fourth")); !errors.Is(err, store.ErrReplayed) {
		t.Errorf("the first token: err = %v, want %v", err, store.ErrReplayed)
	}
}

func schemaOf(t *testing.T, s *Store) []string {
	t.Helper()
	lines, err := sqlstore.Collect(t.Context(), s.read, func(r sqlstore.Row) (line string, err error) { return line, r.Scan(&line) },
		`SELECT type || ' ' || name || ' ' || coalesce(sql, '') FROM sqlite_schema ORDER BY type, name`)
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// A migration that fails leaves the database as it was, with its records, and the
// release before can go on with it.
func TestFailedMigrationChangesNothing(t *testing.T) {
	path := filled(t)
	s := mustOpen(t, path)
	want := schemaOf(t, s)
	err := migrate(t.Context(), s.write, storetest.Broken(mustLoad(t)))
	if err == nil || !strings.Contains(err.Error(), "applying migration next_bad.sql") {
		t.Errorf("err = %v, want one that names the migration", err)
	}
	if got := schemaOf(t, s); !reflect.DeepEqual(got, want) {
		t.Errorf("schema:\n got %v\nwant %v", got, want)
	}
	if keys, err := s.Keys(t.Context(), store.KeyFilter{}); err != nil || len(keys) != filledRecords {
		t.Errorf("%d keys, %v; want %d", len(keys), err, filledRecords)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, path)
}
