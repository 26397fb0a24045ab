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
	// CreatedAt is when the user logged in.
	CreatedAt time.Time
	// ExpiresAt is when the current token can't be refreshed any more.
	ExpiresAt time.Time
	// RevokedAt is when the family ended; zero means it goes on.
	RevokedAt time.Time
}
