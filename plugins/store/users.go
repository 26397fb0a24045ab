package store

import (
	"context"
	"fmt"
	"time"

	"github.com/ainative/portcullis/plugins"
)

// UserFilter chooses accounts.
type UserFilter struct {
	// After is the id to start behind, for paging; ids grow with time.
	After string
	// Limit is the most to return; 0 means all.
	Limit int
}

// Users keeps accounts and the families of their tokens.
type Users interface {
	// CreateUser adds an account; ErrExists if id or email is taken, ErrInvalid by
	// CheckUser.
	CreateUser(ctx context.Context, u plugins.User) error
	// User returns the account with this id; ErrNotFound.
	User(ctx context.Context, id string) (plugins.User, error)
	// UserByEmail returns the account with exactly this Email; ErrNotFound.
	UserByEmail(ctx context.Context, email string) (plugins.User, error)
	// Users lists accounts, oldest first.
	Users(ctx context.Context, filter UserFilter) ([]plugins.User, error)
	// UpdateUser makes a change in one transaction; ErrNotFound, the error of one of
	// its functions, or ErrInvalid, in which cases nothing is written. It returns the
	// account as written.
	UpdateUser(ctx context.Context, id string, change plugins.UserChange) (plugins.User, error)

	// CreateOwnKey is CreateKey for an owner. ErrTooMany if the owner would have more
	// than most keys, not counting those that are revoked or expired at key.CreatedAt.
	// ErrAccountChanged unless the owner is an account of this epoch that is not disabled
	// or, for epoch 0, no account at all.
	CreateOwnKey(ctx context.Context, key plugins.APIKey, epoch int64, most int) error
	// UpdateOwnKey is UpdateKey for an owner; ErrAccountChanged as for CreateOwnKey.
	UpdateOwnKey(ctx context.Context, id string, epoch int64, change func(*plugins.APIKey) error) (plugins.APIKey, error)
	// RotateOwnKey is RotateKey for an owner; ErrAccountChanged and ErrTooMany as for
	// CreateOwnKey. Next makes the new record from the old one, within the transaction. If
	// it fails, RotateOwnKey returns its error and writes nothing. It must not call the
	// store.
	RotateOwnKey(ctx context.Context, id string, next func(old plugins.APIKey) (plugins.APIKey, error), oldEnds time.Time, epoch int64, most int) error

	// StartFamily adds a family; ErrNotFound if there is no such user, ErrAccountChanged
	// if the user is disabled or in another epoch, ErrExists, ErrInvalid by CheckFamily.
	// Families of the user that have expired at f.CreatedAt are removed.
	StartFamily(ctx context.Context, f plugins.TokenFamily, epoch int64) error
	// Family returns the family with this id; ErrNotFound.
	Family(ctx context.Context, id string) (plugins.TokenFamily, error)
	// RenewFamily makes r.Next the current token, with r.Used as the previous one, and
	// revokes r.Used, in one transaction, and returns the family as written. If r.Used
	// is the previous token already, and was renewed no more than r.Reuse from r.At,
	// before or after it, nothing is written and the family is returned as it is: its
	// current token is not r.Next. ErrNotFound; ErrConflict if the family has ended, or
	// the user is disabled or in another epoch; ErrReplayed if r.Used is neither: then
	// the family has been ended and its current token revoked, and the family is
	// returned too.
	RenewFamily(ctx context.Context, r plugins.Renewal) (plugins.TokenFamily, error)
	// EndFamily ends a family and revokes its current token, in one transaction, and
	// returns it; ErrNotFound. A second time only the revocation is extended. The
	// revocation comes without Value.
	EndFamily(ctx context.Context, id string, ends plugins.Revocation) (plugins.TokenFamily, error)
}

// CheckUser tells whether an account can be kept. The error wraps ErrInvalid.
func CheckUser(u plugins.User) error {
	for _, text := range []struct{ name, value string }{
		{"id", u.ID}, {"email", u.Email}, {"password hash", u.PasswordHash.Reveal()}, {"role", u.Role}, {"tier", u.Tier},
	} {
		if text.value == "" {
			return fmt.Errorf("%w: an account without %s", ErrInvalid, text.name)
		}
	}
	if u.CreatedAt.IsZero() {
		return fmt.Errorf("%w: an account without the time of its making", ErrInvalid)
	}
	if u.Epoch < 1 {
		return fmt.Errorf("%w: the epoch of an account is %d, the first is 1", ErrInvalid, u.Epoch)
	}
	if len(u.Scopes) > MaxList {
		return fmt.Errorf("%w: an account has %d scopes, more than %d", ErrInvalid, len(u.Scopes), MaxList)
	}
	if err := checkTexts("account", u.ID, u.Email, u.Address, u.FullName, u.PasswordHash.Reveal(), u.Role, u.Tier); err != nil {
		return err
	}
	if err := checkTexts("account", u.Scopes...); err != nil {
		return err
	}
	return checkTimes("account", u.CreatedAt, u.PasswordSetAt, u.DisabledAt, u.TokensEndedAt)
}

// CheckFamily tells whether a family can be kept. The error wraps ErrInvalid.
func CheckFamily(f plugins.TokenFamily) error {
	for _, text := range []struct{ name, value string }{{"id", f.ID}, {"user", f.User}, {"current token", f.Current}} {
		if text.value == "" {
			return fmt.Errorf("%w: a family of tokens without %s", ErrInvalid, text.name)
		}
	}
	if (f.Previous == "") != f.RenewedAt.IsZero() {
		return fmt.Errorf("%w: a family of tokens with a previous token or the time of its renewal, and not both", ErrInvalid)
	}
	if f.CreatedAt.IsZero() || f.ExpiresAt.IsZero() {
		return fmt.Errorf("%w: a family of tokens without beginning or end", ErrInvalid)
	}
	if err := checkTexts("family of tokens", f.ID, f.User, f.Issuer, f.Current, f.Previous); err != nil {
		return err
	}
	return checkTimes("family of tokens", f.CreatedAt, f.RenewedAt, f.ExpiresAt, f.RevokedAt)
}
