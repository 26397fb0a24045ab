package plugins

import "time"

// User is the record of an account that the gateway itself keeps: somebody who
// can log in with a password. Callers whose tokens another party issues have none.
type User struct {
	// ID is a UUIDv7. It is the subject of the user's tokens and the owner of the
	// user's API keys.
	ID string
	// Email is the address in the one form by which accounts are told apart: two
	// spellings of an address are one account.
	Email string
	// Address is the address as it was given, to show.
	Address string
	// FullName is the user's own.
	FullName string
	// PasswordHash is in the PHC string format.
	PasswordHash Secret
	// Role, Tier and Scopes are what the user's tokens grant. Role and Tier are never
	// empty.
	Role, Tier string
	Scopes     []string
	// CreatedAt, in UTC with whole seconds, like all times of a record.
	CreatedAt time.Time
	// PasswordSetAt is when the password was last chosen.
	PasswordSetAt time.Time
	// DisabledAt is when the account was disabled; zero means it is not.
	DisabledAt time.Time
	// Epoch grows with each change that ends the user's tokens. What was begun in an
	// earlier epoch, a log-in for instance, can't be completed.
	Epoch int64
	// TokensEndedAt is the second of the last such change: tokens issued in it or
	// before are revoked. Zero means that there was none.
	TokensEndedAt time.Time
}

// TokenFamily is what a log-in began: a token and those that took its place. One
// of them is good at a time.
type TokenFamily struct {
	// ID is a UUIDv7, and the sid of the family's tokens.
	ID string
	// User is the id of the account.
	User string
	// Issuer is the configured name of the issuer that signs the tokens.
	Issuer string
	// Current is the jti of the token that is good now.
	Current string
	// Previous is the jti of the token whose place Current took, and RenewedAt the
	// second in which it did, which is the iat of Current. They are zero until the
	// first renewal.
	Previous  string
	RenewedAt time.Time
	// CreatedAt is when the user logged in.
	CreatedAt time.Time
	// ExpiresAt is when the current token can't be refreshed any more.
	ExpiresAt time.Time
	// RevokedAt is when the family ended; zero means it goes on.
	RevokedAt time.Time
}

// UserChange is what one transaction does to an account and to what hangs on it.
// The functions must not call the store.
type UserChange struct {
	// User alters the record. ID, Email, CreatedAt, Epoch and TokensEndedAt are not
	// for it to change: store.ErrInvalid. Nil alters nothing.
	User func(*User) error
	// Tokens, where set, ends the user's tokens: it is a RevokeSubject of the user's
	// id, which is added, the user's families end at its CreatedAt, Epoch grows and
	// TokensEndedAt becomes its IssuedBefore.
	Tokens *Revocation
	// Keys, where set, may alter each of the user's keys that is not revoked, as in
	// UpdateKey. It gets the account as User left it.
	Keys func(User, *APIKey) error
}

// Renewal puts a token in the place of another of its family.
type Renewal struct {
	// Family is the id of the family.
	Family string
	// Used is the jti of the token that is renewed, Next that of the new one.
	Used, Next string
	// At is the iat of Next.
	At time.Time
	// Reuse is how long after its renewal a token still stands for the one that took
	// its place. With 0 a token that was renewed is a replay at once.
	Reuse time.Duration
	// Epoch of the user that Next was made in.
	Epoch int64
	// ExpiresAt is the family's new one.
	ExpiresAt time.Time
	// Ends is the revocation of the token that ends, without Value: that of Used or,
	// where that is not the current one, of the current one.
	Ends Revocation
}
