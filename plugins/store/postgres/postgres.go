// Package postgres is the store in a PostgreSQL database, for gateways on several
// machines.
//
// What changes keys, revocations or accounts takes turns by the lock of one row, in
// which the version is counted too: nobody sees a version before the change that it
// stands for, and what a change reads stays as it is until it writes. Last uses,
// the audit trail and counts do not wait for that lock.
package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/ainative/portcullis/plugins/store"
	"github.com/ainative/portcullis/plugins/store/internal/sqlstore"
)

// oldestServer is the oldest release of PostgreSQL that has all that is used, as
// its server_version_num.
const oldestServer = 120000

// Store keeps records in a PostgreSQL database. It is safe for concurrent use, also
// by processes of several machines.
type Store struct {
	*sqlstore.Records

	name    string
	timeout time.Duration
	pool    *pgxpool.Pool
	db      *sql.DB
}

var _ store.Store = (*Store)(nil)

// readCommitted is set, whatever the database's default is: under its lock a change
// must read what was committed last.
var readCommitted = &sql.TxOptions{Isolation: sql.LevelReadCommitted}

// Open connects to the database of the target and brings the schema to the newest
// version. A database that a newer release or another application made is refused
// and left as it is. Errors name the place, without secrets, and say what to do.
func Open(ctx context.Context, target *Target) (*Store, error) {
	s, err := open(ctx, target)
	if err != nil {
		return nil, fmt.Errorf("opening the store %s: %w", target, explain(err))
	}
	return s, nil
}

func open(ctx context.Context, target *Target) (*Store, error) {
	migrations, err := sqlstore.LoadMigrations(migrationFiles)
	if err != nil {
		return nil, err
	}
	s, err := connect(ctx, target)
	if err != nil {
		return nil, err
	}
	if err := s.prepare(ctx, migrations); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// connect makes the pool, which connects when it is first used.
func connect(ctx context.Context, target *Target) (*Store, error) {
	// The pool outlives ctx, which bounds the opening alone.
	pool, err := pgxpool.NewWithConfig(context.WithoutCancel(ctx), target.pool.Copy())
	if err != nil {
		return nil, err
	}
	s := &Store{name: target.String(), timeout: target.timeout, pool: pool, db: stdlib.OpenDBFromPool(pool)}
	s.Records = sqlstore.New(sqlstore.Database{
		Read:        s.db,
		Bound:       s.bound,
		Change:      s.change,
		Append:      s.append,
		Count:       s.count,
		WriteCounts: writeCounts,
		ForUpdate:   ` FOR UPDATE`,
		Taken:       func(err error) bool { return codeOf(err) == codeTaken },
	})
	return s, nil
}

// prepare looks at the server and brings the schema up to date.
func (s *Store) prepare(ctx context.Context, migrations []sqlstore.Migration) error {
	asking, cancel := s.bound(ctx)
	defer cancel()
	var number int
	var version, encoding string
	if err := s.db.QueryRowContext(asking, `SELECT current_setting('server_version_num')::integer, current_setting('server_version'),
		current_setting('server_encoding')`).Scan(&number, &version, &encoding); err != nil {
		return err
	}
	if number < oldestServer {
		return fmt.Errorf("it is PostgreSQL %s, and %d or newer is needed; upgrade the server", version, oldestServer/10000)
	}
	if encoding != "UTF8" {
		return fmt.Errorf("its encoding is %s and must be UTF8; make another database: `createdb --encoding UTF8 --template template0 NAME`", encoding)
	}
	return migrate(ctx, s.db, migrations)
}

// Close releases the store. A second time does nothing.
func (s *Store) Close() error {
	err := s.db.Close()
	s.pool.Close()
	if err != nil {
		return fmt.Errorf("closing the store %s: %w", s.name, err)
	}
	return nil
}

// bound limits one operation, the wait for a connection included.
func (s *Store) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.timeout)
}

// change runs f under the lock of the version's row.
func (s *Store) change(ctx context.Context, f func(ctx context.Context, tx *sql.Tx) error) error {
	return s.transact(ctx, `SELECT version FROM changes WHERE id = 1 FOR UPDATE`, f)
}

// count runs f under the lock of counts.
func (s *Store) count(ctx context.Context, f func(ctx context.Context, tx *sql.Tx) error) error {
	return s.transact(ctx, fmt.Sprintf(`SELECT pg_advisory_xact_lock(%d)`, countLock), f)
}

// countLock is the key of the advisory lock of counts.
const countLock = migrationLock + 1

// append runs f under no lock.
func (s *Store) append(ctx context.Context, f func(ctx context.Context, tx *sql.Tx) error) error {
	return s.transact(ctx, ``, f)
}

func (s *Store) transact(ctx context.Context, lock string, f func(ctx context.Context, tx *sql.Tx) error) error {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	// The server holds to the bound too: a machine that loses its network, or its
	// power, in a transaction must not keep the others waiting for hours, until TCP
	// gives it up. Local to the transaction, because a pooler may give the connection
	// to others afterwards.
	opening := fmt.Sprintf(`SET LOCAL statement_timeout = %[1]d; SET LOCAL idle_in_transaction_session_timeout = %[1]d; %[2]s`,
		s.timeout.Milliseconds(), lock)
	err := sqlstore.Transact(ctx, s.db, readCommitted, func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, opening); err != nil {
			return err
		}
		return f(ctx, tx)
	})
	if codeOf(err) == codeReadOnly {
		// The server has become a replica: ask again which one can be written to.
		s.pool.Reset()
	}
	return err
}

// codeOf returns the SQLSTATE of an error; empty if it has none.
func codeOf(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}
