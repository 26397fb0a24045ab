package bearer

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
	"time"
)

// RSA moduli that are accepted, in bits. Below the first a key can be factored
// (NIST SP 800-131A); above the second one verification costs milliseconds,
// which is a way to be slow on demand.
const (
	minRSABits = 2048
	maxRSABits = 8192
)

// maxKeyTries bounds how many keys one token is tried against, where several
// share a kid or a file holds several.
const maxKeyTries = 8

// verifyKey is one key of an issuer, with the algorithms it may be used for.
// Which these are was decided when it was loaded.
type verifyKey struct {
	// id is the kid; empty when the key has none.
	id string
	// material is []byte, *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey.
	material   any
	algorithms []*algorithm
}

func (k *verifyKey) algorithm(name string) *algorithm {
	for _, a := range k.algorithms {
		if a.name == name {
			return a
		}
	}
	return nil
}

// keySet is an immutable set of keys of one issuer.
type keySet struct {
	// generation differs between any two sets that an issuer ever had in this
	// process. Cached tokens remember it.
	generation uint64
	keys       []*verifyKey
	// named is true where a token picks its key by kid; else every key is tried.
	named bool
	// skipped counts keys that were offered and can't be used.
	skipped int
	// fetched is when the source last said that these are the keys.
	fetched time.Time
	// until is when the set of a JWKS is too old to be believed.
	until time.Time
}

// usable reports whether the set may still be used at now.
func (s *keySet) usable(now time.Time) bool {
	return s != nil && now.Before(s.until)
}

// candidates are the keys that a token with this kid may have been signed with.
// A set of several keys needs a kid: without that rule a token without one is
// tried against every key, those for other uses included. A single key without
// a name of its own answers to any.
func (s *keySet) candidates(kid string) []*verifyKey {
	if s == nil {
		return nil
	}
	if !s.named {
		return s.keys
	}
	if len(s.keys) == 1 && (kid == "" || s.keys[0].id == "") {
		return s.keys
	}
	if kid == "" {
		return nil
	}
	var found []*verifyKey
	for _, k := range s.keys {
		if k.id == kid {
			found = append(found, k)
		}
	}
	return found
}

// publicFamily checks a public key of any origin and says which algorithms fit.
// The first of the names is the one to use where nothing else is said.
func publicFamily(key any) (names []string, err error) {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}, checkRSA(k)
	case *ecdsa.PublicKey:
		for name, a := range algorithms {
			if a.curve != k.Curve.Params().Name {
				continue
			}
			if _, err := k.ECDH(); err != nil {
				return nil, errors.New("the point is not on the curve")
			}
			return []string{name}, nil
		}
		return nil, fmt.Errorf("curve %s is not supported; use P-256, P-384 or P-521", k.Curve.Params().Name)
	case ed25519.PublicKey:
		if len(k) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("an Ed25519 key has %d bytes, this one %d", ed25519.PublicKeySize, len(k))
		}
		return []string{"EdDSA", "Ed25519"}, nil
	}
	return nil, fmt.Errorf("a key of type %T can't verify tokens; use RSA, EC or Ed25519", key)
}

// defaultAlgorithms is what a key is used for when neither the configuration
// nor the key itself says: one meaning, not a choice for the token.
func defaultAlgorithms(fitting []string) []string {
	if algorithms[fitting[0]].family == familyRSA {
		return fitting[:1]
	}
	return fitting
}

// bind makes a verifyKey of a checked public key. Configured and declared (the
// JWK's `alg`) each restrict what it is used for; empty means no restriction.
func bind(id string, key any, configured []string, declared string) (*verifyKey, error) {
	fitting, err := publicFamily(key)
	if err != nil {
		return nil, err
	}
	allowed := configured
	switch {
	case len(configured) == 0 && declared == "":
		allowed = defaultAlgorithms(fitting)
	case len(configured) == 0:
		allowed = fitting
	}
	k := &verifyKey{id: id, material: key}
	for _, name := range fitting {
		if slices.Contains(allowed, name) && (declared == "" || sameAlgorithm(declared, name)) {
			k.algorithms = append(k.algorithms, algorithms[name])
		}
	}
	if len(k.algorithms) == 0 {
		return nil, errUnusedAlgorithm
	}
	return k, nil
}

// errUnusedAlgorithm is a key that is sound but for nothing that the issuer is
// configured for.
var errUnusedAlgorithm = errors.New("the key is for none of the issuer's algorithms")

// sameAlgorithm treats EdDSA and Ed25519 as one: a JWK that declares either may
// be used for both names (RFC 9864 section 2.2).
func sameAlgorithm(declared, name string) bool {
	return declared == name || algorithms[declared].family == familyEdwards && algorithms[name].family == familyEdwards
}

func checkRSA(k *rsa.PublicKey) error {
	bits := k.N.BitLen()
	switch {
	case bits < minRSABits:
		return fmt.Errorf("the RSA key has %d bits, %d or more are needed", bits, minRSABits)
	case bits > maxRSABits:
		return fmt.Errorf("the RSA key has %d bits, at most %d are accepted", bits, maxRSABits)
	case k.N.Bit(0) == 0:
		return errors.New("the RSA modulus is even")
	case k.E < 3 || k.E%2 == 0:
		return fmt.Errorf("the RSA exponent %d is not an odd number of 3 or more", k.E)
	case hasROCAFingerprint(k.N):
		return errors.New("the RSA key was made by a chip with the ROCA flaw (CVE-2017-15361) and can be factored; make a new one")
	}
	return nil
}
