package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/ainative/portcullis/plugins/store"
)

// SetOwner implements store.Store.
func (s *Store) SetOwner(ctx context.Context, o store.OwnerLimits) error {
	if err := store.CheckOwner(o); err != nil {
		return err
	}
	return failed("setting the limits of an owner", s.change(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO owner_limits (owner, tier, limits, concurrency, updated_at) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET tier = excluded.tier, limits = excluded.limits, concurrency = excluded.concurrency, updated_at = excluded.updated_at`,
			o.Owner, o.Tier, encodeList(o.Limits), o.Concurrency, encodeTime(o.UpdatedAt))
		return err
	}))
}

// Owners implements store.Store.
func (s *Store) Owners(ctx context.Context) ([]store.OwnerLimits, error) {
	all, err := collect(ctx, s.read, scanOwner, `SELECT owner, tier, limits, concurrency, updated_at FROM owner_limits ORDER BY owner`)
	return all, failed("listing the limits of owners", err)
}

// DeleteOwner implements store.Store.
func (s *Store) DeleteOwner(ctx context.Context, owner string) error {
	return failed("deleting the limits of an owner", s.change(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `DELETE FROM owner_limits WHERE owner = ?`, owner)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return orNotFound(err)
		}
		return nil
	}))
}

func scanOwner(r row) (store.OwnerLimits, error) {
	var o store.OwnerLimits
	var at instant
	if err := r.Scan(&o.Owner, &o.Tier, (*list)(&o.Limits), &o.Concurrency, &at); err != nil {
		return store.OwnerLimits{}, fmt.Errorf("reading the limits of an owner: %w", err)
	}
	o.UpdatedAt = at.Time
	return o, nil
}
