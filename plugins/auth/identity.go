package auth

import (
	"fmt"
	"net/http"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/ainative/portcullis/plugins"
)

// The identity headers that the upstream receives.
const (
	HeaderUserID     = "X-User-Id"
	HeaderUserRole   = "X-User-Role"
	HeaderUserRoles  = "X-User-Roles"
	HeaderUserTier   = "X-User-Tier"
	HeaderAuthScheme = "X-Auth-Scheme"
	HeaderAPIKeyID   = "X-Api-Key-Id"
	HeaderRequestID  = "X-Request-Id"
)

// HeaderGatewayIdentity carries the signed identity, where one is configured. A
// client's own is removed in any case.
const HeaderGatewayIdentity = "X-Gateway-Identity"

// identityFolds are the identity headers as foldHeader spells them. X-Request-Id
// is set by the error handler, which decides whether to keep a client's.
var identityFolds = map[string]bool{
	"xuserid": true, "xuserrole": true, "xuserroles": true, "xusertier": true,
	"xauthscheme": true, "xapikeyid": true, "xgatewayidentity": true,
}

const requestIDFold = "xrequestid"

// isIdentityFold reports whether a folded name is that of a header of ours.
func isIdentityFold(fold string) bool { return identityFolds[fold] || fold == requestIDFold }

// KeyHeaderUsable is an error for a name that can't carry API keys: no header
// name, one that the server drops or reads another way, or one of ours.
func KeyHeaderUsable(name string) error {
	fold := foldHeader(name)
	switch {
	case !httpguts.ValidHeaderFieldName(name) || fold == "":
		return fmt.Errorf("%q is no header name", name)
	case strings.ContainsAny(name, "_."):
		return fmt.Errorf("the server drops headers with _ or . in their names, like %s", name)
	case fold == "authorization" || isIdentityFold(fold):
		return fmt.Errorf("%s has a meaning of its own", name)
	}
	return nil
}

// StripIdentity removes from a request every header that an upstream could take
// for one of ours: in every spelling of case, `-`, `_`, `.` and other punctuation
// (CVE-2026-30851, CVE-2026-33433, CVE-2026-54763), in trailers too, and the
// names of our headers from Connection, which would make the proxy drop the ones
// that we set (CVE-2021-32813, CVE-2024-45410). X-Request-Id itself stays, other
// spellings of it go.
func StripIdentity(r *http.Request) {
	stripNames(r.Header)
	StripTrailers(r.Trailer)
	protectConnection(r.Header, r.Header["Connection"])
}

// StripTrailers removes from request trailers what StripIdentity removes from
// headers, and X-Request-Id. A server adds trailers that were not announced when
// the body ends.
func StripTrailers(h http.Header) {
	stripNames(h)
	delete(h, HeaderRequestID)
}

// IsIdentity reports whether a header is one that the gateway adds to a request, in any
// spelling.
func IsIdentity(name string) bool { return startsLike(name, 'x') && isIdentityFold(foldHeader(name)) }

func stripNames(h http.Header) {
	for name := range h {
		if !startsLike(name, 'x') {
			continue
		}
		fold := foldHeader(name)
		if isIdentityFold(fold) && name != HeaderRequestID {
			delete(h, name)
		}
	}
}

// startsLike reports whether the first letter or digit of name is first, which is
// in lower case. It spares most headers the folding.
func startsLike(name string, first byte) bool {
	for i := range len(name) {
		if c := lower(name[i]); isAlnum(c) {
			return c == first
		}
	}
	return false
}

// isAlnum takes what lower returns.
func isAlnum(c byte) bool { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') }

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// foldHeader lower-cases a header name and drops all but letters and digits, so
// that every spelling that some upstream takes for the same name is the same.
func foldHeader(name string) string {
	var buf [48]byte
	out := buf[:0]
	for i := range len(name) {
		if c := lower(name[i]); isAlnum(c) {
			if len(out) == len(buf) {
				return ""
			}
			out = append(out, c)
		}
	}
	return string(out)
}

// protectConnection drops our names from the tokens of Connection.
func protectConnection(h http.Header, lines []string) {
	var kept []string
	changed := false
	for _, line := range lines {
		for token := range strings.SplitSeq(line, ",") {
			token = strings.TrimSpace(token)
			fold := foldHeader(token)
			if isIdentityFold(fold) {
				changed = true
				continue
			}
			if token != "" {
				kept = append(kept, token)
			}
		}
	}
	switch {
	case !changed:
	case len(kept) == 0:
		delete(h, "Connection")
	default:
		h["Connection"] = []string{strings.Join(kept, ", ")}
	}
}

// StripCredentials removes the credentials from a request, in every spelling of
// the key header, so that they do not travel on.
func (hs Headers) StripCredentials(h http.Header) {
	delete(h, "Authorization")
	fold := foldHeader(hs.Key)
	if fold == "" {
		return
	}
	for name := range h {
		if startsLike(name, fold[0]) && foldHeader(name) == fold {
			delete(h, name)
		}
	}
}

var identityNames = [6]string{HeaderUserID, HeaderUserRole, HeaderUserRoles, HeaderUserTier, HeaderAuthScheme, HeaderAPIKeyID}

// SetIdentity tells the upstream who calls, in request headers from which
// StripIdentity has removed the client's own. Role is the one of the caller's roles
// that X-User-Role names. What can't stand in a header, or would read as two roles,
// is left out.
func SetIdentity(h http.Header, p *plugins.Principal, role, tier string) {
	first, roles := roleHeaders(p.Roles)
	if !safeRole(role) {
		role = first
	}
	values := [6]string{p.Subject, role, roles, tier, p.Scheme, p.KeyID}
	// One array of its own for all of them: later handlers may write into it.
	lines := make([]string, len(values))
	for i, v := range values {
		if v != "" && safeValue(v) {
			lines[i] = v
			h[identityNames[i]] = lines[i : i+1 : i+1]
		}
	}
}

// roleHeaders returns the first role and all roles joined by commas.
func roleHeaders(roles []string) (first, all string) {
	if len(roles) == 1 && safeRole(roles[0]) {
		return roles[0], roles[0]
	}
	var kept []string
	for _, role := range roles {
		if safeRole(role) {
			kept = append(kept, role)
		}
	}
	if len(kept) == 0 {
		return "", ""
	}
	return kept[0], strings.Join(kept, ",")
}

func safeRole(role string) bool {
	return role != "" && safeValue(role) && !strings.ContainsAny(role, ", ")
}

func safeValue(v string) bool {
	return httpguts.ValidHeaderFieldValue(v) && strings.TrimSpace(v) == v
}
