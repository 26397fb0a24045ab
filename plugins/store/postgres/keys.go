package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/store"
	"github.com/ainative/portcullis/plugins/store/internal/sqlstore"
)

// Each statement waits for the network once: what sqlstore does record by record
// is done here for many at once.

// CreateKeys implements store.Store.
func (s *Store) CreateKeys(ctx context.Context, keys []plugins.APIKey) error {
	if err := sqlstore.CheckKeys(keys); err != nil || len(keys) == 0 {
		return err
	}
	columns := sqlstore.KeyColumns(keys)
	err := s.change(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, sqlstore.InsertKeys, columns...)
		return err
	})
	if codeOf(err) == codeTaken {
		return s.whichIsTaken(ctx, keys)
	}
	if err != nil {
		return fmt.Errorf("creating API keys: %w", err)
	}
	return nil
}

// whichIsTaken names the first of the records whose id or hash is there already, or
// comes twice.
func (s *Store) whichIsTaken(ctx context.Context, keys []plugins.APIKey) error {
	var ids []string
	var hashes [][]byte
	for _, k := range keys {
		ids, hashes = append(ids, k.ID), append(hashes, k.Hash)
	}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	type pair struct {
		id   string
		hash []byte
	}
	there, err := sqlstore.Collect(ctx, s.db, func(r sqlstore.Row) (p pair, err error) { return p, r.Scan(&p.id, &p.hash) },
		`SELECT id, hash FROM api_keys WHERE id = ANY($1::text[]) OR hash = ANY($2::bytea[])`, ids, hashes)
	if err != nil {
		return fmt.Errorf("creating API keys: %w", err)
	}
	taken := map[string]bool{}
	for _, p := range there {
		taken["id "+p.id], taken["hash "+string(p.hash)] = true, true
	}
	for i, k := range keys {
		id, hash := "id "+k.ID, "hash "+string(k.Hash)
		if taken[id] || taken[hash] {
			return fmt.Errorf("creating API keys: record %d: %w", i+1, store.ErrExists)
		}
		taken[id], taken[hash] = true, true
	}
	// It was deleted meanwhile.
	return fmt.Errorf("creating API keys: %w", store.ErrExists)
}

// touchedAtOnce bounds a statement of TouchKeys, so that the rows that it locks are
// soon free for others.
const touchedAtOnce = 5000

// TouchKeys implements store.Store. Like every change of several records it locks them
// in the order of their ids, so that two changes never wait for each other.
func (s *Store) TouchKeys(ctx context.Context, used map[string]time.Time) error {
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(used)), touchedAtOnce) {
		times := make([]*int64, len(ids))
		for i, id := range ids {
			if at := used[id]; !at.IsZero() {
				seconds := at.Unix()
				times[i] = &seconds
			}
		}
		if err := s.append(ctx, func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `WITH used AS (
				SELECT * FROM unnest($1::text[], $2::bigint[]) AS u (id, at)
			), locked AS (
				SELECT k.id, used.at FROM api_keys k JOIN used ON used.id = k.id
				WHERE k.last_used_at IS NULL AND used.at IS NOT NULL OR k.last_used_at < used.at
				ORDER BY k.id FOR UPDATE OF k
			)
			UPDATE api_keys SET last_used_at = locked.at FROM locked
			WHERE api_keys.id = locked.id AND (api_keys.last_used_at IS NULL OR api_keys.last_used_at < locked.at)`, ids, times)
			return err
		}); err != nil {
			return fmt.Errorf("noting the use of API keys: %w", err)
		}
	}
	return nil
}
