package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/store"
)

// Revoke implements store.Store.
func (s *Store) Revoke(ctx context.Context, r plugins.Revocation) error {
	if err := store.CheckRevocation(r); err != nil {
		return err
	}
	return failed("adding a revocation", s.change(ctx, func(tx *sql.Tx) error {
		return insertRevocation(ctx, tx, r)
	}))
}

// insertRevocation adds one, or extends the one of the same kind, issuer and value.
func insertRevocation(ctx context.Context, tx *sql.Tx, r plugins.Revocation) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO revocations (id, kind, issuer, value, issued_before, created_at, expires_at, note)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (kind, issuer, value) DO UPDATE SET
			issued_before = max(coalesce(issued_before, excluded.issued_before), coalesce(excluded.issued_before, issued_before)),
			-- No end is the latest end; max of NULL is NULL.
			expires_at = max(expires_at, excluded.expires_at),
			note = CASE excluded.note WHEN '' THEN note ELSE excluded.note END`,
		r.ID, string(r.Kind), r.Issuer, r.Value, encodeTime(r.IssuedBefore), encodeTime(r.CreatedAt), encodeTime(r.ExpiresAt), r.Note)
	return err
}

// Revocations implements store.Store.
func (s *Store) Revocations(ctx context.Context, now time.Time) ([]plugins.Revocation, error) {
	all, err := collect(ctx, s.read, scanRevocation, `SELECT id, kind, issuer, value, issued_before, created_at, expires_at, note
		FROM revocations WHERE expires_at IS NULL OR expires_at > ? ORDER BY created_at, id`, now.Unix())
	return all, failed("listing revocations", err)
}

// DeleteRevocation implements store.Store.
func (s *Store) DeleteRevocation(ctx context.Context, id string) error {
	return failed("deleting a revocation", s.change(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `DELETE FROM revocations WHERE id = ?`, id)
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
func (s *Store) SweepRevocations(ctx context.Context, now time.Time) (int, error) {
	n, err := s.sweep(ctx, `DELETE FROM revocations WHERE expires_at <= ?`, now)
	return n, failed("sweeping revocations", err)
}

func (s *Store) sweep(ctx context.Context, query string, at time.Time) (int, error) {
	var n int64
	err := s.change(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, query, at.Unix())
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

func scanRevocation(r row) (plugins.Revocation, error) {
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
