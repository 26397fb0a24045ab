package storetest

import (
	"io/fs"
	"reflect"
	"testing"

	"github.com/ainative/portcullis/plugins/store/internal/sqlstore"
)

// Migrations reads a store's migrations.
func Migrations(t testing.TB, files fs.FS) []sqlstore.Migration {
	t.Helper()
	migrations, err := sqlstore.LoadMigrations(files)
	must(t, err)
	return migrations
}

// MigrationsAreReleased fails where a migration is not the one that went out: it is
// never changed, and a new one gets its checksum.
func MigrationsAreReleased(t *testing.T, migrations []sqlstore.Migration, released []string) {
	t.Helper()
	var got []string
	for _, m := range migrations {
		got = append(got, m.Checksum)
	}
	if !reflect.DeepEqual(got, released) {
		t.Errorf("checksums:\n got %q\nwant %q", got, released)
	}
}

// Broken adds two migrations: one that destroys records and could be made, and one
// that fails.
func Broken(migrations []sqlstore.Migration) []sqlstore.Migration {
	known := len(migrations)
	return append(migrations[:known:known],
		sqlstore.Migration{Version: known + 1, Name: "next_good.sql", Checksum: "x", Script: `CREATE TABLE extra (a int); DELETE FROM api_keys;`},
		sqlstore.Migration{Version: known + 2, Name: "next_bad.sql", Checksum: "y", Script: `CREATE TABLE more (a int); CREATE TABLE extra (a int);`})
}
