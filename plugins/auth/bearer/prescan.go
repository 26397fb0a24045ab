package bearer

import (
	"encoding/base64"
	"errors"
	"strconv"
	"strings"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/auth"
)

// maxTokenBytes bounds a token before anything else looks at it (CVE-2025-30204,
// CVE-2025-27144: splitting on dots without a bound).
const maxTokenBytes = 8 << 10

// rawURL refuses trailing bits, which the default encoding ignores: without it
// one signature has several spellings.
var rawURL = base64.RawURLEncoding.Strict()

// scanned is a token that has passed the pre-scan. Nothing in it is verified.
type scanned struct {
	// signingInput is header.payload as sent, a part of the token.
	signingInput string
	signature    []byte
	header       header
	claims       jsonValue
}

// scan takes a token apart and refuses everything that is wrong without needing
// a key. It is the only parser of tokens here.
func scan(token string) (*scanned, *plugins.Denial) {
	t, payload, denial := dissect(token)
	if denial != nil {
		return nil, denial
	}
	var err error
	if t.claims, err = parseObject(payload); err != nil {
		return nil, denyJSON("payload", err)
	}
	if name, dup := foldedDuplicate(&t.claims, registeredClaims[:]); dup {
		return nil, denyDuplicate("payload", name)
	}
	return t, nil
}

// dissect takes a compact JWS (RFC 7515 section 7.1) apart: everything but what
// the payload says.
func dissect(token string) (t *scanned, payload string, denial *plugins.Denial) {
	if len(token) > maxTokenBytes {
		return nil, "", auth.DenyToken(plugins.ReasonTokenTooLong,
			strconv.Itoa(len(token))+" bytes", "at most "+strconv.Itoa(maxTokenBytes)+" bytes")
	}
	if n := strings.Count(token, "."); n != 2 {
		return nil, "", malformed(strconv.Itoa(n)+" dots", "exactly 2 dots")
	}
	first := strings.IndexByte(token, '.')
	last := strings.LastIndexByte(token, '.')
	var parts [3][]byte
	for i, part := range []struct{ name, text string }{
		{"header", token[:first]},
		{"payload", token[first+1 : last]},
		{"signature", token[last+1:]},
	} {
		var err error
		if parts[i], err = decodeSegment(part.text); err != nil {
			return nil, "", malformed(part.name+": "+err.Error(), "base64url without padding")
		}
	}
	head, err := parseObject(string(parts[0]))
	if err != nil {
		return nil, "", denyJSON("header", err)
	}
	t = &scanned{signingInput: token[:last], signature: parts[2]}
	if t.header, denial = readHeader(&head); denial != nil {
		return nil, "", denial
	}
	return t, string(parts[1]), nil
}

var (
	errSegmentEmpty    = errors.New("empty")
	errSegmentAlphabet = errors.New("a character outside the base64url alphabet")
	errSegmentBits     = errors.New("not a whole number of bytes, or bits left over")
)

// decodeSegment decodes one part. The alphabet is checked first because
// encoding/base64 skips CR and LF even when it is strict.
func decodeSegment(s string) ([]byte, error) {
	if s == "" {
		return nil, errSegmentEmpty
	}
	for i := range len(s) {
		if !base64urlByte[s[i]] {
			return nil, errSegmentAlphabet
		}
	}
	b, err := rawURL.DecodeString(s)
	if err != nil {
		return nil, errSegmentBits
	}
	return b, nil
}

// base64urlByte marks the alphabet of RFC 4648 section 5.
var base64urlByte = func() (t [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") {
		t[c] = true
	}
	return t
}()

// registeredClaims may not appear twice in any mix of cases: one reader takes
// `sub`, another with case-insensitive members takes `SUB` (RFC 7519 section
// 4.1, and the identity claims that are mapped by default).
var registeredClaims = [...]string{
	"iss", "sub", "aud", "exp", "nbf", "iat", "jti",
	"role", "roles", "tier", "scope", "scp", "client_id", "azp",
}

// foldedDuplicate finds two members that a case-insensitive reader would take
// for the same one of names.
func foldedDuplicate(object *jsonValue, names []string) (string, bool) {
	var seen uint64
	for i := range object.members {
		for j, name := range names {
			if !strings.EqualFold(object.members[i].name, name) {
				continue
			}
			if seen&(1<<j) != 0 {
				return name, true
			}
			seen |= 1 << j
			break
		}
	}
	return "", false
}

func malformed(value, bound string) *plugins.Denial {
	return auth.DenyToken(plugins.ReasonTokenMalformed, value, bound)
}

func denyJSON(part string, err error) *plugins.Denial {
	reason := plugins.ReasonTokenMalformed
	if errors.Is(err, errJSONDuplicate) {
		reason = plugins.ReasonTokenDuplicateMember
	}
	return auth.DenyToken(reason, part+": "+err.Error(), "")
}

func denyDuplicate(part, name string) *plugins.Denial {
	return auth.DenyToken(plugins.ReasonTokenDuplicateMember,
		part+": "+quote(name)+" more than once, letter case aside", "")
}

// quote makes text from a token safe and short enough for a log line.
func quote(s string) string {
	const most = 64
	if len(s) > most {
		return strconv.QuoteToASCII(strings.ToValidUTF8(s[:most], "")) + "..."
	}
	return strconv.QuoteToASCII(s)
}
