package plugins

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// InputError is invalid input to what makes and changes records. It becomes a 422
// that names the field.
type InputError struct {
	Field string
	// Text says what is wrong with the field and what to write instead.
	Text string
}

func (e *InputError) Error() string { return e.Field + ": " + e.Text }

// Invalid is an *InputError.
func Invalid(field, text string) error { return &InputError{field, text} }

// CheckText is an *InputError for a text that has not from least to most bytes, or that
// can't stand in a header, a log line or a terminal.
func CheckText(field, text string, least, most int) error {
	switch {
	case len(text) < least:
		return &InputError{field, "must not be empty"}
	case len(text) > most:
		return &InputError{field, fmt.Sprintf("is longer than %d bytes", most)}
	case !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl):
		return &InputError{field, "has control characters or is not UTF-8"}
	case strings.TrimSpace(text) != text:
		return &InputError{field, "starts or ends with a space"}
	}
	return nil
}

// IsScope reports whether a scope is one by RFC 6749 section 3.3, of 128 bytes at
// most. A comma is refused too, since lists are written with it.
func IsScope(scope string) bool {
	bad := func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' || r == ',' }
	return scope != "" && len(scope) <= 128 && !strings.ContainsFunc(scope, bad)
}

// KeyInput is what an API key is made with, or what is to change of one. Nil fields
// are not given.
type KeyInput struct {
	Owner  *string
	Name   *string
	Role   *string
	Tier   *string
	Scopes *[]string
	// Expires is a duration from now, such as 90d, or `never`.
	Expires *string
	// ExpiresAt is a time; one of the three ways may be given.
	ExpiresAt *time.Time
	// ExpiresInDays is a number of days from now.
	ExpiresInDays *int
	IPAllow       *[]string
	Limits        *[]string
	// Test makes a key that starts with sk_test_.
	Test bool
}

// KeyHolder is an owner who makes and changes keys of their own, and what binds them.
// Operators are bound by nothing, and have none.
type KeyHolder struct {
	// Epoch is that of the owner's account, 0 for an owner without one. An account that
	// has another by now may have lost rights: ErrAccountChanged.
	Epoch int64
	// Most is how many keys may work at once: ErrTooMany. Keys in the grace of a
	// rotation come on top, once as many at most.
	Most int
	// Until is when keys end that the owner makes, rotates or prolongs, at the latest;
	// zero is no bound.
	Until time.Time
	// Covers is an error for a key that grants more than the owner has.
	Covers func(APIKey) error
}
