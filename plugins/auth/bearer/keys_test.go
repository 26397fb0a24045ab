package bearer

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"math/big"
	"slices"
	"strings"
	"testing"
)

// modulus is odd, of so many bits, and no product that anybody knows.
func modulus(bits int) *big.Int {
	n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
	return n.Add(n, big.NewInt(1))
}

func TestPublicFamily(t *testing.T) {
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		key  any
		want string // an error
	}{
		{"RSA of 2048 bits", &rsa.PublicKey{N: modulus(2048), E: 65537}, ""},
		{"RSA of 2047 bits", &rsa.PublicKey{N: modulus(2047), E: 65537}, "2048 or more"},
		{"RSA of 8192 bits", &rsa.PublicKey{N: modulus(8192), E: 65537}, ""},
		{"RSA of 8193 bits", &rsa.PublicKey{N: modulus(8193), E: 65537}, "at most 8192"},
		{"RSA with exponent 3", &rsa.PublicKey{N: modulus(2048), E: 3}, ""},
		{"RSA with exponent 2", &rsa.PublicKey{N: modulus(2048), E: 2}, "exponent 2"},
		{"RSA with exponent 1", &rsa.PublicKey{N: modulus(2048), E: 1}, "exponent 1"},
		{"RSA of an even modulus", &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 2047), E: 65537}, "even"},
		//nolint:staticcheck // the ways that are not deprecated make no bad keys
		{"a point off the curve", &ecdsa.PublicKey{Curve: elliptic.P256(), X: big.NewInt(1), Y: big.NewInt(1)}, "not on the curve"},
		{"P-224", p224.Public(), "not supported"},
		{"Ed25519 of 31 bytes", make(ed25519.PublicKey, 31), "has 32 bytes, this one 31"},
		{"a secret", []byte(testSecret), "can't verify tokens"},
	} {
		if _, err := publicFamily(tc.key); (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", tc.name, err, tc.want)
		}
	}
}

// Ed25519 is the new name of what EdDSA means for these keys: a key that declares
// one is for both.
func TestBindEdwards(t *testing.T) {
	k := testKeys()
	for _, declared := range []string{"", "EdDSA", "Ed25519"} {
		bound, err := bind("a", k.ed.Public(), nil, declared)
		if err != nil || bound.algorithm("EdDSA") == nil || bound.algorithm("Ed25519") == nil {
			t.Errorf("declared %q: got %+v, %v, want both names", declared, bound, err)
		}
	}
}

func TestCandidates(t *testing.T) {
	set := func(named bool, ids ...string) *keySet {
		s := &keySet{named: named}
		for _, id := range ids {
			s.keys = append(s.keys, &verifyKey{id: id})
		}
		return s
	}
	for _, tc := range []struct {
		name string
		set  *keySet
		kid  string
		want []int
	}{
		{"none", nil, "a", nil},
		{"one of two", set(true, "a", "b"), "a", []int{0}},
		{"the last", set(true, "a", "b"), "b", []int{1}},
		{"two of one name", set(true, "a", "b", "b", "c"), "b", []int{1, 2}},
		{"the last two", set(true, "a", "b", "b"), "b", []int{1, 2}},
		{"nobody's", set(true, "a", "c"), "b", nil},
		{"no kid, several keys", set(true, "a", "b"), "", nil},
		{"no kid, several keys without names", set(true, "", "", "b"), "", nil},
		{"no kid, one key", set(true, "a"), "", []int{0}},
		{"one key without a name", set(true, ""), "a", []int{0}},
		{"another kid, one key", set(true, "a"), "b", nil},
		{"keys of a file", set(false, "", ""), "a", []int{0, 1}},
	} {
		var got []int
		for _, k := range tc.set.candidates(tc.kid) {
			got = append(got, slices.Index(tc.set.keys, k))
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestRetryPause(t *testing.T) {
	for failures := range 100 {
		most := min(maxRetry, firstRetry<<min(failures, 5))
		for range 20 {
			if pause := retryPause(failures); pause > most || pause <= most/2-1 {
				t.Fatalf("after %d failures: %s, want %s to %s", failures, pause, most/2, most)
			}
		}
	}
}

func TestRefreshPause(t *testing.T) {
	s := &jwks{interval: MinRefreshInterval}
	for range 1000 {
		if pause := s.refreshPause(); pause+fetchTimeout > s.interval || pause < s.interval*4/5-fetchTimeout {
			t.Fatalf("got %s for an interval of %s", pause, s.interval)
		}
	}
}

func TestSecretsHealth(t *testing.T) {
	s := newScheme(t, secretIssuer())
	h := s.verifier.Health()[0]
	if h.Source != "secret" || h.Keys != 1 || h.Age != 0 || !h.FetchedAt.IsZero() || !h.Usable {
		t.Errorf("health %+v, want one key of no age", h)
	}
	if err := s.verifier.Close(); err != nil { // never started
		t.Error(err)
	}
}

func TestPEMBounds(t *testing.T) {
	k := testKeys()
	ec, rsaKey := publicPEM(t, k.p256), publicPEM(t, k.rsa)
	if _, err := parsePEM(append(slices.Clone(ec), bytes.Repeat([]byte("\n"), maxPEMBytes-len(ec))...), nil); err != nil {
		t.Errorf("the longest file: %v", err)
	}
	if keys, err := parsePEM(bytes.Repeat(ec, maxPEMKeys), nil); err != nil || len(keys) != maxPEMKeys {
		t.Errorf("the most keys: %d, %v", len(keys), err)
	}
	// Each algorithm is used by some key, whichever comes last.
	for _, both := range [][]byte{slices.Concat(ec, rsaKey), slices.Concat(rsaKey, ec)} {
		if _, err := parsePEM(both, []string{"ES256", "RS256"}); err != nil {
			t.Errorf("two keys for two algorithms: %v", err)
		}
	}
}
