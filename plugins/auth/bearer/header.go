package bearer

import (
	"strconv"
	"strings"
	"unicode"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/auth"
)

// maxKeyIDBytes bounds kid, which is only ever a map key.
const maxKeyIDBytes = 256

// header is the JOSE header of a token, of which three members matter. None is
// trusted: alg only has to agree with the issuer, kid only names a key of it.
type header struct {
	alg string
	// typ is empty when absent.
	typ string
	// kid is empty when absent.
	kid string
}

// refusedHeaders are members that ask the verifier to do something: fetch or
// trust a key from the token (jku, jwk, x5u, x5c: RFC 8725 section 3.10, CVE-2018-0114),
// understand an extension (crit, RFC 7515 section 4.1.11), sign other bytes
// than those sent (b64, RFC 7797) or inflate (zip).
var refusedHeaders = [...]string{"crit", "b64", "jku", "jwk", "x5u", "x5c", "zip"}

// registeredHeaders may not appear twice in any mix of cases.
var registeredHeaders = [...]string{"alg", "typ", "kid", "cty", "x5t"}

// readHeader applies the rules that hold for every issuer.
func readHeader(object *jsonValue) (header, *plugins.Denial) {
	var h header
	for i := range object.members {
		for _, name := range refusedHeaders {
			if strings.EqualFold(object.members[i].name, name) {
				return h, auth.DenyToken(plugins.ReasonTokenHeader, quote(object.members[i].name), "not accepted in a token")
			}
		}
	}
	if name, dup := foldedDuplicate(object, registeredHeaders[:]); dup {
		return h, denyDuplicate("header", name)
	}

	alg := object.member("alg")
	if alg == nil || alg.kind != jsonString || alg.text == "" {
		return h, auth.DenyToken(plugins.ReasonTokenAlgorithm, "alg is "+describe(alg), "a string")
	}
	h.alg = alg.text
	if typ := object.member("typ"); typ != nil {
		if typ.kind != jsonString {
			return h, auth.DenyToken(plugins.ReasonTokenType, "typ is "+describe(typ), "a string")
		}
		h.typ = typ.text
	}
	if kid := object.member("kid"); kid != nil {
		if kid.kind != jsonString {
			return h, auth.DenyToken(plugins.ReasonTokenHeader, "kid is "+describe(kid), "a string")
		}
		if len(kid.text) > maxKeyIDBytes {
			return h, auth.DenyToken(plugins.ReasonTokenHeader,
				"kid of "+strconv.Itoa(len(kid.text))+" bytes", "at most "+strconv.Itoa(maxKeyIDBytes)+" bytes")
		}
		for _, r := range kid.text {
			if !unicode.IsPrint(r) {
				return h, auth.DenyToken(plugins.ReasonTokenHeader, "kid "+quote(kid.text), "printable characters")
			}
		}
		h.kid = kid.text
	}
	return h, nil
}

// describe names what stands where something else was expected.
func describe(v *jsonValue) string {
	switch {
	case v == nil:
		return "absent"
	case v.kind == jsonString && v.text == "":
		return "empty"
	}
	return v.kind.String()
}
