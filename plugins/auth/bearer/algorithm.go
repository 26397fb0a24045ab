package bearer

import (
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// family is a kind of key. An algorithm works with exactly one.
type family uint8

const (
	familyHMAC family = iota + 1
	familyRSA
	familyEC
	familyEdwards
)

// algorithm binds a JWS algorithm name to the one kind of key that it takes.
// The table below is the only way from a name to a verifier, so an RSA key
// can't become an HMAC secret whatever a token says (CVE-2015-9235,
// CVE-2026-39999).
type algorithm struct {
	name   string
	family family
	method jwt.SigningMethod
	// secretBytes is the least length of an HMAC secret: that of the hash, RFC
	// 7518 section 3.2.
	secretBytes int
	// curve is the one curve of an ECDSA algorithm, RFC 7518 section 3.4.
	curve string
}

// algorithms is read-only. `none` isn't in it. Names are case-sensitive.
// Ed25519 is the fully specified name of what EdDSA means for these keys (RFC
// 9864).
var algorithms = func() map[string]*algorithm {
	m := make(map[string]*algorithm)
	for _, a := range []algorithm{
		{name: "HS256", family: familyHMAC, method: jwt.SigningMethodHS256, secretBytes: 32},
		{name: "HS384", family: familyHMAC, method: jwt.SigningMethodHS384, secretBytes: 48},
		{name: "HS512", family: familyHMAC, method: jwt.SigningMethodHS512, secretBytes: 64},
		{name: "RS256", family: familyRSA, method: jwt.SigningMethodRS256},
		{name: "RS384", family: familyRSA, method: jwt.SigningMethodRS384},
		{name: "RS512", family: familyRSA, method: jwt.SigningMethodRS512},
		{name: "PS256", family: familyRSA, method: hashLengthSalt(jwt.SigningMethodPS256)},
		{name: "PS384", family: familyRSA, method: hashLengthSalt(jwt.SigningMethodPS384)},
		{name: "PS512", family: familyRSA, method: hashLengthSalt(jwt.SigningMethodPS512)},
		{name: "ES256", family: familyEC, method: jwt.SigningMethodES256, curve: "P-256"},
		{name: "ES384", family: familyEC, method: jwt.SigningMethodES384, curve: "P-384"},
		{name: "ES512", family: familyEC, method: jwt.SigningMethodES512, curve: "P-521"},
		{name: "EdDSA", family: familyEdwards, method: jwt.SigningMethodEdDSA},
		{name: "Ed25519", family: familyEdwards, method: jwt.SigningMethodEdDSA},
	} {
		m[a.name] = &a
	}
	return m
}()

// hashLengthSalt verifies with a salt as long as the hash and no other, RFC
// 7518 section 3.5. golang-jwt takes any length.
func hashLengthSalt(m *jwt.SigningMethodRSAPSS) jwt.SigningMethod {
	return &jwt.SigningMethodRSAPSS{SigningMethodRSA: m.SigningMethodRSA, Options: m.Options}
}

// algorithmNames lists what a configuration may say, for error sentences.
func algorithmNames() string {
	names := make([]string, 0, len(algorithms))
	for name := range algorithms {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
