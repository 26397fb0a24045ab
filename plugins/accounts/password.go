package accounts

import (
	"crypto/rand"
	"encoding/base32"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/ainative/portcullis/plugins"
)

// Bounds of a password: the first in characters, the second in bytes. The second
// keeps the work of one log-in bounded.
const (
	minPassword = 8
	maxPassword = 1024
)

// prepared composes a password, so that it is the same from every keyboard (RFC
// 8265 section 4.2).
func prepared(password string) plugins.Secret { return plugins.NewSecret(norm.NFC.String(password)) }

// CheckPassword says what is wrong with a password that is to be set; nothing if
// it will do.
func CheckPassword(password string) []string {
	var upper, lower, digit bool
	for _, r := range password {
		upper = upper || unicode.IsUpper(r)
		lower = lower || unicode.IsLower(r)
		digit = digit || unicode.IsDigit(r)
	}
	var wrong []string
	for _, rule := range []struct {
		broken bool
		text   string
	}{
		{utf8.RuneCountInString(password) < minPassword, "Password must be at least 8 characters"},
		{!upper, "Password must contain uppercase letter"},
		{!lower, "Password must contain lowercase letter"},
		{!digit, "Password must contain number"},
		{len(password) > maxPassword || len(prepared(password).Reveal()) > maxPassword, "Password must be at most 1024 bytes"},
		{strings.ContainsFunc(password, unicode.IsControl), "Password must not contain control characters"},
	} {
		if rule.broken {
			wrong = append(wrong, rule.text)
		}
	}
	return wrong
}

// newPassword reads a password that is to be set.
func (b *Body) newPassword(name string) plugins.Secret {
	before := len(b.wrong)
	password := b.Text(name)
	if len(b.wrong) == before {
		for _, text := range CheckPassword(password) {
			b.Reject(name, text, "value_error")
		}
	}
	return prepared(password)
}

// GeneratePassword makes a password of 130 bits that CheckPassword takes.
func GeneratePassword() plugins.Secret {
	random := make([]byte, 20)
	_, _ = rand.Read(random) // never fails: crypto/rand ends the process instead
	text := base32.StdEncoding.EncodeToString(random)
	// Base32 has capitals, and perhaps no digit.
	return plugins.NewSecret(strings.ToLower(text[:13]) + "-" + text[13:26] + "-7")
}
