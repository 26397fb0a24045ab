package plugins

import (
	"errors"
	"fmt"
	"time"
)

// The errors of a store, besides its own failures. They are here because policies do not
// import the store.
var (
	// ErrNotFound: there is no such record.
	ErrNotFound = errors.New("not found")
	// ErrExists: a record with this id, hash or address exists already.
	ErrExists = errors.New("already exists")
	// ErrConflict: the state of the record does not allow the change, such as rotating a
	// revoked key.
	ErrConflict = errors.New("conflict")
	// ErrAccountChanged is the ErrConflict of an account that is disabled or has changed
	// since it was read.
	ErrAccountChanged = fmt.Errorf("%w: the account has changed meanwhile", ErrConflict)
	// ErrInvalid: the record is invalid, or the change is to an immutable field; the text
	// says what is wrong.
	ErrInvalid = errors.New("invalid")
	// ErrTooMany: the owner has the maximum number of keys.
	ErrTooMany = errors.New("too many")
	// ErrReplayed: the token to renew is not the current one of its family. Another client
	// has renewed it. It is unknown which of the two is the thief, so the family was
	// revoked.
	ErrReplayed = errors.New("replayed")
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

// APIKey is the record of an API key. The key itself is not in it: it is shown
// once, when it is made, and only its hash is kept.
type APIKey struct {
	// ID is a UUIDv7.
	ID string
	// Owner of the key; it becomes the principal's subject.
	Owner string
	// Name is the owner's own label.
	Name string
	// Prefix is the part of the key that may be shown, such as `sk_live_Ab3x`.
	Prefix string
	// Hash is HMAC-SHA-256 of the key under the pepper of PepperVersion, 32 bytes.
	Hash []byte
	// PepperVersion says which pepper made Hash.
	PepperVersion int
	// Role granted; empty means the default role.
	Role string
	// Tier of limits; empty means the default tier.
	Tier string
	// Scopes granted.
	Scopes []string
	// IPAllow lists the CIDR prefixes that may use the key; empty means any.
	IPAllow []string
	// Limits replaces the limits of the tier; see Principal.Limits.
	Limits []string
	// CreatedAt, in UTC with whole seconds, like all times of a record.
	CreatedAt time.Time
	// ExpiresAt is when the key ends; zero means never.
	ExpiresAt time.Time
	// LastUsedAt is written in batches; zero means never used.
	LastUsedAt time.Time
	// RevokedAt is when the key was revoked; zero means it is not.
	RevokedAt time.Time
	// ReplacedBy is the id of the key that a rotation made from this one.
	ReplacedBy string
}

// Works reports whether the key is valid at this time.
func (k APIKey) Works(at time.Time) bool {
	return k.RevokedAt.IsZero() && (k.ExpiresAt.IsZero() || k.ExpiresAt.After(at))
}

// A RevocationKind says what a Revocation's Value names.
type RevocationKind string

// The kinds of revocation.
const (
	// RevokeTokenID revokes the token whose jti is Value, of Issuer where given.
	RevokeTokenID RevocationKind = "jti"
	// RevokeSubject revokes every token of the subject Value issued at or before
	// IssuedBefore.
	RevokeSubject RevocationKind = "subject"
	// RevokeIssuedBefore revokes every token of Issuer, or of every issuer where it
	// is empty, issued at or before IssuedBefore.
	RevokeIssuedBefore RevocationKind = "issued_before"
	// RevokeSigningKey revokes every token signed by the key whose kid is Value, of Issuer
	// where given, whenever issued: a thief of the key can choose any date.
	RevokeSigningKey RevocationKind = "kid"
)

// Revocation revokes tokens. An API key is revoked in its own record.
type Revocation struct {
	// ID is a UUIDv7.
	ID string
	// Kind says what Value names.
	Kind RevocationKind
	// Issuer restricts the revocation to the issuer of this configured name;
	// empty means any.
	Issuer string
	// Value is the jti, the subject or the kid.
	Value string
	// IssuedBefore is the latest iat that is revoked, for the kinds that use it.
	IssuedBefore time.Time
	// CreatedAt is when it was created.
	CreatedAt time.Time
	// ExpiresAt is when every affected token has expired, so that the entry can be swept;
	// zero means never.
	ExpiresAt time.Time
	// Note is the operator's remark.
	Note string
}
