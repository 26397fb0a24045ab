package sqlstore

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/store"
)

const (
	keyColumns = `id, owner, name, prefix, hash, pepper_version, role, tier, scopes, ip_allow, limits,
	created_at, expires_at, last_used_at, revoked_at, replaced_by`
	selectKeys = `SELECT ` + keyColumns + ` FROM api_keys`
)

// CreateKey implements store.Store.
func (s *Records) CreateKey(ctx context.Context, key plugins.APIKey) error {
	if err := store.CheckKey(key); err != nil {
		return err
	}
	return s.failed("creating an API key", s.db.Change(ctx, func(ctx context.Context, tx *sql.Tx) error {
		return insertKey(ctx, tx, key)
	}))
}

// CreateKeys implements store.Store.
func (s *Records) CreateKeys(ctx context.Context, keys []plugins.APIKey) error {
	if err := CheckKeys(keys); err != nil || len(keys) == 0 {
		return err
	}
	return s.failed("creating API keys", s.db.Change(ctx, func(ctx context.Context, tx *sql.Tx) error {
		for i, key := range keys {
			if err := insertKey(ctx, tx, key); err != nil {
				return s.failed(fmt.Sprintf("record %d", i+1), err)
			}
		}
		return nil
	}))
}

// CheckKeys is store.CheckKey for many; the error says which record it is about.
func CheckKeys(keys []plugins.APIKey) error {
	for i, key := range keys {
		if err := store.CheckKey(key); err != nil {
			return fmt.Errorf("record %d: %w", i+1, err)
		}
	}
	return nil
}

// KeyByHash implements store.Store.
func (s *Records) KeyByHash(ctx context.Context, hash []byte) (plugins.APIKey, error) {
	key, err := one(ctx, s, scanKey, KeyByHash, hash)
	return key, s.failed("reading an API key by its hash", err)
}

// hashesAtOnce is how many hashes one query asks for.
const hashesAtOnce = 500

// KeysByHash implements store.Store.
func (s *Records) KeysByHash(ctx context.Context, hashes [][]byte) ([]plugins.APIKey, error) {
	all := []plugins.APIKey{}
	for part := range slices.Chunk(hashes, hashesAtOnce) {
		args := make([]any, len(part))
		places := make([]string, len(part))
		for i, hash := range part {
			args[i], places[i] = hash, "$"+strconv.Itoa(i+1)
		}
		keys, err := many(ctx, s, scanKey, selectKeys+` WHERE hash IN (`+strings.Join(places, ", ")+`)`, args...)
		if err != nil {
			return nil, s.failed("reading API keys by their hashes", err)
		}
		all = append(all, keys...)
	}
	return all, nil
}

// Key implements store.Store.
func (s *Records) Key(ctx context.Context, id string) (plugins.APIKey, error) {
	key, err := one(ctx, s, scanKey, selectKeys+` WHERE id = $1`, id)
	return key, s.failed("reading an API key", err)
}

// Keys implements store.Store.
func (s *Records) Keys(ctx context.Context, filter store.KeyFilter) ([]plugins.APIKey, error) {
	query, args := selectKeys+` WHERE id > $1`, []any{filter.After, limit(filter.Limit)}
	if filter.Owner != "" {
		query, args = query+` AND owner = $3`, append(args, filter.Owner)
	}
	keys, err := many(ctx, s, scanKey, query+` ORDER BY id LIMIT $2`, args...)
	return keys, s.failed("listing API keys", err)
}

// CountKeys implements store.Store.
func (s *Records) CountKeys(ctx context.Context, now time.Time) (store.KeyCounts, error) {
	counts, err := one(ctx, s, func(r Row) (n store.KeyCounts, err error) {
		err = r.Scan(&n.Active, &n.Expired, &n.Revoked)
		return n, err
	}, `SELECT
		count(*) FILTER (WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $1)),
		count(*) FILTER (WHERE revoked_at IS NULL AND expires_at <= $1),
		count(*) FILTER (WHERE revoked_at IS NOT NULL)
		FROM api_keys`, now.Unix())
	return counts, s.failed("counting API keys", err)
}

// UpdateKey implements store.Store.
func (s *Records) UpdateKey(ctx context.Context, id string, change func(*plugins.APIKey) error) (plugins.APIKey, error) {
	return s.updateKey(ctx, id, change, anyOwner)
}

// UpdateOwnKey implements store.Store.
func (s *Records) UpdateOwnKey(ctx context.Context, id string, epoch int64, change func(*plugins.APIKey) error) (plugins.APIKey, error) {
	return s.updateKey(ctx, id, change, func(ctx context.Context, tx *sql.Tx, key plugins.APIKey) error {
		return ownerInEpoch(ctx, tx, key.Owner, epoch)
	})
}

// anyOwner lets an operator change the keys of everybody.
func anyOwner(context.Context, *sql.Tx, plugins.APIKey) error { return nil }

func (s *Records) updateKey(ctx context.Context, id string, change func(*plugins.APIKey) error, allowed func(context.Context, *sql.Tx, plugins.APIKey) error) (plugins.APIKey, error) {
	var written plugins.APIKey
	err := s.db.Change(ctx, func(ctx context.Context, tx *sql.Tx) error {
		old, err := scanKey(tx.QueryRowContext(ctx, selectKeys+` WHERE id = $1`+s.db.ForUpdate, id))
		if err != nil {
			return err
		}
		if err := allowed(ctx, tx, old); err != nil {
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
		if err := writeKey(ctx, tx, key); err != nil {
			return err
		}
		written, err = scanKey(tx.QueryRowContext(ctx, selectKeys+` WHERE id = $1`, id))
		return err
	})
	if err != nil {
		return plugins.APIKey{}, s.failed("changing an API key", err)
	}
	return written, nil
}

// RotateKey implements store.Store.
func (s *Records) RotateKey(ctx context.Context, id string, next plugins.APIKey, oldEnds time.Time) error {
	if err := store.CheckKey(next); err != nil {
		return err
	}
	return s.rotateKey(ctx, id, func(plugins.APIKey) (plugins.APIKey, error) { return next, nil }, oldEnds, anyOwner)
}

// RotateOwnKey implements store.Store.
func (s *Records) RotateOwnKey(ctx context.Context, id string, next func(plugins.APIKey) (plugins.APIKey, error), oldEnds time.Time, epoch int64, most int) error {
	return s.rotateKey(ctx, id, next, oldEnds, func(ctx context.Context, tx *sql.Tx, made plugins.APIKey) error {
		if err := ownerInEpoch(ctx, tx, made.Owner, epoch); err != nil {
			return err
		}
		return atMost(ctx, tx, made, most)
	})
}

// rotateKey asks allowed once both records are written.
func (s *Records) rotateKey(ctx context.Context, id string, makeNext func(plugins.APIKey) (plugins.APIKey, error), oldEnds time.Time, allowed func(context.Context, *sql.Tx, plugins.APIKey) error) error {
	if oldEnds.IsZero() {
		return fmt.Errorf("%w: a rotation without an end of the old key", store.ErrInvalid)
	}
	return s.failed("rotating an API key", s.db.Change(ctx, func(ctx context.Context, tx *sql.Tx) error {
		old, err := scanKey(tx.QueryRowContext(ctx, selectKeys+` WHERE id = $1`+s.db.ForUpdate, id))
		if err != nil {
			return err
		}
		next, err := makeNext(old)
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
		if err := store.CheckKey(next); err != nil {
			return err
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
		if err := writeKey(ctx, tx, old); err != nil {
			return err
		}
		return allowed(ctx, tx, next)
	}))
}

// TouchKeys implements store.Store.
func (s *Records) TouchKeys(ctx context.Context, used map[string]time.Time) error {
	if len(used) == 0 {
		return nil
	}
	return s.failed("noting the use of API keys", s.db.Append(ctx, func(ctx context.Context, tx *sql.Tx) (err error) {
		stmt, err := tx.PrepareContext(ctx, `UPDATE api_keys SET last_used_at = $1
			WHERE id = $2 AND (last_used_at IS NULL OR last_used_at < $1)`)
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
	_, err := tx.ExecContext(ctx, `INSERT INTO api_keys (`+keyColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`,
		k.ID, k.Owner, k.Name, k.Prefix, k.Hash, k.PepperVersion, k.Role, k.Tier, encodeList(k.Scopes), encodeList(k.IPAllow),
		encodeList(k.Limits), encodeTime(k.CreatedAt), encodeTime(k.ExpiresAt), encodeTime(k.LastUsedAt), encodeTime(k.RevokedAt), k.ReplacedBy)
	return err
}

// InsertKeys adds the records of KeyColumns, for a database that has arrays.
const InsertKeys = `INSERT INTO api_keys (` + keyColumns + `)
	SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::bigint[], $7::text[], $8::text[],
	$9::text[], $10::text[], $11::text[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[], $16::text[])`

// KeyColumns are the columns of many records, an array each.
func KeyColumns(keys []plugins.APIKey) []any {
	texts := func(of func(plugins.APIKey) string) []string {
		column := make([]string, len(keys))
		for i, k := range keys {
			column[i] = of(k)
		}
		return column
	}
	times := func(of func(plugins.APIKey) time.Time) []*int64 {
		column := make([]*int64, len(keys))
		for i, k := range keys {
			if at := of(k); !at.IsZero() {
				seconds := at.Unix()
				column[i] = &seconds
			}
		}
		return column
	}
	hashes, versions := make([][]byte, len(keys)), make([]int64, len(keys))
	for i, k := range keys {
		hashes[i], versions[i] = k.Hash, int64(k.PepperVersion)
	}
	return []any{
		texts(func(k plugins.APIKey) string { return k.ID }),
		texts(func(k plugins.APIKey) string { return k.Owner }),
		texts(func(k plugins.APIKey) string { return k.Name }),
		texts(func(k plugins.APIKey) string { return k.Prefix }),
		hashes, versions,
		texts(func(k plugins.APIKey) string { return k.Role }),
		texts(func(k plugins.APIKey) string { return k.Tier }),
		texts(func(k plugins.APIKey) string { return encodeList(k.Scopes) }),
		texts(func(k plugins.APIKey) string { return encodeList(k.IPAllow) }),
		texts(func(k plugins.APIKey) string { return encodeList(k.Limits) }),
		times(func(k plugins.APIKey) time.Time { return k.CreatedAt }),
		times(func(k plugins.APIKey) time.Time { return k.ExpiresAt }),
		times(func(k plugins.APIKey) time.Time { return k.LastUsedAt }),
		times(func(k plugins.APIKey) time.Time { return k.RevokedAt }),
		texts(func(k plugins.APIKey) string { return k.ReplacedBy }),
	}
}

// writeKey writes all that can change.
func writeKey(ctx context.Context, tx *sql.Tx, k plugins.APIKey) error {
	_, err := tx.ExecContext(ctx, `UPDATE api_keys SET name = $1, role = $2, tier = $3, scopes = $4, ip_allow = $5, limits = $6,
		expires_at = $7, last_used_at = $8, revoked_at = $9, replaced_by = $10 WHERE id = $11`,
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

func scanKey(r Row) (plugins.APIKey, error) {
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
