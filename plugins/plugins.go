// Package plugins is the vocabulary that every policy of the gateway shares: the caller
// (Principal), a refusal and its cause (Denial, Reason), a failure to decide
// (Unavailable), and the records that stores keep and policies read (APIKey,
// Revocation).
//
// The packages below this one hold the policies. They do not import each other
// and never import Caddy; they meet in these types.
package plugins

import (
	"time"
)

// Clock tells the time. Policies take one so that tests decide what time it is.
type Clock func() time.Time

// Principal is an authenticated caller. It is immutable once made: caches hand
// the same value to many requests at once.
type Principal struct {
	// Subject is the token's subject, or the owner of the API key.
	Subject string
	// Owner is the party that rate limits count, over all its credentials.
	Owner string
	// Roles as granted by the credential, without those that a hierarchy implies.
	// Empty means that the credential grants no role.
	Roles []string
	// Tier names the limits that apply; empty means the default tier.
	Tier string
	// Scopes the credential grants.
	Scopes []string
	// Scheme that accepted the credential: SchemeBearer or SchemeAPIKey.
	Scheme string
	// KeyID is the id of the API key; empty for tokens.
	KeyID string
	// Issuer is the configured name of the issuer that signed the token; empty
	// for API keys.
	Issuer string
	// SigningKey is the kid of the key that signed the token: the name that the
	// issuer gives the key, or the token's where the key has none.
	SigningKey string
	// TokenID is the token's jti, where it has one.
	TokenID string
	// Credential identifies the credential without revealing it: the key's id,
	// or issuer and jti, or issuer and a hash of the signing input. Counting
	// `by credential` uses it.
	Credential string
	// ExpiresAt is when the credential ends; zero means never.
	ExpiresAt time.Time
	// Limits replaces the limits of the tier, in the Caddyfile's syntax, one limit per
	// element (`600/1m burst 100`). Empty means the tier's.
	Limits []string
}

// The names of the credential schemes: in `schemes` of the Caddyfile, in X-Auth-Scheme to
// the upstream and in {http.auth.user.scheme}.
const (
	SchemeBearer = "bearer"
	SchemeAPIKey = "api_key"
)

// Denial is a decision that the request may not pass. It is never an error:
// what could not be decided is an Unavailable.
type Denial struct {
	// Status is the HTTP status, 400 to 499.
	Status int
	// Reason is the exact cause, for the log and for `explain`; the client never
	// sees it.
	Reason Reason
	// Detail is the public text. It says no more than the contract's fixed text.
	Detail string
	// Challenges are WWW-Authenticate values, in the order to send.
	Challenges []string
	// RetryAfter is how long to wait before the same request can pass; zero means
	// that waiting does not help. Clients get it in whole seconds, rounded up.
	RetryAfter time.Duration
	// Value is what was found and Bound what was wanted, both without secrets, for
	// `explain`: `exp 2026-02-03T10:00:00Z` and `now 2026-02-03T10:00:31Z`.
	Value string
	Bound string
	// Of describes the refused credential.
	Of Evidence
}

// Evidence is what is known about a refused credential. Nothing proves the claims of a
// refused token.
type Evidence struct {
	// Scheme that recognised the credential.
	Scheme string
	// KeyID and Owner are those of the API key's record.
	KeyID, Owner string
	// Issuer is the configured name of the issuer that checked the token, and SigningKey
	// the kid in the token.
	Issuer, SigningKey string
}

// Unavailable is a failure to decide: the store, the key source or the limiter did not
// answer. It becomes a 503 with Retry-After, and never lets the request pass.
type Unavailable struct {
	// Reason is the exact cause, as in a Denial.
	Reason Reason
	// RetryAfter is a hint for the client; zero means the default of 5 seconds.
	RetryAfter time.Duration
	// Err is the private cause.
	Err error
}

func (u *Unavailable) Error() string {
	if u.Err == nil {
		return string(u.Reason)
	}
	return string(u.Reason) + ": " + u.Err.Error()
}

// Unwrap returns the private cause.
func (u *Unavailable) Unwrap() error { return u.Err }
