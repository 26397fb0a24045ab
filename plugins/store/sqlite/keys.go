package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	codes "modernc.org/sqlite/lib"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/store"
)

const selectKeys = `SELECT id, owner, name, prefix, hash, pepper_version, role, tier, scopes, ip_allow, limits,
	created_at, expires_at, last_used_at, revoked_at, replaced_by FROM api_keys`

// CreateKey implements store.Store.
func (s *Store) CreateKey(ctx context.Context, key plugins.APIKey) error {
	if err := store.CheckKey(key); err != nil {
		return err
	}
	return failed("creating an API key", s.change(ctx, func(tx *sql.Tx) error {
		return insertKey(ctx, tx, key)
	}))
}

// CreateKeys implements store.Store.
func (s *Store) CreateKeys(ctx context.Context, keys []plugins.APIKey) error {
	for i, key := range keys {
		if err := store.CheckKey(key); err != nil {
			return fmt.Errorf("record %d: %w", i+1, err)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	return failed("creating API keys", s.change(ctx, func(tx *sql.Tx) error {
		for i, key := range keys {
			if err := insertKey(ctx, tx, key); err != nil {
				return failed(fmt.Sprintf("record %d", i+1), err)
			}
		}
		return nil
	}))
}

// KeyByHash implements store.Store.
func (s *Store) KeyByHash(ctx context.Context, hash []byte) (plugins.APIKey, error) {
	key, err := scanKey(s.keyByHash.QueryRowContext(ctx, hash))
	return key, failed("reading an API key by its hash", err)
}

// Key implements store.Store.
func (s *Store) Key(ctx context.Context, id string) (plugins.APIKey, error) {
	key, err := scanKey(s.read.QueryRowContext(ctx, selectKeys+` WHERE id = ?`, id))
	return key, failed("reading an API key", err)
}

// Keys implements store.Store.
func (s *Store) Keys(ctx context.Context, filter store.KeyFilter) ([]plugins.APIKey, error) {
	query, args := selectKeys+` WHERE id > ?`, []any{filter.After}
	if filter.Owner != "" {
		query, args = query+` AND owner = ?`, append(args, filter.Owner)
	}
	keys, err := collect(ctx, s.read, scanKey, query+` ORDER BY id LIMIT ?`, append(args, limit(filter.Limit))...)
	return keys, failed("listing API keys", err)
}

// UpdateKey implements store.Store.
func (s *Store) UpdateKey(ctx context.Context, id string, change func(*plugins.APIKey) error) (plugins.APIKey, error) {
	var written plugins.APIKey
	err := s.change(ctx, func(tx *sql.Tx) error {
		old, err := scanKey(tx.QueryRowContext(ctx, selectKeys+` WHERE id = ?`, id))
		if err != nil {
			return err
		}
		key := old
		key.Hash = bytes.Clone(old.Hash)
		if err := change(&key); err != nil {
			return err
		}
		if err := checkFixed(old, key); err != nil {
			return err
		}
		if err := store.CheckKey(key); err != nil {
			return err
		}
		if err := updateKey(ctx, tx, key); err != nil {
			return err
		}
		written, err = scanKey(tx.QueryRowContext(ctx, selectKeys+` WHERE id = ?`, id))
		return err
	})
	if err != nil {
		return plugins.APIKey{}, failed("changing an API key", err)
	}
	return written, nil
}

// RotateKey implements store.Store.
func (s *Store) RotateKey(ctx context.Context, id string, next plugins.APIKey, oldEnds time.Time) error {
	if err := store.CheckKey(next); err != nil {
		return err
	}
	if oldEnds.IsZero() {
		return fmt.Errorf("%w: a rotation without an end of the old key", store.ErrInvalid)
	}
	return failed("rotating an API key", s.change(ctx, func(tx *sql.Tx) error {
		old, err := scanKey(tx.QueryRowContext(ctx, selectKeys+` WHERE id = ?`, id))
		switch {
		case err != nil:
			return err
		case !old.RevokedAt.IsZero():
			return fmt.Errorf("%w: the key is revoked", store.ErrConflict)
		case old.ReplacedBy != "":
			return fmt.Errorf("%w: the key is rotated already", store.ErrConflict)
		case !old.ExpiresAt.IsZero() && !next.CreatedAt.Before(old.ExpiresAt):
			return fmt.Errorf("%w: the key is expired", store.ErrConflict)
		case next.Owner != old.Owner:
			return fmt.Errorf("%w: a rotation can't change the owner", store.ErrInvalid)
		}
		if err := insertKey(ctx, tx, next); err != nil {
			return err
		}
		old.ReplacedBy = next.ID
		if old.ExpiresAt.IsZero() || oldEnds.Before(old.ExpiresAt) {
			old.ExpiresAt = oldEnds
		}
		if err := store.CheckKey(old); err != nil {
			return err
		}
		return updateKey(ctx, tx, old)
	}))
}

// TouchKeys implements store.Store.
func (s *Store) TouchKeys(ctx context.Context, used map[string]time.Time) error {
	if len(used) == 0 {
		return nil
	}
	return failed("noting the use of API keys", s.change(ctx, func(tx *sql.Tx) (err error) {
		stmt, err := tx.PrepareContext(ctx, `UPDATE api_keys SET last_used_at = ?1
			WHERE id = ?2 AND (last_used_at IS NULL OR last_used_at < ?1)`)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, stmt.Close()) }()
		for id, at := range used {
			if at.IsZero() {
				continue
			}
			if _, err := stmt.ExecContext(ctx, at.Unix(), id); err != nil {
				return err
			}
		}
		return nil
	}))
}

func insertKey(ctx context.Context, tx *sql.Tx, k plugins.APIKey) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO api_keys (id, owner, name, prefix, hash, pepper_version, role, tier,
		scopes, ip_allow, limits, created_at, expires_at, last_used_at, revoked_at, replaced_by)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		k.ID, k.Owner, k.Name, k.Prefix, k.Hash, k.PepperVersion, k.Role, k.Tier, encodeList(k.Scopes), encodeList(k.IPAllow),
		encodeList(k.Limits), encodeTime(k.CreatedAt), encodeTime(k.ExpiresAt), encodeTime(k.LastUsedAt), encodeTime(k.RevokedAt), k.ReplacedBy)
	return err
}

// updateKey writes all that can change.
func updateKey(ctx context.Context, tx *sql.Tx, k plugins.APIKey) error {
	_, err := tx.ExecContext(ctx, `UPDATE api_keys SET name = ?, role = ?, tier = ?, scopes = ?, ip_allow = ?, limits = ?,
		expires_at = ?, last_used_at = ?, revoked_at = ?, replaced_by = ? WHERE id = ?`,
		k.Name, k.Role, k.Tier, encodeList(k.Scopes), encodeList(k.IPAllow), encodeList(k.Limits),
		encodeTime(k.ExpiresAt), encodeTime(k.LastUsedAt), encodeTime(k.RevokedAt), k.ReplacedBy, k.ID)
	return err
}

// checkFixed refuses a change of what can't be changed.
func checkFixed(old, key plugins.APIKey) error {
	var what string
	switch {
	case key.ID != old.ID:
		what = "id"
	case key.Owner != old.Owner:
		what = "owner"
	case !bytes.Equal(key.Hash, old.Hash), key.PepperVersion != old.PepperVersion:
		what = "hash"
	case key.Prefix != old.Prefix:
		what = "prefix"
	case !key.CreatedAt.Equal(old.CreatedAt):
		what = "time of making"
	default:
		return nil
	}
	return fmt.Errorf("%w: the %s of an API key can't be changed", store.ErrInvalid, what)
}

// row is a *sql.Row or *sql.Rows.
type row interface{ Scan(dest ...any) error }

func scanKey(r row) (plugins.APIKey, error) {
	var k plugins.APIKey
	var scopes, ipAllow, limits list
	var created, expires, used, revoked instant
	if err := r.Scan(&k.ID, &k.Owner, &k.Name, &k.Prefix, &k.Hash, &k.PepperVersion, &k.Role, &k.Tier, &scopes, &ipAllow, &limits,
		&created, &expires, &used, &revoked, &k.ReplacedBy); err != nil {
		return plugins.APIKey{}, err
	}
	k.Scopes, k.IPAllow, k.Limits = scopes, ipAllow, limits
	k.CreatedAt, k.ExpiresAt, k.LastUsedAt, k.RevokedAt = created.Time, expires.Time, used.Time, revoked.Time
	return k, nil
}

// failed says what was being done, and turns what SQLite answers into the errors
// that the interface promises.
func failed(doing string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, sql.ErrNoRows) {
		err = store.ErrNotFound
	}
	if code, ok := codeOf(err); ok && (code == codes.SQLITE_CONSTRAINT_PRIMARYKEY || code == codes.SQLITE_CONSTRAINT_UNIQUE) {
		err = store.ErrExists
	}
	return fmt.Errorf("%s: %w", doing, err)
}
