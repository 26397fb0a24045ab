package postgres

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"time"

	"github.com/ainative/portcullis/plugins/store/internal/sqlstore"
)

// The schema grows by files that are never changed once released: to alter a
// table, add the next number.
//
//go:embed migrations/*.sql
var migrationFiles embed.FS

const (
	// migrationLock is the key of the advisory lock under which processes that start
	// together take turns: "PCST", as SQLite's files have it.
	migrationLock = 0x50435354
	// migrationTime bounds the migrations and the wait for those of another process.
	migrationTime = 2 * time.Minute
)

// schemaVersion returns the version of the database, 0 for a new one, and refuses
// one that these migrations did not make.
func schemaVersion(ctx context.Context, q sqlstore.Reader, migrations []sqlstore.Migration) (version int, err error) {
	var there bool
	// Not to_regclass: within a transaction it may answer from a cache that does not
	// know yet what another process has made.
	if err := q.QueryRowContext(ctx, `SELECT EXISTS (SELECT FROM pg_class WHERE relname = 'schema_migrations' AND pg_table_is_visible(oid))`).Scan(&there); err != nil || !there {
		return 0, err
	}
	return sqlstore.SchemaVersion(ctx, q, migrations)
}

// migrate brings the database to the last version, or leaves it as it was. The
// role needs no right to make tables where there is nothing to do.
func migrate(ctx context.Context, db *sql.DB, migrations []sqlstore.Migration) error {
	ctx, cancel := context.WithTimeout(ctx, migrationTime)
	defer cancel()
	version, err := schemaVersion(ctx, db, migrations)
	if err != nil || version == len(migrations) {
		return err
	}
	return sqlstore.Transact(ctx, db, readCommitted, func(ctx context.Context, tx *sql.Tx) error {
		// Of the transaction, so that no process can leave it behind.
		if _, err := tx.ExecContext(ctx, fmt.Sprintf(`SELECT pg_advisory_xact_lock(%d)`, migrationLock)); err != nil {
			return err
		}
		version, err := schemaVersion(ctx, tx, migrations)
		if err != nil || version == len(migrations) {
			return err
		}
		if version == 0 {
			if _, err := tx.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS schema_migrations (
				version    integer NOT NULL PRIMARY KEY,
				checksum   text    NOT NULL,
				applied_at bigint  NOT NULL
			)`); err != nil {
				return err
			}
		}
		return sqlstore.Apply(ctx, tx, migrations[version:])
	})
}
