// Package sqlite is the store in one SQLite file, for one machine: several
// processes may share the file, several machines may not.
//
// Writes go over one connection, reads over a pool of others, in WAL mode, so that
// they do not wait for each other. A commit survives the end of the process and a
// loss of power (synchronous=FULL): what was revoked stays revoked.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"time"

	driver "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"

	"github.com/ainative/portcullis/plugins/store"
	"github.com/ainative/portcullis/plugins/store/internal/sqlstore"
)

// busyTimeout is how long a connection waits for another process's write.
const busyTimeout = 5 * time.Second

// Store keeps records in a SQLite file. It is safe for concurrent use, also by
// several processes of one machine.
type Store struct {
	*sqlstore.Records

	path string
	// opened is the file that was opened, which must be there still.
	opened os.FileInfo
	write  *sql.DB
	read   *reader
}

var (
	_ store.Store   = (*Store)(nil)
	_ store.Checker = (*Store)(nil)
)

// Open opens the store in the file of this path. A file that is not there is made
// with mode 0600, its directory with 0700, and the schema is brought to the newest
// version.
//
// A file that is damaged, belongs to another application, or was made by a newer
// release is refused and left as it is. Errors name the path and say what to do.
func Open(ctx context.Context, path string) (*Store, error) {
	if path == "" {
		return nil, errors.New("opening the store: no path is given")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	s, err := open(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("opening the store %s: %w", path, explain(err))
	}
	return s, nil
}

func open(ctx context.Context, path string) (*Store, error) {
	migrations, err := sqlstore.LoadMigrations(migrationFiles)
	if err != nil {
		return nil, err
	}
	fresh, err := prepareFile(path)
	if err != nil {
		return nil, err
	}
	if !fresh {
		if err := inspect(ctx, path, migrations); err != nil {
			return nil, err
		}
	}
	s := &Store{path: path}
	if s.opened, err = os.Stat(path); err != nil {
		return nil, err
	}
	if err := s.connect(ctx, migrations); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// inspect reads an existing file through a connection that can't write, so that
// what is refused stays as it was.
func inspect(ctx context.Context, path string, migrations []sqlstore.Migration) error {
	err := inspectBy(ctx, "ro", path, migrations)
	if code, ok := codeOf(err); ok && code&0xff == codes.SQLITE_READONLY {
		// A crash left something that only a writer can roll back.
		return inspectBy(ctx, "rw", path, migrations)
	}
	return err
}

func inspectBy(ctx context.Context, mode, path string, migrations []sqlstore.Migration) (err error) {
	db, err := sql.Open("sqlite", dsn(path, mode, nil))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)

	var id, tables int
	if err := db.QueryRowContext(ctx, `PRAGMA application_id`).Scan(&id); err != nil {
		return err
	}
	if err := db.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema`).Scan(&tables); err != nil {
		return err
	}
	if id != applicationID && tables > 0 || id != applicationID && id != 0 {
		return errForeign
	}
	var verdict string
	if err := db.QueryRowContext(ctx, `PRAGMA quick_check(1)`).Scan(&verdict); err != nil {
		return err
	}
	if verdict != "ok" {
		return damaged(verdict)
	}
	_, err = schemaVersion(ctx, db, migrations)
	return err
}

// connect opens both pools and brings the schema up to date.
func (s *Store) connect(ctx context.Context, migrations []sqlstore.Migration) (err error) {
	if s.write, err = sql.Open("sqlite", dsn(s.path, "rw", url.Values{"_txlock": {"immediate"}})); err != nil {
		return err
	}
	s.write.SetMaxOpenConns(1)
	if err := s.enterWAL(ctx); err != nil {
		return err
	}
	if err := migrate(ctx, s.write, migrations); err != nil {
		return err
	}

	if s.read, err = newReader(ctx, s.path); err != nil {
		return err
	}
	s.Records = sqlstore.New(sqlstore.Database{
		Read:   s.read,
		Bound:  func(ctx context.Context) (context.Context, context.CancelFunc) { return ctx, func() {} },
		Change: s.change,
		Append: s.change,
		Count:  s.change,
		Taken: func(err error) bool {
			code, ok := codeOf(err)
			return ok && (code == codes.SQLITE_CONSTRAINT_PRIMARYKEY || code == codes.SQLITE_CONSTRAINT_UNIQUE)
		},
	})
	return nil
}

// reader is the pool of connections that only read, with the statements prepared
// that are asked most.
type reader struct {
	*sql.DB
	prepared map[string]*sql.Stmt
}

func newReader(ctx context.Context, path string) (*reader, error) {
	db, err := sql.Open("sqlite", dsn(path, "rw", url.Values{"_query_only": {"1"}}))
	if err != nil {
		return nil, err
	}
	readers := max(4, runtime.GOMAXPROCS(0))
	db.SetMaxOpenConns(readers)
	db.SetMaxIdleConns(readers)
	r := &reader{db, map[string]*sql.Stmt{}}
	for _, query := range []string{sqlstore.KeyByHash, sqlstore.Version} {
		stmt, err := db.PrepareContext(ctx, query) //nolint:sqlclosecheck // Close does
		if err != nil {
			return nil, errors.Join(err, r.Close())
		}
		r.prepared[query] = stmt
	}
	return r, nil
}

// QueryRowContext implements sqlstore.Reader.
func (r *reader) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	if stmt := r.prepared[query]; stmt != nil {
		return stmt.QueryRowContext(ctx, args...)
	}
	return r.DB.QueryRowContext(ctx, query, args...)
}

// Close closes the statements and the connections.
func (r *reader) Close() error {
	var errs []error
	for _, stmt := range r.prepared {
		errs = append(errs, stmt.Close())
	}
	return errors.Join(append(errs, r.DB.Close())...)
}

// enterWAL turns the write-ahead log on. SQLite does not wait for others while it
// changes the mode, so that processes that start together must try again.
func (s *Store) enterWAL(ctx context.Context) error {
	giveUp := time.After(busyTimeout)
	for {
		var mode string
		err := s.write.QueryRowContext(ctx, `PRAGMA journal_mode = WAL`).Scan(&mode)
		if code, ok := codeOf(err); ok && code&0xff == codes.SQLITE_BUSY {
			select {
			case <-time.After(10 * time.Millisecond):
				continue
			case <-giveUp:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err != nil {
			return err
		}
		if mode != "wal" {
			return fmt.Errorf("its file system can't hold a write-ahead log (journal mode is %s); use a local disk", mode)
		}
		return nil
	}
}

// Check implements store.Checker. Open connections go on with a file that was taken
// away, and with pages that they have read: Check looks at the file and reads by a
// connection of its own.
func (s *Store) Check(ctx context.Context) error {
	if err := s.check(ctx); err != nil {
		return fmt.Errorf("checking the store %s: %w", s.path, explain(err))
	}
	return nil
}

func (s *Store) check(ctx context.Context) (err error) {
	if err := s.checkFile(); err != nil {
		return err
	}
	db, err := sql.Open("sqlite", dsn(s.path, "rw", url.Values{"_query_only": {"1"}}))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	var version int64
	return db.QueryRowContext(ctx, sqlstore.Version).Scan(&version)
}

// Close releases the store. A second time does nothing.
func (s *Store) Close() error {
	var errs []error
	if s.read != nil {
		errs = append(errs, s.read.Close())
	}
	// The writer last: as the last connection it moves the log into the file.
	if s.write != nil {
		errs = append(errs, s.write.Close())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("closing the store %s: %w", s.path, err)
	}
	return nil
}

// change runs f in a transaction that holds the write lock from its start, so that
// nothing it read can change before it writes.
func (s *Store) change(ctx context.Context, f func(ctx context.Context, tx *sql.Tx) error) error {
	return sqlstore.Transact(ctx, s.write, nil, f)
}

// dsn names the file as a URI, so that no character of the path means anything
// but itself.
func dsn(path, mode string, more url.Values) string {
	query := url.Values{
		"mode":          {mode},
		"_busy_timeout": {fmt.Sprint(busyTimeout.Milliseconds())},
		"_foreign_keys": {"1"},
		"_synchronous":  {"FULL"},
		"_defensive":    {"1"},
		"_dqs":          {"0"},
		"_pragma":       {"trusted_schema(0)"},
	}
	maps.Copy(query, more)
	name := filepath.ToSlash(path)
	if name[0] != '/' {
		// A drive letter: file:///C:/...
		name = "/" + name
	}
	return (&url.URL{Scheme: "file", Path: name, RawQuery: query.Encode()}).String()
}

// codeOf returns SQLite's extended result code, where the error has one.
func codeOf(err error) (int, bool) {
	if e, ok := errors.AsType[*driver.Error](err); ok {
		return e.Code(), true
	}
	return 0, false
}

// explain adds what to do to the errors that SQLite gives while it opens a file.
func explain(err error) error {
	code, ok := codeOf(err)
	if !ok {
		return err
	}
	switch code & 0xff {
	case codes.SQLITE_NOTADB:
		return fmt.Errorf("it is not a SQLite database; nothing was changed: move it away, %s: %w", advicePath, err)
	case codes.SQLITE_CORRUPT:
		return fmt.Errorf("%w: %w", damaged("its pages do not fit together"), err)
	case codes.SQLITE_CANTOPEN, codes.SQLITE_PERM, codes.SQLITE_READONLY, codes.SQLITE_AUTH:
		return fmt.Errorf("%w; the file, those beside it that end in -wal and -shm, and the directory must be writable for the user that runs the gateway", err)
	case codes.SQLITE_BUSY:
		return fmt.Errorf("%w; another process has been writing to it for %s: end that one", err, busyTimeout)
	case codes.SQLITE_FULL, codes.SQLITE_IOERR:
		return fmt.Errorf("%w; look at the disk and the room on it", err)
	}
	return err
}
