package sqlstore

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/ainative/portcullis/plugins/store"
)

// SetOwner implements store.Store.
func (s *Records) SetOwner(ctx context.Context, o store.OwnerLimits) error {
	if err := store.CheckOwner(o); err != nil {
		return err
	}
	return s.failed("setting the limits of an owner", s.db.Change(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO owner_limits (owner, tier, limits, concurrency, updated_at) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (owner) DO UPDATE SET tier = excluded.tier, limits = excluded.limits, concurrency = excluded.concurrency, updated_at = excluded.updated_at`,
			o.Owner, o.Tier, encodeList(o.Limits), o.Concurrency, encodeTime(o.UpdatedAt))
		return err
	}))
}

// Owners implements store.Store.
func (s *Records) Owners(ctx context.Context) ([]store.OwnerLimits, error) {
	all, err := many(ctx, s, scanOwner, `SELECT owner, tier, limits, concurrency, updated_at FROM owner_limits ORDER BY owner`)
	return all, s.failed("listing the limits of owners", err)
}

// DeleteOwner implements store.Store.
func (s *Records) DeleteOwner(ctx context.Context, owner string) error {
	return s.failed("deleting the limits of an owner", s.db.Change(ctx, func(ctx context.Context, tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `DELETE FROM owner_limits WHERE owner = $1`, owner)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return orNotFound(err)
		}
		return nil
	}))
}

func scanOwner(r Row) (store.OwnerLimits, error) {
	var o store.OwnerLimits
	var at instant
	if err := r.Scan(&o.Owner, &o.Tier, (*list)(&o.Limits), &o.Concurrency, &at); err != nil {
		return store.OwnerLimits{}, fmt.Errorf("reading the limits of an owner: %w", err)
	}
	o.UpdatedAt = at.Time
	return o, nil
}
