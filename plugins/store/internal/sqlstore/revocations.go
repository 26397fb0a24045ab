package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/store"
)

// Revoke implements store.Store.
func (s *Records) Revoke(ctx context.Context, r plugins.Revocation) error {
	if err := store.CheckRevocation(r); err != nil {
		return err
	}
	return s.failed("adding a revocation", s.db.Change(ctx, func(ctx context.Context, tx *sql.Tx) error {
		return insertRevocation(ctx, tx, r)
	}))
}

// insertRevocation adds one, or extends the one of the same kind, issuer and value.
func insertRevocation(ctx context.Context, tx *sql.Tx, r plugins.Revocation) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO revocations (id, kind, issuer, value, issued_before, created_at, expires_at, note)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (kind, issuer, value) DO UPDATE SET
			issued_before = CASE
				WHEN excluded.issued_before IS NULL OR revocations.issued_before >= excluded.issued_before THEN revocations.issued_before
				ELSE excluded.issued_before END,
			-- No end is the latest end.
			expires_at = CASE
				WHEN revocations.expires_at IS NULL OR excluded.expires_at IS NULL THEN NULL
				WHEN revocations.expires_at >= excluded.expires_at THEN revocations.expires_at
				ELSE excluded.expires_at END,
			note = CASE excluded.note WHEN '' THEN revocations.note ELSE excluded.note END`,
		r.ID, string(r.Kind), r.Issuer, r.Value, encodeTime(r.IssuedBefore), encodeTime(r.CreatedAt), encodeTime(r.ExpiresAt), r.Note)
	return err
}

// Revocations implements store.Store.
func (s *Records) Revocations(ctx context.Context, now time.Time) ([]plugins.Revocation, error) {
	all, err := many(ctx, s, scanRevocation, `SELECT id, kind, issuer, value, issued_before, created_at, expires_at, note
		FROM revocations WHERE expires_at IS NULL OR expires_at > $1 ORDER BY created_at, id`, now.Unix())
	return all, s.failed("listing revocations", err)
}

// DeleteRevocation implements store.Store.
func (s *Records) DeleteRevocation(ctx context.Context, id string) error {
	return s.failed("deleting a revocation", s.db.Change(ctx, func(ctx context.Context, tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `DELETE FROM revocations WHERE id = $1`, id)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return orNotFound(err)
		}
		return nil
	}))
}

// SweepRevocations implements store.Store.
func (s *Records) SweepRevocations(ctx context.Context, now time.Time) (int, error) {
	n, err := s.sweep(ctx, s.db.Change, `DELETE FROM revocations WHERE expires_at <= $1`, now.Unix())
	return n, s.failed("sweeping revocations", err)
}

// sweep deletes the rows whose time is before a bound, and says how many.
func (s *Records) sweep(ctx context.Context, in func(context.Context, func(context.Context, *sql.Tx) error) error, query string, at int64) (int, error) {
	var n int64
	err := in(ctx, func(ctx context.Context, tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, query, at)
		if err != nil {
			return err
		}
		n, err = result.RowsAffected()
		return err
	})
	if err != nil {
		return 0, err
	}
	return int(n), nil
}

func orNotFound(err error) error {
	if err != nil {
		return err
	}
	return store.ErrNotFound
}

func scanRevocation(r Row) (plugins.Revocation, error) {
	var rev plugins.Revocation
	var kind string
	var before, created, expires instant
	if err := r.Scan(&rev.ID, &kind, &rev.Issuer, &rev.Value, &before, &created, &expires, &rev.Note); err != nil {
		return plugins.Revocation{}, fmt.Errorf("reading a revocation: %w", err)
	}
	rev.Kind = plugins.RevocationKind(kind)
	rev.IssuedBefore, rev.CreatedAt, rev.ExpiresAt = before.Time, created.Time, expires.Time
	return rev, nil
}
