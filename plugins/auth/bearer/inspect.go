package bearer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/ainative/portcullis/plugins"
)

// Inspection explains a token to an operator. It holds what the token says,
// which is no proof of anything, and never its signature.
type Inspection struct {
	// Bytes is the token's length.
	Bytes int `json:"bytes"`
	// Header and Claims are the decoded parts as JSON; nil where they are none.
	Header json.RawMessage `json:"header"`
	Claims json.RawMessage `json:"claims"`

	// The members that decide, read by our own rules; empty where the form was
	// refused before they could be read.
	Algorithm string   `json:"algorithm,omitempty"`
	Type      string   `json:"type,omitempty"`
	KeyID     string   `json:"key_id,omitempty"`
	Issuer    string   `json:"issuer,omitempty"`
	Subject   string   `json:"subject,omitempty"`
	TokenID   string   `json:"token_id,omitempty"`
	Audience  []string `json:"audience,omitempty"`

	IssuedAt  *time.Time `json:"issued_at"`
	NotBefore *time.Time `json:"not_before"`
	ExpiresAt *time.Time `json:"expires_at"`

	// Notes are sentences about what stands out.
	Notes []string `json:"notes"`
	// Verdict is what became of the token: of its form alone by Inspect, of
	// everything by Verifier.Inspect.
	Verdict Verdict `json:"verdict"`
}

// Verdict is the outcome of an inspection.
type Verdict struct {
	// Accepted is true when nothing that was checked speaks against the token.
	Accepted bool `json:"accepted"`
	// Reason, Value and Bound are those of the Denial.
	Reason plugins.Reason `json:"reason,omitempty"`
	Value  string         `json:"value,omitempty"`
	Bound  string         `json:"bound,omitempty"`
	// Unavailable says why it could not be decided.
	Unavailable string `json:"unavailable,omitempty"`
	// Principal is the caller, when everything was checked and is good.
	Principal *plugins.Principal `json:"principal,omitempty"`
}

// ErrNoToken is what Inspect returns for something that the bearer scheme would
// leave to another.
var ErrNoToken = errors.New("not a JSON Web Token: those have three parts with dots between and start with eyJ")

// Inspect explains the form of a token. It needs no configuration and proves
// nothing: a forged token looks as good as a real one.
func Inspect(token string) (*Inspection, error) {
	token = strings.TrimSpace(token)
	if !looksLikeToken(token) {
		return nil, ErrNoToken
	}
	in := &Inspection{Bytes: len(token), Notes: []string{}}
	if len(token) <= maxTokenBytes {
		parts := strings.SplitN(token, ".", 4)
		in.Header = showJSON(parts[0])
		if len(parts) > 1 {
			in.Claims = showJSON(parts[1])
		}
		if strings.Count(token, ".") == 4 {
			in.note("five parts make an encrypted token (JWE), which the gateway can't read; ask the issuer for a signed one")
		}
	}
	t, denial := scan(token)
	if denial != nil {
		in.deny(denial)
		return in, nil
	}
	in.Verdict.Accepted = true
	in.read(t)
	return in, nil
}

// Inspect explains a token and judges it for a site with these issuers, or with
// all, as a request with it would be judged now. The cache is not used.
func (v *Verifier) Inspect(ctx context.Context, token string, issuers ...string) (*Inspection, error) {
	scheme, err := v.Scheme(issuers...)
	if err != nil {
		return nil, err
	}
	in, err := Inspect(token)
	if err != nil {
		return nil, err
	}
	in.Verdict = Verdict{}
	checked, _, denial, err := v.verify(ctx, scheme.policy, strings.TrimSpace(token), v.clock())
	switch {
	case err != nil:
		in.Verdict.Unavailable = err.Error()
	case denial != nil:
		in.deny(denial)
	default:
		in.Verdict.Accepted, in.Verdict.Principal = true, checked.principal
	}
	return in, nil
}

func (in *Inspection) deny(d *plugins.Denial) {
	in.Verdict = Verdict{Reason: d.Reason, Value: d.Value, Bound: d.Bound}
}

func (in *Inspection) note(sentence string) { in.Notes = append(in.Notes, sentence) }

// read fills in what a token of good form says.
func (in *Inspection) read(t *scanned) {
	in.Algorithm, in.Type, in.KeyID = t.header.alg, t.header.typ, t.header.kid
	in.Issuer, in.Subject, in.TokenID = textOf(&t.claims, "iss"), textOf(&t.claims, "sub"), textOf(&t.claims, "jti")
	if aud := t.claims.member("aud"); aud != nil {
		in.Audience = texts(aud)
	}
	for _, d := range []struct {
		name string
		to   **time.Time
	}{{"iat", &in.IssuedAt}, {"nbf", &in.NotBefore}, {"exp", &in.ExpiresAt}} {
		at, present, denial := numericDate(&t.claims, d.name)
		if denial != nil {
			in.note(d.name + " is not a number of seconds")
		} else if present {
			*d.to = &at
		}
	}

	if algorithms[in.Algorithm] == nil {
		in.note("no issuer can be configured for the algorithm " + quote(in.Algorithm))
	}
	if in.ExpiresAt == nil {
		in.note("it has no exp; tokens that never expire are refused")
	} else if in.IssuedAt != nil {
		in.note("it was made to live " + in.ExpiresAt.Sub(*in.IssuedAt).String())
	}
	if in.IssuedAt == nil {
		in.note("it has no iat, so any revocation by subject or by time ends it, and max_lifetime counts from now")
	}
	if in.TokenID == "" {
		in.note("it has no jti, so it can't be revoked alone")
	}
	if in.Subject == "" {
		in.note("it has no sub; unless another claim is the subject, its caller has no name")
	}
}

// textOf returns text, or the digits of a number.
func textOf(claims *jsonValue, name string) string {
	if v := claims.member(name); v != nil {
		return v.text
	}
	return ""
}

// showJSON decodes a part for the eye. It is not what decides.
func showJSON(segment string) json.RawMessage {
	b, _ := decodeSegment(segment) // of a broken one nothing, which is no JSON
	var compact bytes.Buffer
	if json.Compact(&compact, b) != nil {
		return nil
	}
	return compact.Bytes()
}
