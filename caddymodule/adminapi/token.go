package adminapi

import (
	"encoding/json"
	"time"
)

// RevocationInput revokes tokens: it has one of JTI, Subject and KID, or
// IssuedBefore alone.
type RevocationInput struct {
	JTI     string `json:"jti,omitempty"`
	Subject string `json:"subject,omitempty"`
	// KID revokes all tokens that the signing key of this id signed. An API key is
	// revoked by its own record.
	KID string `json:"kid,omitempty"`
	// IssuedBefore bounds which of the subject's tokens are revoked. Default: now.
	IssuedBefore *time.Time `json:"issued_before,omitempty"`
	// Issuer restricts it to the issuer of this name. Default: any.
	Issuer string `json:"issuer,omitempty"`
	Note   string `json:"note,omitempty"`
}

// Revocation is a revocation in force.
type Revocation struct {
	ID           string  `json:"id"`
	Kind         string  `json:"kind"`
	Issuer       *string `json:"issuer"`
	Value        string  `json:"value"`
	IssuedBefore *string `json:"issued_before"`
	CreatedAt    *string `json:"created_at"`
	ExpiresAt    *string `json:"expires_at"`
	Note         string  `json:"note"`
}

// TokenInput asks what a token says. A token goes into a body, since URLs end up
// in logs.
type TokenInput struct {
	Token string `json:"token"`
}

// Inspection is what a token says and what would become of it: the part of the
// answer that a person reads. bearer.Inspection has all of it.
type Inspection struct {
	Header  json.RawMessage `json:"header"`
	Claims  json.RawMessage `json:"claims"`
	Notes   []string        `json:"notes"`
	Verdict Verdict         `json:"verdict"`
}

// Verdict is the outcome of an inspection.
type Verdict struct {
	Accepted bool `json:"accepted"`
	// Reason, Value and Bound say why the token would be refused.
	Reason string `json:"reason,omitempty"`
	Value  string `json:"value,omitempty"`
	Bound  string `json:"bound,omitempty"`
	// Unavailable says why it could not be decided.
	Unavailable string `json:"unavailable,omitempty"`
}
