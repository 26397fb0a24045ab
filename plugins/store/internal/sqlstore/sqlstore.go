// Package sqlstore is what the stores in SQL databases have in common: the
// statements, how records become rows, and the order of the migrations. It knows
// no driver. Statements are written in what SQLite and Postgres both understand,
// with $1, $2 for arguments.
package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/ainative/portcullis/plugins/store"
)

// Statements that are asked so often that a driver may want to prepare them.
const (
	KeyByHash = selectKeys + ` WHERE hash = $1`
	Version   = `SELECT version FROM changes WHERE id = 1`
)

// Reader is a *sql.DB, *sql.Conn or *sql.Tx that is read from.
type Reader interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Database is what a driver's package gives.
type Database struct {
	// Read is where single queries go. What has been committed is seen by the next.
	Read Reader
	// Bound limits how long one operation may take.
	Bound func(ctx context.Context) (context.Context, context.CancelFunc)
	// Change runs f in a transaction, under a lock that every Change holds from its
	// start to its end: nothing that it reads can be altered by another before it
	// writes. It commits if f returns nil.
	Change func(ctx context.Context, f func(ctx context.Context, tx *sql.Tx) error) error
	// Append is Change without the lock, for what does not depend on what it reads.
	Append func(ctx context.Context, f func(ctx context.Context, tx *sql.Tx) error) error
	// Count is Change under a lock of its own, for the counts of limits: they are
	// many, and a revocation must not wait for them.
	Count func(ctx context.Context, f func(ctx context.Context, tx *sql.Tx) error) error
	// WriteCounts, where not nil, writes counts within Count, at once instead of one
	// by one.
	WriteCounts func(ctx context.Context, tx *sql.Tx, counts []store.Count) error
	// ForUpdate ends a SELECT within Change whose rows an Append must not alter
	// meanwhile; empty where Append takes the lock too.
	ForUpdate string
	// Taken tells whether an error says that a primary or unique key is taken.
	Taken func(err error) bool
}

// Records implements what store.Store has beside Close.
type Records struct{ db Database }

// New makes the records of a database whose schema is up to date.
func New(db Database) *Records { return &Records{db} }

// Version implements store.Store. It reads one row.
func (s *Records) Version(ctx context.Context) (uint64, error) {
	version, err := one(ctx, s, func(r Row) (version int64, err error) { return version, r.Scan(&version) }, Version)
	if err != nil {
		// Without its row there is no version: that is no answer.
		return 0, fmt.Errorf("reading the version of the store: %w", err)
	}
	return uint64(version), nil
}

// Transact runs f between BEGIN and COMMIT; the transaction is rolled back when f
// fails or panics.
func Transact(ctx context.Context, db *sql.DB, options *sql.TxOptions, f func(ctx context.Context, tx *sql.Tx) error) (err error) {
	tx, err := db.BeginTx(ctx, options)
	if err != nil {
		return err
	}
	// Also when f panics: the connection must come back.
	defer func() {
		if rollback := tx.Rollback(); rollback != nil && err == nil && !errors.Is(rollback, sql.ErrTxDone) {
			err = rollback
		}
	}()
	if err := f(ctx, tx); err != nil {
		return err
	}
	return tx.Commit()
}

// Row is a *sql.Row or *sql.Rows.
type Row interface{ Scan(dest ...any) error }

// one reads the row of a query; sql.ErrNoRows if there is none.
func one[T any](ctx context.Context, s *Records, scan func(Row) (T, error), query string, args ...any) (T, error) {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	return scan(s.db.Read.QueryRowContext(ctx, query, args...))
}

// many reads all rows of a query.
func many[T any](ctx context.Context, s *Records, scan func(Row) (T, error), query string, args ...any) ([]T, error) {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	return Collect(ctx, s.db.Read, scan, query, args...)
}

// Collect reads all rows of a query. None is an empty list and not nil, which
// would print as null. A listing that breaks off is an error and not a shorter
// one: half of the revocations would let the others in.
func Collect[T any](ctx context.Context, q Reader, scan func(Row) (T, error), query string, args ...any) (all []T, err error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err = errors.Join(err, rows.Close()); err != nil {
			all = nil
		}
	}()
	all = []T{}
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

// failed says what was being done, and turns what the database answers into the
// errors that the interface promises.
func (s *Records) failed(doing string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, sql.ErrNoRows) {
		err = store.ErrNotFound
	}
	if s.db.Taken(err) {
		err = store.ErrExists
	}
	return fmt.Errorf("%s: %w", doing, err)
}
