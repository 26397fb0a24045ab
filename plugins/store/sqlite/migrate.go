package sqlite

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"
)

// The schema grows by files that are never changed once released: to alter a
// table, add the next number.
//
//go:embed migrations/*.sql
var migrationFiles embed.FS

type migration struct {
	version  int
	name     string
	checksum string
	script   string
}

// loadMigrations reads the files in order. It fails only if a developer left a gap
// or a bad name.
func loadMigrations(files fs.FS) ([]migration, error) {
	names, err := fs.Glob(files, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	migrations := make([]migration, 0, len(names))
	for i, name := range names {
		base := strings.TrimPrefix(name, "migrations/")
		number, _, _ := strings.Cut(base, "_")
		version, err := strconv.Atoi(number)
		if err != nil || version != i+1 {
			return nil, fmt.Errorf("migration %s stands where number %d should", base, i+1)
		}
		script, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		// A checkout on Windows may have turned the line ends.
		text := strings.ReplaceAll(string(script), "\r\n", "\n")
		sum := sha256.Sum256([]byte(text))
		migrations = append(migrations, migration{version, base, hex.EncodeToString(sum[:]), text})
	}
	return migrations, nil
}

// querier is a *sql.DB, *sql.Conn or *sql.Tx.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// schemaVersion returns the version of the database, 0 for a new one, and refuses
// one that these migrations did not make.
func schemaVersion(ctx context.Context, q querier, migrations []migration) (version int, err error) {
	var tables int
	if err := q.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'schema_migrations'`).Scan(&tables); err != nil || tables == 0 {
		return 0, err
	}
	rows, err := q.QueryContext(ctx, `SELECT version, checksum FROM schema_migrations ORDER BY version`)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var checksum string
		if err := rows.Scan(&version, &checksum); err != nil {
			return 0, err
		}
		if version > len(migrations) {
			return 0, fmt.Errorf("its schema has version %d or later and this release knows versions up to %d; "+
				"run the release that last used it, or restore the backup from before the upgrade", version, len(migrations))
		}
		if version < 1 || migrations[version-1].checksum != checksum {
			return 0, fmt.Errorf("its schema was made by another migration %d than the one of this release; "+
				"restore a backup, or run the release that made it", version)
		}
	}
	return version, rows.Err()
}

// migrate brings the database to the last version, or leaves it as it was. Two
// processes that start at once take turns.
func migrate(ctx context.Context, db *sql.DB, migrations []migration) (err error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, ignoreTxDone(tx.Rollback()))
		}
	}()
	version, err := schemaVersion(ctx, tx, migrations)
	if err != nil {
		return err
	}
	if version == len(migrations) {
		return tx.Rollback()
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
	for _, m := range migrations[version:] {
		if _, err := tx.ExecContext(ctx, m.script); err != nil {
			return fmt.Errorf("applying migration %s: %w", m.name, err)
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO schema_migrations (version, checksum, applied_at) VALUES (?, ?, ?)`,
			m.version, m.checksum, time.Now().Unix()); err != nil {
			return fmt.Errorf("noting migration %s: %w", m.name, err)
		}
	}
	return tx.Commit()
}

func ignoreTxDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}
