package store

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ainative/portcullis/plugins"
)

// The bounds of what a record may hold, the same for every Store.
const (
	// MaxText bounds each text of a record, in bytes.
	MaxText = 1024
	// MaxList bounds the elements of each list of a record.
	MaxList = 256
)

// CheckKey tells whether a record can be kept: ID, Owner and CreatedAt are there,
// the hash has 32 bytes, texts and lists are within bounds, UTF-8 and without NUL,
// times lie in the years 1970 to 9999. The error wraps ErrInvalid.
func CheckKey(k plugins.APIKey) error {
	for _, text := range []struct{ name, value string }{{"id", k.ID}, {"owner", k.Owner}} {
		if text.value == "" {
			return fmt.Errorf("%w: an API key without %s", ErrInvalid, text.name)
		}
	}
	if len(k.Hash) != sha256.Size {
		return fmt.Errorf("%w: the hash of an API key has %d bytes, not %d", ErrInvalid, len(k.Hash), sha256.Size)
	}
	if k.PepperVersion < 0 {
		return fmt.Errorf("%w: the pepper version of an API key is %d", ErrInvalid, k.PepperVersion)
	}
	if k.CreatedAt.IsZero() {
		return fmt.Errorf("%w: an API key without the time of its making", ErrInvalid)
	}
	if err := checkTexts("API key", k.ID, k.Owner, k.Name, k.Prefix, k.Role, k.Tier, k.ReplacedBy); err != nil {
		return err
	}
	for _, list := range [][]string{k.Scopes, k.IPAllow, k.Limits} {
		if len(list) > MaxList {
			return fmt.Errorf("%w: a list of an API key has %d elements, more than %d", ErrInvalid, len(list), MaxList)
		}
		if err := checkTexts("API key", list...); err != nil {
			return err
		}
	}
	return checkTimes("API key", k.CreatedAt, k.ExpiresAt, k.LastUsedAt, k.RevokedAt)
}

// CheckRevocation tells whether a revocation can be kept: a known kind with what
// that kind needs. A RevokeIssuedBefore or RevokeSubject without IssuedBefore would
// end nothing, and is refused so that nobody believes it did. The error wraps
// ErrInvalid.
func CheckRevocation(r plugins.Revocation) error {
	if r.ID == "" {
		return fmt.Errorf("%w: a revocation without id", ErrInvalid)
	}
	if r.CreatedAt.IsZero() {
		return fmt.Errorf("%w: a revocation without the time of its making", ErrInvalid)
	}
	var value, before bool
	switch r.Kind {
	case plugins.RevokeTokenID, plugins.RevokeSigningKey:
		value = true
	case plugins.RevokeSubject:
		value, before = true, true
	case plugins.RevokeIssuedBefore:
		before = true
	default:
		return fmt.Errorf("%w: a revocation of the unknown kind %q", ErrInvalid, r.Kind)
	}
	if value != (r.Value != "") {
		return fmt.Errorf("%w: a revocation of the kind %s has the value %q", ErrInvalid, r.Kind, r.Value)
	}
	if before && r.IssuedBefore.IsZero() {
		return fmt.Errorf("%w: a revocation of the kind %s without a time before which", ErrInvalid, r.Kind)
	}
	if err := checkTexts("revocation", r.ID, r.Issuer, r.Value, r.Note); err != nil {
		return err
	}
	return checkTimes("revocation", r.IssuedBefore, r.CreatedAt, r.ExpiresAt)
}

// CheckAudit tells whether an entry can be kept: At and Action are there and all
// is within bounds. The error wraps ErrInvalid.
func CheckAudit(e AuditEntry) error {
	if e.At.IsZero() || e.Action == "" {
		return fmt.Errorf("%w: an audit entry without time or action", ErrInvalid)
	}
	if err := checkTexts("audit entry", e.Actor, e.Action, e.Target, e.From, e.Result); err != nil {
		return err
	}
	return checkTimes("audit entry", e.At)
}

func checkTexts(what string, texts ...string) error {
	for _, s := range texts {
		if len(s) > MaxText {
			return fmt.Errorf("%w: a text of the %s has %d bytes, more than %d", ErrInvalid, what, len(s), MaxText)
		}
		// Databases disagree on NUL: some cut there, some refuse.
		if !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
			return fmt.Errorf("%w: a text of the %s is not UTF-8 or has NUL", ErrInvalid, what)
		}
	}
	return nil
}

func checkTimes(what string, times ...time.Time) error {
	for _, t := range times {
		if t.IsZero() {
			continue
		}
		if year := t.UTC().Year(); year < 1970 || year > 9999 {
			return fmt.Errorf("%w: a time of the %s lies in the year %d", ErrInvalid, what, year)
		}
	}
	return nil
}
