// Package store keeps what must outlive the process: API keys, revocations and
// the audit trail. Policies do not import it; each names the few methods it
// needs, and caddymodule hands them a Store.
package store

import (
	"context"
	"errors"
	"time"

	"github.com/ainative/portcullis/plugins"
)

// The errors that a Store answers with, beside failures of its own.
var (
	// ErrNotFound: there is no such record.
	ErrNotFound = errors.New("not found")
	// ErrExists: a record with this id or hash is there already.
	ErrExists = errors.New("already exists")
	// ErrConflict: the record is not in a state that allows the change, such as
	// rotating a revoked key.
	ErrConflict = errors.New("conflict")
)

// KeyFilter chooses API keys.
type KeyFilter struct {
	// Owner, where not empty, must match exactly.
	Owner string
	// After is the id to start behind, for paging; ids grow with time.
	After string
	// Limit is the most to return; 0 means all.
	Limit int
}

// Store keeps records. Implementations are safe for concurrent use by several
// goroutines and, where they say so, several processes, and pass the suite of
// package storetest. A method that returns an error other than those above could
// not decide: its caller must not take it for "not found".
type Store interface {
	// CreateKey adds a record; ErrExists if id or hash is taken.
	CreateKey(ctx context.Context, key plugins.APIKey) error
	// KeyByHash returns the record with exactly this hash; ErrNotFound.
	KeyByHash(ctx context.Context, hash []byte) (plugins.APIKey, error)
	// Key returns the record with this id; ErrNotFound.
	Key(ctx context.Context, id string) (plugins.APIKey, error)
	// Keys lists records, oldest first.
	Keys(ctx context.Context, filter KeyFilter) ([]plugins.APIKey, error)
	// UpdateKey reads the record, lets change alter it and writes it, in one
	// transaction; ErrNotFound, or the error of change, in which case nothing is
	// written. ID, Owner, Hash and CreatedAt can't be changed. It returns the
	// record as written.
	UpdateKey(ctx context.Context, id string, change func(*plugins.APIKey) error) (plugins.APIKey, error)
	// RotateKey adds next and sets the old record's ReplacedBy and its ExpiresAt to
	// the earlier of its own and oldEnds, in one transaction; ErrNotFound,
	// ErrConflict if the old key is revoked, expired or rotated already.
	RotateKey(ctx context.Context, id string, next plugins.APIKey, oldEnds time.Time) error
	// TouchKeys writes the last use of many keys at once; unknown ids are passed
	// over, and a time never goes back.
	TouchKeys(ctx context.Context, used map[string]time.Time) error

	// Revoke adds a revocation; the same kind, issuer and value again extends it.
	Revoke(ctx context.Context, r plugins.Revocation) error
	// Revocations returns every revocation that has not expired at now, oldest first.
	Revocations(ctx context.Context, now time.Time) ([]plugins.Revocation, error)
	// DeleteRevocation takes one back; ErrNotFound.
	DeleteRevocation(ctx context.Context, id string) error
	// SweepRevocations removes those expired at now and says how many.
	SweepRevocations(ctx context.Context, now time.Time) (int, error)

	// Version grows with every change to keys (other than TouchKeys) and
	// revocations, by whichever process made it. It is cheap enough to poll several
	// times a second.
	Version(ctx context.Context) (uint64, error)
	// Close releases the store.
	Close() error
}
