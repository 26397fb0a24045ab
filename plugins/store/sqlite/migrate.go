package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"fmt"

	"github.com/ainative/portcullis/plugins/store/internal/sqlstore"
)

// The schema grows by files that are never changed once released: to alter a
// table, add the next number.
//
//go:embed migrations/*.sql
var migrationFiles embed.FS

// schemaVersion returns the version of the database, 0 for a new one, and refuses
// one that these migrations did not make.
func schemaVersion(ctx context.Context, q sqlstore.Reader, migrations []sqlstore.Migration) (version int, err error) {
	var tables int
	if err := q.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'schema_migrations'`).Scan(&tables); err != nil || tables == 0 {
		return 0, err
	}
	return sqlstore.SchemaVersion(ctx, q, migrations)
}

// migrate brings the database to the last version, or leaves it as it was. Two
// processes that start at once take turns.
func migrate(ctx context.Context, db *sql.DB, migrations []sqlstore.Migration) error {
	return sqlstore.Transact(ctx, db, nil, func(ctx context.Context, tx *sql.Tx) error {
		version, err := schemaVersion(ctx, tx, migrations)
		if err != nil || version == len(migrations) {
			return err
		}
		if version == 0 {
			// Says whose the file is, in its header.
			if _, err := tx.ExecContext(ctx, fmt.Sprintf(`PRAGMA application_id = %d`, applicationID)); err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS schema_migrations (
				version    INTEGER PRIMARY KEY,
				checksum   TEXT    NOT NULL,
				applied_at INTEGER NOT NULL
			) STRICT`); err != nil {
				return err
			}
		}
		return sqlstore.Apply(ctx, tx, migrations[version:])
	})
}
