package adminapi

import "time"

// DefaultGrace is how long a rotated key goes on working unless asked otherwise.
const DefaultGrace = "24h"

// KeyInput creates or changes an API key. Fields that are nil stay as they are.
type KeyInput struct {
	Owner  *string   `json:"owner,omitempty"`
	Name   *string   `json:"name,omitempty"`
	Role   *string   `json:"role,omitempty"`
	Tier   *string   `json:"tier,omitempty"`
	Scopes *[]string `json:"scopes,omitempty"`
	// Expires is a duration such as 90d from now, or `never`.
	Expires *string `json:"expires,omitempty"`
	// ExpiresAt is a time, RFC 3339.
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
	// ExpiresInDays is a number of days from now.
	ExpiresInDays *int      `json:"expires_in_days,omitempty"`
	IPAllow       *[]string `json:"ip_allow,omitempty"`
	Limits        *[]string `json:"limits,omitempty"`
	// Test makes a key that starts with sk_test_.
	Test bool `json:"test,omitempty"`
}

// Key is an API key without its secret.
type Key struct {
	ID         string   `json:"id"`
	Owner      string   `json:"owner"`
	Name       string   `json:"name"`
	Prefix     string   `json:"prefix"`
	Role       *string  `json:"role"`
	Tier       *string  `json:"tier"`
	Scopes     []string `json:"scopes"`
	IPAllow    []string `json:"ip_allow"`
	Limits     []string `json:"limits"`
	CreatedAt  *string  `json:"created_at"`
	ExpiresAt  *string  `json:"expires_at"`
	LastUsedAt *string  `json:"last_used_at"`
	RevokedAt  *string  `json:"revoked_at"`
	ReplacedBy *string  `json:"replaced_by"`
	// APIKey is the key itself. Only the answer that creates it has it.
	APIKey string `json:"api_key,omitempty"`
}

// Rotation asks for a key in place of another.
type Rotation struct {
	// Grace is how long the old key goes on working, like 24h. Default: DefaultGrace.
	Grace *string `json:"grace,omitempty"`
}

// Imported is the answer to an import of keys.
type Imported struct {
	Imported int `json:"imported"`
}
