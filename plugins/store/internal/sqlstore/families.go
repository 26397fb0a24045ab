package sqlstore

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/store"
)

// The columns of a renewal hold for their successor only: a gateway of a release that
// does not know them renews without them.
const selectFamilies = `SELECT id, user_id, issuer, current_token,
	CASE WHEN successor = current_token THEN previous_token ELSE '' END, created_at,
	CASE WHEN successor = current_token THEN renewed_at END, expires_at, revoked_at FROM token_families`

// StartFamily implements store.Store.
func (s *Records) StartFamily(ctx context.Context, f plugins.TokenFamily, epoch int64) error {
	if err := store.CheckFamily(f); err != nil {
		return err
	}
	return s.failed("beginning a family of tokens", s.db.Change(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if err := inEpoch(ctx, tx, f.User, epoch); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM token_families WHERE user_id = $1 AND expires_at <= $2`, f.User, encodeTime(f.CreatedAt)); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO token_families (id, user_id, issuer, current_token, successor, previous_token, created_at, renewed_at, expires_at, revoked_at)
			VALUES ($1, $2, $3, $4, $4, $5, $6, $7, $8, $9)`,
			f.ID, f.User, f.Issuer, f.Current, f.Previous, encodeTime(f.CreatedAt), encodeTime(f.RenewedAt), encodeTime(f.ExpiresAt), encodeTime(f.RevokedAt))
		return err
	}))
}

// Family implements store.Store.
func (s *Records) Family(ctx context.Context, id string) (plugins.TokenFamily, error) {
	f, err := one(ctx, s, scanFamily, selectFamilies+` WHERE id = $1`, id)
	return f, s.failed("reading a family of tokens", err)
}

// RenewFamily implements store.Store.
func (s *Records) RenewFamily(ctx context.Context, r plugins.Renewal) (plugins.TokenFamily, error) {
	var f plugins.TokenFamily
	replayed := false
	err := s.db.Change(ctx, func(ctx context.Context, tx *sql.Tx) (err error) {
		if f, err = scanFamily(tx.QueryRowContext(ctx, selectFamilies+` WHERE id = $1`, r.Family)); err != nil {
			return err
		}
		if !f.RevokedAt.IsZero() {
			return fmt.Errorf("%w: the family has ended", store.ErrConflict)
		}
		if f.Current != r.Used && !reused(f, r) {
			// Committed, unlike what ends in an error.
			replayed = true
			return endFamily(ctx, tx, &f, r.Ends)
		}
		if err := inEpoch(ctx, tx, f.User, r.Epoch); err != nil {
			return err
		}
		if f.Current != r.Used {
			return nil
		}
		r.Ends.Value = f.Current
		f.Previous, f.Current, f.RenewedAt, f.ExpiresAt = f.Current, r.Next, r.At, r.ExpiresAt
		if err := store.CheckFamily(f); err != nil {
			return err
		}
		if err := store.CheckRevocation(r.Ends); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE token_families SET current_token = $1, successor = $1, previous_token = $2, renewed_at = $3, expires_at = $4 WHERE id = $5`,
			f.Current, f.Previous, encodeTime(f.RenewedAt), encodeTime(f.ExpiresAt), f.ID); err != nil {
			return err
		}
		return insertRevocation(ctx, tx, r.Ends)
	})
	switch {
	case err != nil:
		return plugins.TokenFamily{}, s.failed("renewing a token", err)
	case replayed:
		return f, s.failed("renewing a token", store.ErrReplayed)
	}
	return f, nil
}

// reused reports whether the token that is to be renewed was renewed a moment ago,
// into the one that is current still. The clocks of two gateways differ, either way.
func reused(f plugins.TokenFamily, r plugins.Renewal) bool {
	return r.Reuse > 0 && f.Previous != "" && f.Previous == r.Used && r.At.Sub(f.RenewedAt).Abs() <= r.Reuse
}

// EndFamily implements store.Store.
func (s *Records) EndFamily(ctx context.Context, id string, ends plugins.Revocation) (plugins.TokenFamily, error) {
	var f plugins.TokenFamily
	err := s.db.Change(ctx, func(ctx context.Context, tx *sql.Tx) (err error) {
		if f, err = scanFamily(tx.QueryRowContext(ctx, selectFamilies+` WHERE id = $1`, id)); err != nil {
			return err
		}
		return endFamily(ctx, tx, &f, ends)
	})
	if err != nil {
		return plugins.TokenFamily{}, s.failed("ending a family of tokens", err)
	}
	return f, nil
}

// endFamily ends a family, if that is not done, and revokes its current token.
func endFamily(ctx context.Context, tx *sql.Tx, f *plugins.TokenFamily, ends plugins.Revocation) error {
	ends.Value = f.Current
	if err := store.CheckRevocation(ends); err != nil {
		return err
	}
	if f.RevokedAt.IsZero() {
		f.RevokedAt = ends.CreatedAt
		if _, err := tx.ExecContext(ctx, `UPDATE token_families SET revoked_at = $1 WHERE id = $2`, encodeTime(f.RevokedAt), f.ID); err != nil {
			return err
		}
	}
	return insertRevocation(ctx, tx, ends)
}

func scanFamily(r Row) (plugins.TokenFamily, error) {
	var f plugins.TokenFamily
	var created, renewed, expires, revoked instant
	if err := r.Scan(&f.ID, &f.User, &f.Issuer, &f.Current, &f.Previous, &created, &renewed, &expires, &revoked); err != nil {
		return plugins.TokenFamily{}, err
	}
	f.CreatedAt, f.RenewedAt, f.ExpiresAt, f.RevokedAt = created.Time, renewed.Time, expires.Time, revoked.Time
	return f, nil
}
