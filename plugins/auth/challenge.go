package auth

import (
	"strings"

	"github.com/ainative/portcullis/plugins"
)

// Challenge returns the WWW-Authenticate value of a 401 (RFC 6750 section 3):
// bare where no credential came, error="invalid_token" else. It gives a hint
// where the credential is in the wrong place or there are two, and never says which
// check failed.
func (hs Headers) Challenge(realm string, d *plugins.Denial) string {
	var b strings.Builder
	b.WriteString(`Bearer realm="`)
	b.WriteString(quotedText(realm))
	b.WriteByte('"')
	switch d.Reason {
	case plugins.ReasonNoCredential, plugins.ReasonNotAuthenticated:
	case plugins.ReasonCredentialMisplaced:
		b.WriteString(`, error="invalid_token", error_description="`)
		if hs.Key != "" {
			b.WriteString("Send an API key in the " + displayName(hs.Key) + " header, or a token or key as Authorization: Bearer <credential>")
		} else {
			b.WriteString("Send the token as Authorization: Bearer <token>")
		}
		b.WriteByte('"')
	case plugins.ReasonCredentialConflict:
		b.WriteString(`, error="invalid_token", error_description="Two credentials: send one of them"`)
	default:
		b.WriteString(`, error="invalid_token"`)
	}
	return b.String()
}

// InsufficientScope returns the WWW-Authenticate value of a 403 for want of
// scopes (RFC 6750 section 3.1).
func InsufficientScope(realm string, scopes []string) string {
	return `Bearer realm="` + quotedText(realm) + `", error="insufficient_scope", scope="` + quotedText(strings.Join(scopes, " ")) + `"`
}

// quotedText escapes s for a quoted-string (RFC 9110 section 5.6.4) and drops
// what may not stand in one.
func quotedText(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r >= ' ' && r <= '~':
			b.WriteRune(r)
		}
	}
	return b.String()
}

// DefaultRealm is the realm of challenges unless configured otherwise.
const DefaultRealm = "api"
