package bearer

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode"

	"github.com/MicahParks/jwkset"
)

// Bounds of a key set that comes over the network.
const (
	maxJWKSBytes = 1 << 20
	maxJWKSKeys  = 64
)

// readKeys is what a JWKS document holds for one issuer.
type readKeys struct {
	// keys are usable, ordered by kid.
	keys []*verifyKey
	// public are the same keys in the same order, as they may be stored: what makes
	// up the public key and what it is for, nothing else.
	public []jwkset.JWKMarshal
	// skipped says what was wrong with each of the others.
	skipped []skippedKey
}

type skippedKey struct {
	id  string
	err error
}

// readJWKS reads a JWK Set (RFC 7517 section 5). One bad key is skipped, as
// section 5 asks; a document without a single usable key is an error, so that it
// can't replace a good one (an identity provider may well answer 200 and
// `{"error": ...}`). The arithmetic of keys is jwkset's.
func readJWKS(data []byte, configured []string) (*readKeys, error) {
	if len(data) > maxJWKSBytes {
		return nil, fmt.Errorf("the key set has more than %d bytes", maxJWKSBytes)
	}
	var document struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(data, &document); err != nil {
		return nil, fmt.Errorf("parsing the key set: %w", err)
	}
	switch n := len(document.Keys); {
	case n == 0:
		return nil, errors.New("the answer has no keys")
	case n > maxJWKSKeys:
		return nil, fmt.Errorf("the key set has %d keys, at most %d are accepted", n, maxJWKSKeys)
	}

	var r readKeys
	type usable struct {
		key    *verifyKey
		public jwkset.JWKMarshal
	}
	var found []usable
	for _, raw := range document.Keys {
		var m jwkset.JWKMarshal
		if err := json.Unmarshal(raw, &m); err != nil {
			r.skipped = append(r.skipped, skippedKey{err: errors.New("not a JWK")})
			continue
		}
		key, err := readJWK(&m, configured)
		if err != nil {
			r.skipped = append(r.skipped, skippedKey{id: m.KID, err: err})
			continue
		}
		found = append(found, usable{key, publicPart(&m)})
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("none of the %d keys can be used; the first one: %w", len(r.skipped), r.skipped[0].err)
	}
	slices.SortStableFunc(found, func(a, b usable) int { return cmp.Compare(a.key.id, b.key.id) })
	for _, u := range found {
		r.keys = append(r.keys, u.key)
		r.public = append(r.public, u.public)
	}
	return &r, nil
}

// readJWK applies what the key says about itself (RFC 7517 sections 4.1 to 4.4)
// before its numbers are looked at.
func readJWK(m *jwkset.JWKMarshal, configured []string) (*verifyKey, error) {
	if m.KTY == jwkset.KtyOct || m.K != "" {
		return nil, errors.New("a symmetric key from a URL is not a secret")
	}
	if m.D != "" || m.P != "" || m.Q != "" || m.DP != "" || m.DQ != "" || m.QI != "" || len(m.OTH) > 0 {
		return nil, errors.New("the private half is published with it, so anyone can sign")
	}
	if m.USE != "" && m.USE != jwkset.UseSig {
		return nil, fmt.Errorf("it is for use %s, not for signatures", quote(string(m.USE)))
	}
	if len(m.KEYOPS) > 0 && !slices.Contains(m.KEYOPS, jwkset.KeyOpsVerify) {
		return nil, errors.New("its key_ops don't include verify")
	}
	if a := algorithms[string(m.ALG)]; m.ALG != "" && (a == nil || a.family == familyHMAC) {
		return nil, fmt.Errorf("its algorithm %s is not one for signatures by public keys", quote(string(m.ALG)))
	}
	if len(m.KID) > maxKeyIDBytes {
		return nil, fmt.Errorf("its kid has %d bytes, at most %d are accepted", len(m.KID), maxKeyIDBytes)
	}
	for _, r := range m.KID {
		if !unicode.IsPrint(r) {
			return nil, fmt.Errorf("its kid %s has unprintable characters", quote(m.KID))
		}
	}
	// Only the numbers are given to jwkset: certificates and their URLs are nothing
	// that we rely on, and a fault in one must not cost us the key.
	numbers := jwkset.JWKMarshal{KTY: m.KTY, CRV: m.CRV, X: m.X, Y: m.Y, N: m.N, E: m.E}
	jwk, err := jwkset.NewJWKFromMarshal(numbers, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
	if err != nil {
		return nil, fmt.Errorf("reading the key: %w", err)
	}
	return bind(m.KID, jwk.Key(), configured, string(m.ALG))
}

func publicPart(m *jwkset.JWKMarshal) jwkset.JWKMarshal {
	return jwkset.JWKMarshal{
		KTY: m.KTY, USE: m.USE, KEYOPS: m.KEYOPS, ALG: m.ALG, KID: m.KID,
		CRV: m.CRV, X: m.X, Y: m.Y, N: m.N, E: m.E,
	}
}
