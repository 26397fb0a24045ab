package sqlstore

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"
)

// Migration is a step of the schema. It is never changed once released: to alter a
// table, add the next number.
type Migration struct {
	// Version counts from 1.
	Version int
	// Name is that of the file.
	Name string
	// Checksum is SHA-256 of Script, in hexadecimal.
	Checksum string
	// Script is the file's text.
	Script string
}

// LoadMigrations reads the files of the directory migrations in order. It fails
// only if a developer left a gap or a bad name.
func LoadMigrations(files fs.FS) ([]Migration, error) {
	names, err := fs.Glob(files, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	migrations := make([]Migration, 0, len(names))
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
		migrations = append(migrations, Migration{version, base, hex.EncodeToString(sum[:]), text})
	}
	return migrations, nil
}

// SchemaVersion returns the version that the table schema_migrations says, 0 if it
// is empty, and refuses a schema that these migrations did not make.
func SchemaVersion(ctx context.Context, q Reader, migrations []Migration) (version int, err error) {
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
		if version < 1 || migrations[version-1].Checksum != checksum {
			return 0, fmt.Errorf("its schema was made by another migration %d than the one of this release; "+
				"restore a backup, or run the release that made it", version)
		}
	}
	return version, rows.Err()
}

// Apply runs the migrations and notes each, in the transaction.
func Apply(ctx context.Context, tx *sql.Tx, migrations []Migration) error {
	for _, m := range migrations {
		if _, err := tx.ExecContext(ctx, m.Script); err != nil {
			return fmt.Errorf("applying migration %s: %w", m.Name, err)
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO schema_migrations (version, checksum, applied_at) VALUES ($1, $2, $3)`,
			m.Version, m.Checksum, time.Now().Unix()); err != nil { //nolint:forbidigo // for people to read; nothing is decided by it
			return fmt.Errorf("noting migration %s: %w", m.Name, err)
		}
	}
	return nil
}
