package auth

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/ainative/portcullis/plugins"
)

// DefaultKeyHeader carries API keys unless configured otherwise.
const DefaultKeyHeader = "X-Api-Key"

// maxCredential bounds a credential before any scheme looks at it, in bytes. It
// is above what the schemes take, so that they say what is too long for them.
const maxCredential = 16 << 10

// Headers says where credentials are looked for.
type Headers struct {
	// Key is the canonical name of the API key header; empty where keys are not
	// taken, so that a header of that name belongs to the upstream.
	Key string
}

// Name is the name of the header that a credential came in.
func (hs Headers) Name(s Source) string {
	if s == FromKeyHeader {
		return displayName(hs.Key)
	}
	return "Authorization"
}

// Find returns the one credential of a request. found is false where there is
// none; a denial says that what is there can't be one credential: malformed, two
// different ones, or in a header where none is read.
//
// The same credential given twice is one credential. Two different ones are
// refused, because a gateway that checks one and forwards the other is a known
// way in (Kong, Latacora 2020).
func (hs Headers) Find(r *http.Request) (c Credential, found bool, denial *plugins.Denial) {
	for _, line := range r.Header["Authorization"] {
		if line == "" {
			continue
		}
		value, ok := bearerValue(line)
		if !ok {
			return Credential{}, false, hs.notBearer(line)
		}
		if found && c.Value != value {
			return Credential{}, false, DenyToken(plugins.ReasonCredentialConflict, "two Authorization headers", "one credential")
		}
		c, found = Credential{Source: FromAuthorization, Value: value}, true
	}
	if hs.Key != "" {
		for _, line := range r.Header[hs.Key] {
			if line == "" {
				continue
			}
			if !printable(line) || len(line) > maxCredential {
				return Credential{}, false, DenyKey(plugins.ReasonCredentialMalformed, hs.Key+" is not one printable word", "")
			}
			if found && c.Value != line {
				where := "Authorization and " + hs.Key
				if c.Source == FromKeyHeader {
					where = "two " + hs.Key + " headers"
				}
				return Credential{}, false, DenyToken(plugins.ReasonCredentialConflict, where, "one credential")
			}
			c, found = Credential{Source: FromKeyHeader, Value: line}, true
		}
	}
	return c, found, nil
}

// bearerValue takes the value out of `Bearer <value>` (RFC 6750 section 2.1).
// The scheme's case does not matter (RFC 9110 section 11.1).
func bearerValue(line string) (string, bool) {
	scheme, value, _ := strings.Cut(line, " ")
	if !strings.EqualFold(scheme, "bearer") {
		return "", false
	}
	value = strings.TrimLeft(value, " ")
	if value == "" || len(value) > maxCredential || !printable(value) {
		return "", false
	}
	return value, true
}

// printable reports whether s is visible ASCII without spaces.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

// notBearer explains an Authorization header that is not `Bearer <value>`.
func (hs Headers) notBearer(line string) *plugins.Denial {
	if !strings.Contains(line, " ") && looksLikeCredential(line) {
		d := DenyToken(plugins.ReasonCredentialMisplaced, "Authorization without Bearer", "Authorization: Bearer <credential>")
		if strings.HasPrefix(line, "sk_") {
			d.Detail = DetailKey
		}
		return d
	}
	scheme, _, _ := strings.Cut(line, " ")
	if strings.EqualFold(scheme, "bearer") {
		return DenyToken(plugins.ReasonCredentialMalformed, "Authorization: Bearer with "+strconv.Itoa(len(line)-len(scheme))+" bytes behind it",
			"one printable word of "+strconv.Itoa(maxCredential)+" bytes at most")
	}
	found := "Authorization with an unknown scheme"
	if known := knownSchemes[strings.ToLower(scheme)]; known != "" {
		found = "Authorization with scheme " + known
	}
	return DenyToken(plugins.ReasonCredentialMalformed, found, "Authorization: Bearer <credential>")
}

// knownSchemes are the schemes that a denial names: those of the IANA registry
// (https://www.iana.org/assignments/http-authschemes) and what people write instead
// of Bearer. Any other first word may be a credential that lacks its scheme, and is
// never shown.
var knownSchemes = func() map[string]string {
	known := map[string]string{}
	for _, name := range []string{
		"Basic", "Concealed", "Digest", "DPoP", "GNAP", "HOBA", "Mutual", "Negotiate", "NTLM", "OAuth", "PrivateToken",
		"SCRAM-SHA-1", "SCRAM-SHA-256", "vapid", "AWS4-HMAC-SHA256", "Token", "JWT", "Key", "ApiKey", "Api-Key", "X-API-Key",
	} {
		known[strings.ToLower(name)] = name
	}
	return known
}()

// looksLikeCredential reports whether s has the shape of a JWT or of an API key
// of ours.
func looksLikeCredential(s string) bool {
	return strings.HasPrefix(s, "sk_live_") || strings.HasPrefix(s, "sk_test_") ||
		(strings.HasPrefix(s, "eyJ") && strings.Count(s, ".") == 2)
}

// misplacedNames are headers in which people send credentials by mistake, folded
// as foldHeader does.
var misplacedNames = map[string]bool{
	"apikey": true, "xapikey": true, "xapitoken": true, "apitoken": true, "xauthtoken": true, "authtoken": true,
	"xaccesstoken": true, "accesstoken": true, "xtoken": true, "token": true, "xauth": true, "xauthkey": true,
	"xkey": true, "xauthorization": true, "authentication": true, "bearer": true, "xapi": true, "xjwt": true,
	"jwt": true, "xjwttoken": true, "xjwtassertion": true, "apisecret": true, "xapisecret": true, "xsecretkey": true,
}

// misplacedParams are query parameters in which people send credentials. They
// are never read: URLs end up in logs.
var misplacedParams = []string{"api_key", "apikey", "api-key", "access_token", "token", "key", "x-api-key"}

// Misplaced looks for a credential where none is read, in a request in which
// Find found nothing. It answers with the denial whose challenge names the right
// place, or nil. With sure it answers only if the value has the shape of one of
// our credentials, not for the header's name alone: an anonymous caller may send
// a token that is meant for the upstream.
func (hs Headers) Misplaced(r *http.Request, sure bool) *plugins.Denial {
	for name, values := range r.Header {
		// The key header is here only if it is empty: else Find had found it.
		if len(values) == 0 || values[0] == "" || !misplacedNames[foldHeader(name)] {
			continue
		}
		value := values[0]
		if _, rest, ok := strings.Cut(value, " "); ok {
			value = rest
		}
		if sure && !looksLikeCredential(value) {
			continue
		}
		return hs.misplaced("header "+name, value)
	}
	if r.URL.RawQuery != "" {
		query := r.URL.Query()
		for _, name := range misplacedParams {
			if value := query.Get(name); looksLikeCredential(value) {
				return hs.misplaced("query parameter "+name, value)
			}
		}
	}
	return nil
}

func (hs Headers) misplaced(where, value string) *plugins.Denial {
	if hs.Key != "" && !strings.HasPrefix(value, "eyJ") {
		return DenyKey(plugins.ReasonCredentialMisplaced, where, "header "+displayName(hs.Key)+" or Authorization: Bearer")
	}
	return DenyToken(plugins.ReasonCredentialMisplaced, where, "Authorization: Bearer <token>")
}

// displayName spells X-Api-Key as the documents do.
func displayName(header string) string {
	if header == DefaultKeyHeader {
		return "X-API-Key"
	}
	return header
}
