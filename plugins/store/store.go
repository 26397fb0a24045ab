// Package store keeps what must outlive the process: API keys, revocations,
// accounts and the audit trail. Policies do not import it; each names the few methods it
// needs, and caddymodule hands them a Store.
package store

import (
	"context"
	"time"

	"github.com/ainative/portcullis/plugins"
)

// The errors that a Store answers with, beside failures of its own.
var (
	ErrNotFound = plugins.ErrNotFound
	ErrExists   = plugins.ErrExists
	ErrConflict = plugins.ErrConflict
	ErrInvalid  = plugins.ErrInvalid
	ErrTooMany  = plugins.ErrTooMany
	ErrReplayed = plugins.ErrReplayed
	// ErrAccountChanged is an ErrConflict.
	ErrAccountChanged = plugins.ErrAccountChanged
)

// KeyFilter chooses API keys.
type KeyFilter = plugins.KeyFilter

// KeyCounts is how many API keys there are by state. A revoked key counts as
// revoked whether or not it has expired too.
type KeyCounts struct {
	Active, Expired, Revoked int64
}

// Store keeps records. Implementations are safe for concurrent use by several
// goroutines and, where they say so, several processes, and pass the suite of
// package storetest. A method that returns an error other than those above could
// not decide: its caller must not take it for "not found".
type Store interface {
	// CreateKey adds a record; ErrExists if id or hash is taken, ErrInvalid by
	// CheckKey. Times are kept in UTC with whole seconds, cut off, and an empty list
	// comes back as nil.
	CreateKey(ctx context.Context, key plugins.APIKey) error
	// CreateKeys adds all of these records or, with the error of CreateKey, none; the
	// text says which record it is about, counted from 1.
	CreateKeys(ctx context.Context, keys []plugins.APIKey) error
	// KeyByHash returns the record with exactly this hash; ErrNotFound.
	KeyByHash(ctx context.Context, hash []byte) (plugins.APIKey, error)
	// KeysByHash returns the records that have one of the hashes, in any order; there
	// is no error for a hash that no record has.
	KeysByHash(ctx context.Context, hashes [][]byte) ([]plugins.APIKey, error)
	// Key returns the record with this id; ErrNotFound.
	Key(ctx context.Context, id string) (plugins.APIKey, error)
	// Keys lists records, oldest first.
	Keys(ctx context.Context, filter KeyFilter) ([]plugins.APIKey, error)
	// UpdateKey reads the record, lets change alter it and writes it, in one
	// transaction; ErrNotFound, or the error of change, in which case nothing is
	// written. ID, Owner, Hash, PepperVersion, Prefix and CreatedAt can't be changed:
	// ErrInvalid, as for a record that CheckKey refuses. It returns the record as
	// written. Change must not call the store.
	UpdateKey(ctx context.Context, id string, change func(*plugins.APIKey) error) (plugins.APIKey, error)
	// RotateKey adds next and sets the old record's ReplacedBy and its ExpiresAt to
	// the earlier of its own and oldEnds, in one transaction; ErrNotFound,
	// ErrConflict if the old key is revoked, rotated already, or expired at
	// next.CreatedAt; ErrExists as for CreateKey; ErrInvalid if next has another
	// owner, or oldEnds is zero.
	RotateKey(ctx context.Context, id string, next plugins.APIKey, oldEnds time.Time) error
	// TouchKeys writes the last use of many keys at once; unknown ids are passed
	// over, and a time never goes back.
	TouchKeys(ctx context.Context, used map[string]time.Time) error

	// Revoke adds a revocation; ErrInvalid by CheckRevocation. The same kind, issuer
	// and value again extends the one that is there: it keeps its id, takes the later
	// IssuedBefore and ExpiresAt (zero being the latest) and a new note, if any.
	// ErrExists if the id belongs to another.
	Revoke(ctx context.Context, r plugins.Revocation) error
	// Revocations returns every revocation that has not expired at now, oldest first.
	Revocations(ctx context.Context, now time.Time) ([]plugins.Revocation, error)
	// DeleteRevocation takes one back; ErrNotFound.
	DeleteRevocation(ctx context.Context, id string) error
	// SweepRevocations removes those expired at now and says how many.
	SweepRevocations(ctx context.Context, now time.Time) (int, error)

	// AppendAudit adds to the audit trail; ErrInvalid by CheckAudit. The entry's ID is
	// set by the store.
	AppendAudit(ctx context.Context, e AuditEntry) error
	// Audit returns entries of the trail, newest first.
	Audit(ctx context.Context, filter AuditFilter) ([]AuditEntry, error)
	// SweepAudit removes entries from before a time and says how many.
	SweepAudit(ctx context.Context, before time.Time) (int, error)

	Users

	// SaveCounts merges counts into those that are kept, by Count.Merge; ErrInvalid by
	// CheckCount, and then nothing is kept. A failure may leave some of them kept.
	SaveCounts(ctx context.Context, counts []Count) error
	// Counts calls each for every count of a zone that is not Full at now, until it
	// returns an error. It must not call the store.
	Counts(ctx context.Context, zone string, now time.Time, each func(Count) error) error
	// DeleteCounts forgets every count of a key in a zone.
	DeleteCounts(ctx context.Context, zone string, key [16]byte) error
	// SweepCounts removes those that were Full before a time, in whole seconds, and
	// says how many.
	SweepCounts(ctx context.Context, before time.Time) (int, error)

	// SetOwner keeps the limits of an owner in place of those that are kept;
	// ErrInvalid by CheckOwner.
	SetOwner(ctx context.Context, o OwnerLimits) error
	// Owners returns the limits of every owner that has any, by owner.
	Owners(ctx context.Context) ([]OwnerLimits, error)
	// DeleteOwner forgets the limits of an owner; ErrNotFound.
	DeleteOwner(ctx context.Context, owner string) error

	// CountKeys says how many keys there are in each state at now. It reads every
	// record: ask seldom.
	CountKeys(ctx context.Context, now time.Time) (KeyCounts, error)

	// Version grows with every change to keys (other than TouchKeys) and
	// revocations, not to accounts, whichever process made it. It is cheap enough to poll
	// several times a second.
	Version(ctx context.Context) (uint64, error)
	// Close releases the store.
	Close() error
}

// Checker is a Store that can tell better than Version whether it works, such as a
// store in a file that may have been removed. Check returns nil if records can be read.
type Checker interface {
	Check(ctx context.Context) error
}

// Check asks whether records of a store can be read.
func Check(ctx context.Context, s Store) error {
	if c, ok := s.(Checker); ok {
		return c.Check(ctx)
	}
	_, err := s.Version(ctx)
	return err
}
