package plugins

import "time"

// User is the record of an account that can log in with a password. Callers with tokens
// of another issuer have none.
type User struct {
	// ID is a UUIDv7. It is the subject of the user's tokens and the owner of the
	// user's API keys.
	ID string
	// Email is the address in canonical form: two spellings of an address are one
	// account.
	Email string
	// Address is the address as the user wrote it, for display.
	Address string
	// FullName is the user's name, for display.
	FullName string
	// PasswordHash is in the PHC string format.
	PasswordHash Secret
	// Role, Tier and Scopes are what the user's tokens grant. Role and Tier are never
	// empty.
	Role, Tier string
	Scopes     []string
	// CreatedAt, in UTC with whole seconds, like all times of a record.
	CreatedAt time.Time
	// PasswordSetAt is when the password was last set.
	PasswordSetAt time.Time
	// DisabledAt is when the account was disabled; zero means it is not.
	DisabledAt time.Time
	// Epoch grows with each change that revokes the user's tokens. An operation that began
	// in an earlier epoch, such as a log-in, fails.
	Epoch int64
	// TokensEndedAt is the second of the last such change: tokens issued in it or before
	// are revoked. Zero means that there was no such change.
	TokensEndedAt time.Time
}

// TokenFamily has the tokens of one log-in: the first and its renewals. Only the current
// one is valid.
type TokenFamily struct {
	// ID is a UUIDv7, and the sid of the family's tokens.
	ID string
	// User is the id of the account.
	User string
	// Issuer is the configured name of the issuer that signs the tokens.
	Issuer string
	// Current is the jti of the valid token.
	Current string
	// Previous is the jti of the token whose place Current took, and RenewedAt the
	// second in which it did, which is the iat of Current. They are zero until the
	// first renewal.
	Previous  string
	RenewedAt time.Time
	// CreatedAt is when the user logged in.
	CreatedAt time.Time
	// ExpiresAt is when the current token can no longer be refreshed.
	ExpiresAt time.Time
	// RevokedAt is when the family was revoked; zero means it is not.
	RevokedAt time.Time
}

// UserChange is a change to an account, its tokens and its keys in one transaction. The
// functions must not call the store.
type UserChange struct {
	// User changes the record, but not ID, Email, CreatedAt, Epoch or TokensEndedAt:
	// ErrInvalid. Nil changes nothing.
	User func(*User) error
	// Tokens, where set, revokes the user's tokens. It is a RevokeSubject of the user's id,
	// and is added. The user's families are revoked at its CreatedAt, Epoch grows, and
	// TokensEndedAt becomes its IssuedBefore.
	Tokens *Revocation
	// Keys, where set, may change each of the user's keys that is not revoked, as in
	// UpdateKey. It gets the account after User has changed it.
	Keys func(User, *APIKey) error
}

// Renewal replaces the current token of a family.
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
	// Epoch of the user when Next was made.
	Epoch int64
	// ExpiresAt is the family's new expiry.
	ExpiresAt time.Time
	// Ends is a revocation without Value. It revokes Used; if that is not the current token,
	// the current one.
	Ends Revocation
}
