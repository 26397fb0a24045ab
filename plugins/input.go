package plugins

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// InputError is an invalid field of a record that is created or changed. It becomes a 422
// that names the field.
type InputError struct {
	Field string
	// Text says what is wrong with the field and what to write instead.
	Text string
}

func (e *InputError) Error() string { return e.Field + ": " + e.Text }

// Invalid is an *InputError.
func Invalid(field, text string) error { return &InputError{field, text} }

// CheckText returns an *InputError for a text that is shorter than least or longer than
// most bytes, or that is not safe in a header, a log line or a terminal.
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

// IsScope reports whether a text is a scope as in RFC 6749 section 3.3, of 128 bytes at
// most. It must not have a comma, which separates scopes in lists.
func IsScope(scope string) bool {
	bad := func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' || r == ',' }
	return scope != "" && len(scope) <= 128 && !strings.ContainsFunc(scope, bad)
}

// KeyInput has the fields of a new API key, or the changes to one. Nil fields are not
// given.
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

// KeyHolder has the bounds of an owner that manages its own keys. Operators have no bounds
// and no KeyHolder.
type KeyHolder struct {
	// Epoch of the owner's account, 0 for an owner without one. If the account has another
	// epoch by now, it may have lost rights: ErrAccountChanged.
	Epoch int64
	// Most is how many keys may be valid at once: ErrTooMany. As many again may be in the
	// grace period of a rotation.
	Most int
	// Until is the latest expiry of a key that the owner creates, rotates or extends; zero
	// is no bound.
	Until time.Time
	// Covers returns an error for a key that grants more than the owner has.
	Covers func(APIKey) error
}
