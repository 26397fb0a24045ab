package sqlstore

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/store"
)

const selectUsers = `SELECT id, email, address, full_name, password_hash, role, tier, scopes,
	created_at, password_set_at, disabled_at, epoch, tokens_ended_at FROM users`

// CreateUser implements store.Store.
func (s *Records) CreateUser(ctx context.Context, u plugins.User) error {
	if err := store.CheckUser(u); err != nil {
		return err
	}
	return s.failed("creating an account", s.db.Change(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO users (id, email, address, full_name, password_hash, role, tier, scopes,
			created_at, password_set_at, disabled_at, epoch, tokens_ended_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
			u.ID, u.Email, u.Address, u.FullName, u.PasswordHash.Reveal(), u.Role, u.Tier, encodeList(u.Scopes),
			encodeTime(u.CreatedAt), encodeTime(u.PasswordSetAt), encodeTime(u.DisabledAt), u.Epoch, encodeTime(u.TokensEndedAt))
		return err
	}))
}

// User implements store.Store.
func (s *Records) User(ctx context.Context, id string) (plugins.User, error) {
	u, err := one(ctx, s, scanUser, selectUsers+` WHERE id = $1`, id)
	return u, s.failed("reading an account", err)
}

// UserByEmail implements store.Store.
func (s *Records) UserByEmail(ctx context.Context, email string) (plugins.User, error) {
	u, err := one(ctx, s, scanUser, selectUsers+` WHERE email = $1`, email)
	return u, s.failed("reading an account by its address", err)
}

// Users implements store.Store.
func (s *Records) Users(ctx context.Context, f store.UserFilter) ([]plugins.User, error) {
	users, err := many(ctx, s, scanUser, selectUsers+` WHERE id > $1 ORDER BY id LIMIT $2`, f.After, limit(f.Limit))
	return users, s.failed("listing accounts", err)
}

// UpdateUser implements store.Store.
func (s *Records) UpdateUser(ctx context.Context, id string, change plugins.UserChange) (plugins.User, error) {
	var written plugins.User
	err := s.db.Change(ctx, func(ctx context.Context, tx *sql.Tx) error {
		old, err := scanUser(tx.QueryRowContext(ctx, selectUsers+` WHERE id = $1`, id))
		if err != nil {
			return err
		}
		u := old
		u.Scopes = slices.Clone(old.Scopes)
		if change.User != nil {
			if err := change.User(&u); err != nil {
				return err
			}
			if u.ID != old.ID || u.Email != old.Email || !u.CreatedAt.Equal(old.CreatedAt) || u.Epoch != old.Epoch || !u.TokensEndedAt.Equal(old.TokensEndedAt) {
				return fmt.Errorf("%w: id, email, time of making and epoch of an account can't be changed", store.ErrInvalid)
			}
		}
		if change.Tokens != nil {
			if err := endTokens(ctx, tx, &u, *change.Tokens); err != nil {
				return err
			}
		}
		if err := store.CheckUser(u); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE users SET address = $1, full_name = $2, password_hash = $3, role = $4, tier = $5, scopes = $6,
			password_set_at = $7, disabled_at = $8, epoch = $9, tokens_ended_at = $10 WHERE id = $11`,
			u.Address, u.FullName, u.PasswordHash.Reveal(), u.Role, u.Tier, encodeList(u.Scopes),
			encodeTime(u.PasswordSetAt), encodeTime(u.DisabledAt), u.Epoch, encodeTime(u.TokensEndedAt), u.ID); err != nil {
			return err
		}
		if written, err = scanUser(tx.QueryRowContext(ctx, selectUsers+` WHERE id = $1`, id)); err != nil || change.Keys == nil {
			return err
		}
		return s.alterKeys(ctx, tx, written, change.Keys)
	})
	if err != nil {
		return plugins.User{}, s.failed("changing an account", err)
	}
	return written, nil
}

// endTokens ends every token of a user that there is.
func endTokens(ctx context.Context, tx *sql.Tx, u *plugins.User, r plugins.Revocation) error {
	if err := store.CheckRevocation(r); err != nil {
		return err
	}
	if r.Kind != plugins.RevokeSubject || r.Value != u.ID {
		return fmt.Errorf("%w: the tokens of an account end by a revocation of its id as subject", store.ErrInvalid)
	}
	u.Epoch++
	if r.IssuedBefore.After(u.TokensEndedAt) {
		u.TokensEndedAt = r.IssuedBefore
	}
	if _, err := tx.ExecContext(ctx, `UPDATE token_families SET revoked_at = $1 WHERE user_id = $2 AND revoked_at IS NULL`,
		encodeTime(r.CreatedAt), u.ID); err != nil {
		return err
	}
	return insertRevocation(ctx, tx, r)
}

// alterKeys lets change alter each key of an owner that is not revoked.
func (s *Records) alterKeys(ctx context.Context, tx *sql.Tx, u plugins.User, change func(plugins.User, *plugins.APIKey) error) error {
	keys, err := Collect(ctx, tx, scanKey, selectKeys+` WHERE owner = $1 AND revoked_at IS NULL ORDER BY id`+s.db.ForUpdate, u.ID)
	if err != nil {
		return err
	}
	for _, old := range keys {
		key := old
		key.Hash = bytes.Clone(old.Hash)
		if err := change(u, &key); err != nil {
			return err
		}
		if reflect.DeepEqual(key, old) {
			continue
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
	}
	return nil
}

// CreateOwnKey implements store.Store.
func (s *Records) CreateOwnKey(ctx context.Context, key plugins.APIKey, epoch int64, most int) error {
	if err := store.CheckKey(key); err != nil {
		return err
	}
	return s.failed("creating an API key", s.db.Change(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if err := ownerInEpoch(ctx, tx, key.Owner, epoch); err != nil {
			return err
		}
		if err := insertKey(ctx, tx, key); err != nil {
			return err
		}
		return atMost(ctx, tx, key, most)
	}))
}

// atMost answers ErrTooMany if the owner of a key that was just written has more that
// work at the time of its making.
func atMost(ctx context.Context, tx *sql.Tx, made plugins.APIKey, most int) error {
	var count int
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM api_keys WHERE owner = $1 AND revoked_at IS NULL
		AND (expires_at IS NULL OR expires_at > $2)`, made.Owner, encodeTime(made.CreatedAt)).Scan(&count); err != nil {
		return err
	}
	if count > most {
		return fmt.Errorf("%w: the owner would have %d keys, %d is the most", store.ErrTooMany, count, most)
	}
	return nil
}

// ownerInEpoch answers ErrAccountChanged unless the owner of a key is a user in this
// epoch or, for epoch 0, no user at all.
func ownerInEpoch(ctx context.Context, tx *sql.Tx, owner string, epoch int64) error {
	err := inEpoch(ctx, tx, owner, epoch)
	switch {
	case epoch == 0 && errors.Is(err, sql.ErrNoRows):
		return nil
	case epoch == 0 && err == nil, errors.Is(err, sql.ErrNoRows):
		return store.ErrAccountChanged
	}
	return err
}

// inEpoch answers ErrAccountChanged for a user that is disabled or not in this epoch.
func inEpoch(ctx context.Context, tx *sql.Tx, id string, epoch int64) error {
	u, err := scanUser(tx.QueryRowContext(ctx, selectUsers+` WHERE id = $1`, id))
	if err == nil && (!u.DisabledAt.IsZero() || u.Epoch != epoch) {
		return store.ErrAccountChanged
	}
	return err
}

func scanUser(r Row) (plugins.User, error) {
	var u plugins.User
	var hash string
	var scopes list
	var created, set, disabled, ended instant
	if err := r.Scan(&u.ID, &u.Email, &u.Address, &u.FullName, &hash, &u.Role, &u.Tier, &scopes,
		&created, &set, &disabled, &u.Epoch, &ended); err != nil {
		return plugins.User{}, err
	}
	u.PasswordHash, u.Scopes = plugins.NewSecret(hash), scopes
	u.CreatedAt, u.PasswordSetAt, u.DisabledAt, u.TokensEndedAt = created.Time, set.Time, disabled.Time, ended.Time
	return u, nil
}
