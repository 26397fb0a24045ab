package bearer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/ainative/portcullis/plugins"
)

// testKeys are made once for all tests: RSA keys are slow to make.
var testKeys = sync.OnceValue(func() (k struct {
	rsa, rsa2, rsa1024 *rsa.PrivateKey
	p256, p256b        *ecdsa.PrivateKey
	p384, p521, p224   *ecdsa.PrivateKey
	ed, ed2            ed25519.PrivateKey
},
) {
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	var err error
	k.rsa, err = rsa.GenerateKey(rand.Reader, 2048)
	must(err)
	k.rsa2, err = rsa.GenerateKey(rand.Reader, 2048)
	must(err)
	k.rsa1024, err = rsa.GenerateKey(rand.Reader, 1024)
	must(err)
	for _, c := range []struct {
		key   **ecdsa.PrivateKey
		curve elliptic.Curve
	}{
		{&k.p256, elliptic.P256()},
		{&k.p256b, elliptic.P256()},
		{&k.p384, elliptic.P384()},
		{&k.p521, elliptic.P521()},
		{&k.p224, elliptic.P224()},
	} {
		*c.key, err = ecdsa.GenerateKey(c.curve, rand.Reader)
		must(err)
	}
	_, k.ed, err = ed25519.GenerateKey(rand.Reader)
	must(err)
	_, k.ed2, err = ed25519.GenerateKey(rand.Reader)
	must(err)
	return k
})

func publicPEM(t testing.TB, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func keyIssuer(t testing.TB, key crypto.Signer, algorithms ...string) IssuerConfig {
	t.Helper()
	return IssuerConfig{Name: "idp", PublicKey: publicPEM(t, key), Algorithms: algorithms}
}

// signAs signs the good claims with a header that names alg.
func signAs(t testing.TB, method jwt.SigningMethod, key any, alg string) string {
	t.Helper()
	return signRaw(t, method, key, `{"alg":"`+alg+`"}`, mustJSON(t, goodClaims()))
}

func TestAlgorithms(t *testing.T) {
	k := testKeys()
	for _, tc := range []struct {
		name   string
		method jwt.SigningMethod
		key    crypto.Signer
		config []string
		alg    string
		want   string
	}{
		{"RS256 by default", jwt.SigningMethodRS256, k.rsa, nil, "RS256", "ok"},
		{"RS384 when configured", jwt.SigningMethodRS384, k.rsa, []string{"RS384"}, "RS384", "ok"},
		{"RS512 when configured", jwt.SigningMethodRS512, k.rsa, []string{"RS512"}, "RS512", "ok"},
		{"PS256 when configured", jwt.SigningMethodPS256, k.rsa, []string{"PS256"}, "PS256", "ok"},
		{"PS384 when configured", jwt.SigningMethodPS384, k.rsa, []string{"PS384"}, "PS384", "ok"},
		{"PS512 when configured", jwt.SigningMethodPS512, k.rsa, []string{"PS512"}, "PS512", "ok"},
		{"ES256 by its curve", jwt.SigningMethodES256, k.p256, nil, "ES256", "ok"},
		{"ES384 by its curve", jwt.SigningMethodES384, k.p384, nil, "ES384", "ok"},
		{"ES512 by its curve", jwt.SigningMethodES512, k.p521, nil, "ES512", "ok"},
		{"EdDSA", jwt.SigningMethodEdDSA, k.ed, nil, "EdDSA", "ok"},
		{"Ed25519, its name since RFC 9864", jwt.SigningMethodEdDSA, k.ed, nil, "Ed25519", "ok"},
		{"ED25519, no name at all", jwt.SigningMethodEdDSA, k.ed, nil, "ED25519", "token_algorithm_refused"},

		{"PS256 on an RS256 key", jwt.SigningMethodPS256, k.rsa, nil, "PS256", "token_algorithm_refused"},
		{"RS512 on an RS256 key", jwt.SigningMethodRS512, k.rsa, nil, "RS512", "token_algorithm_refused"},
		{"RS512 signature on a PS512 key", jwt.SigningMethodRS512, k.rsa, []string{"PS512"}, "RS512", "token_algorithm_refused"},
		{"RS512 signature called PS512", jwt.SigningMethodRS512, k.rsa, []string{"PS512"}, "PS512", "token_signature_invalid"},
		{"ES256 called RS256", jwt.SigningMethodES256, k.p256, nil, "RS256", "token_algorithm_refused"},
		{"ES384 on a P-256 key", jwt.SigningMethodES256, k.p256, nil, "ES384", "token_algorithm_refused"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newScheme(t, keyIssuer(t, tc.key, tc.config...))
			if got := outcome(t, s, signAs(t, tc.method, tc.key, tc.alg)); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}

	t.Run("HMAC sizes", func(t *testing.T) {
		for alg, method := range map[string]jwt.SigningMethod{
			"HS256": jwt.SigningMethodHS256, "HS384": jwt.SigningMethodHS384, "HS512": jwt.SigningMethodHS512,
		} {
			c := secretIssuer()
			c.Algorithms = []string{alg}
			if got := outcome(t, newScheme(t, c), signAs(t, method, []byte(testSecret), alg)); got != "ok" {
				t.Errorf("%s: got %q, want ok", alg, got)
			}
		}
	})
	t.Run("HS512 where HS256 is configured", func(t *testing.T) {
		s := newScheme(t, secretIssuer())
		if got := outcome(t, s, signAs(t, jwt.SigningMethodHS512, []byte(testSecret), "HS512")); got != "token_algorithm_refused" {
			t.Errorf("got %q, want token_algorithm_refused", got)
		}
	})
	t.Run("another key of the same kind", func(t *testing.T) {
		for name, tc := range map[string]struct {
			method jwt.SigningMethod
			has    crypto.Signer
			signer crypto.Signer
			alg    string
		}{
			"RSA":     {jwt.SigningMethodRS256, k.rsa, k.rsa2, "RS256"},
			"EC":      {jwt.SigningMethodES256, k.p256, k.p256b, "ES256"},
			"Ed25519": {jwt.SigningMethodEdDSA, k.ed, k.ed2, "EdDSA"},
		} {
			s := newScheme(t, keyIssuer(t, tc.has))
			if got := outcome(t, s, signAs(t, tc.method, tc.signer, tc.alg)); got != "token_signature_invalid" {
				t.Errorf("%s: got %q, want token_signature_invalid", name, got)
			}
		}
	})
}

// TestKeyConfusion is CVE-2015-9235 and its kin: the text of a public key used
// as an HMAC secret.
func TestKeyConfusion(t *testing.T) {
	k := testKeys()
	for name, key := range map[string]crypto.Signer{"RSA": k.rsa, "EC": k.p256, "Ed25519": k.ed} {
		text := publicPEM(t, key)
		block, _ := pem.Decode(text)
		for form, secret := range map[string][]byte{
			"PEM": text, "PEM without the last line break": []byte(strings.TrimSpace(string(text))), "DER": block.Bytes,
		} {
			t.Run(name+" "+form, func(t *testing.T) {
				s := newScheme(t, keyIssuer(t, key))
				for alg, method := range map[string]jwt.SigningMethod{
					"HS256": jwt.SigningMethodHS256, "HS384": jwt.SigningMethodHS384, "HS512": jwt.SigningMethodHS512,
				} {
					if got := outcome(t, s, signAs(t, method, secret, alg)); got != "token_algorithm_refused" {
						t.Errorf("%s: got %q, want token_algorithm_refused", alg, got)
					}
				}
			})
		}
	}
}

func TestAlgorithmNone(t *testing.T) {
	payload := base64.RawURLEncoding.EncodeToString([]byte(mustJSON(t, goodClaims())))
	s := newScheme(t, secretIssuer())
	asymmetric := newScheme(t, keyIssuer(t, testKeys().p256))
	for _, alg := range []string{"none", "None", "NONE", "nOnE", "foo", "hs256", "HS256 ", ""} {
		header := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"` + alg + `"}`))
		for _, s := range []*Scheme{s, asymmetric} {
			if got := outcome(t, s, header+"."+payload+".AA"); got != "token_algorithm_refused" {
				t.Errorf("alg %q: got %q, want token_algorithm_refused", alg, got)
			}
			if got := outcome(t, s, header+"."+payload+"."); got != "token_malformed" {
				t.Errorf("alg %q without signature: got %q, want token_malformed", alg, got)
			}
		}
	}
}

// TestPSSSalt holds RFC 7518 section 3.5, which golang-jwt doesn't.
func TestPSSSalt(t *testing.T) {
	k := testKeys()
	long := &jwt.SigningMethodRSAPSS{
		SigningMethodRSA: jwt.SigningMethodPS256.SigningMethodRSA,
		Options:          &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthAuto},
	}
	token := signAs(t, long, k.rsa, "PS256")
	if _, err := jwt.Parse(token, func(*jwt.Token) (any, error) { return k.rsa.Public(), nil }, jwt.WithTimeFunc(fixedClock)); err != nil {
		t.Fatalf("golang-jwt refuses the token, so this test tests nothing: %v", err)
	}
	if got := outcome(t, newScheme(t, keyIssuer(t, k.rsa, "PS256")), token); got != "token_signature_invalid" {
		t.Errorf("got %q, want token_signature_invalid", got)
	}
}

func TestECDSASignatureForms(t *testing.T) {
	k := testKeys()
	s := newScheme(t, keyIssuer(t, k.p256))
	token := signAs(t, jwt.SigningMethodES256, k.p256, "ES256")
	input := token[:strings.LastIndexByte(token, '.')]
	sig, err := rawURL.DecodeString(token[len(input)+1:])
	if err != nil {
		t.Fatal(err)
	}
	n := elliptic.P256().Params().N
	join := func(r, s *big.Int) []byte {
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	}
	r, ss := new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])
	digest := crypto.SHA256.New()
	digest.Write([]byte(input))
	der, err := ecdsa.SignASN1(rand.Reader, k.p256, digest.Sum(nil))
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		sig  []byte
		want string
	}{
		{"as it is", sig, "ok"},
		{"ASN.1", der, "token_signature_invalid"},
		{"r = s = 0", make([]byte, 64), "token_signature_invalid"},
		{"r = s = n", join(n, n), "token_signature_invalid"},
		{"cut short", sig[:63], "token_signature_invalid"},
		{"extended", append(append([]byte{}, sig...), 0), "token_signature_invalid"},
		{"r and s swapped", join(ss, r), "token_signature_invalid"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := outcome(t, s, input+"."+rawURL.EncodeToString(tc.sig)); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
	t.Run("the other s is the same credential", func(t *testing.T) {
		other := input + "." + rawURL.EncodeToString(join(r, new(big.Int).Sub(n, ss)))
		if got, want := mustPrincipal(t, s, other).Credential, mustPrincipal(t, s, token).Credential; got != want {
			t.Errorf("credential %q, want %q", got, want)
		}
	})
}

func TestEverySignatureBitCounts(t *testing.T) {
	k := testKeys()
	for name, tc := range map[string]struct {
		issuer IssuerConfig
		token  string
	}{
		"HS256": {secretIssuer(), hs256Claims(t, goodClaims())},
		"RS256": {keyIssuer(t, k.rsa), signAs(t, jwt.SigningMethodRS256, k.rsa, "RS256")},
		"ES256": {keyIssuer(t, k.p256), signAs(t, jwt.SigningMethodES256, k.p256, "ES256")},
		"EdDSA": {keyIssuer(t, k.ed), signAs(t, jwt.SigningMethodEdDSA, k.ed, "EdDSA")},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScheme(t, tc.issuer)
			at := strings.LastIndexByte(tc.token, '.') + 1
			sig, err := rawURL.DecodeString(tc.token[at:])
			if err != nil {
				t.Fatal(err)
			}
			for i := range sig {
				bad := append([]byte{}, sig...)
				bad[i] ^= 1 << (i % 8)
				if got := outcome(t, s, tc.token[:at]+rawURL.EncodeToString(bad)); got != "token_signature_invalid" {
					t.Fatalf("byte %d changed: got %q, want token_signature_invalid", i, got)
				}
			}
			for _, bad := range [][]byte{sig[:len(sig)-1], append(append([]byte{}, sig...), 0)} {
				if got := outcome(t, s, tc.token[:at]+rawURL.EncodeToString(bad)); got != "token_signature_invalid" {
					t.Errorf("length %d: got %q, want token_signature_invalid", len(bad), got)
				}
			}
		})
	}
}

func TestPEM(t *testing.T) {
	k := testKeys()
	block := func(kind string, der []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	}
	private, err := x509.MarshalPKCS8PrivateKey(k.p256)
	if err != nil {
		t.Fatal(err)
	}
	even := &rsa.PublicKey{N: new(big.Int).Lsh(k.rsa.N, 1), E: 65537}
	evenDER, err := x509.MarshalPKIXPublicKey(even)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		pem  []byte
		algs []string
		want string
	}{
		{"PKIX", publicPEM(t, k.rsa), nil, ""},
		{"PKCS #1", block("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&k.rsa.PublicKey)), nil, ""},
		{"a certificate", block("CERTIFICATE", certificateOf(t, k.p256)), nil, ""},
		{"a broken certificate", block("CERTIFICATE", []byte{1}), nil, "parsing public_key"},
		{"the old and the new key", append(publicPEM(t, k.p256), publicPEM(t, k.p256b)...), nil, ""},
		{"empty but for space", []byte(" \n"), nil, "public_key is empty"},
		{"no PEM", []byte("c2VjcmV0"), nil, "is not PEM"},
		{"text before", append([]byte("key:\n"), publicPEM(t, k.rsa)...), nil, "is not PEM"},
		{"text after", append(publicPEM(t, k.rsa), "x"...), nil, "is not PEM"},
		{"line breaks lost", []byte(strings.ReplaceAll(string(publicPEM(t, k.p256)), "\n", " ")), nil, "broken PEM"},
		{"a private key", block("PRIVATE KEY", private), nil, "give the public half"},
		{"another block", block("CERTIFICATE REQUEST", nil), nil, "use PUBLIC KEY"},
		{"broken DER", block("PUBLIC KEY", []byte{1, 2, 3}), nil, "parsing public_key"},
		{"RSA of 1024 bits", publicPEM(t, k.rsa1024), nil, "1024 bits, 2048 or more are needed"},
		{"an even modulus", block("PUBLIC KEY", evenDER), nil, "modulus is even"},
		{"exponent 1", block("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&rsa.PublicKey{N: k.rsa.N, E: 1})), nil, "exponent 1"},
		{"P-224", publicPEM(t, k.p224), nil, "curve P-224 is not supported"},
		{"an algorithm of other keys", publicPEM(t, k.rsa), []string{"ES256"}, "don't fit the public_key"},
		{"an algorithm of another curve", publicPEM(t, k.p384), []string{"ES256"}, "don't fit the public_key"},
		{"an algorithm too many", publicPEM(t, k.rsa), []string{"RS256", "EdDSA"}, "algorithm EdDSA fits no key"},
		{"five keys", []byte(strings.Repeat(string(publicPEM(t, k.ed)), 5)), nil, "more than 4 keys"},
		{"huge", []byte(strings.Repeat("x", maxPEMBytes+1)), nil, "at most"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := New(Config{Issuers: []IssuerConfig{{Name: "idp", PublicKey: tc.pem, Algorithms: tc.algs}}})
			switch {
			case tc.want == "" && err != nil:
				t.Errorf("got %v, want no error", err)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want) || !strings.HasPrefix(err.Error(), "issuer idp: ")):
				t.Errorf("got %v, want issuer idp: ...%s...", err, tc.want)
			}
		})
	}
	t.Run("either key of two", func(t *testing.T) {
		s := newScheme(t, IssuerConfig{Name: "idp", PublicKey: append(publicPEM(t, k.p256), publicPEM(t, k.p256b)...)})
		for _, key := range []*ecdsa.PrivateKey{k.p256, k.p256b} {
			if got := outcome(t, s, signAs(t, jwt.SigningMethodES256, key, "ES256")); got != "ok" {
				t.Errorf("got %q, want ok", got)
			}
		}
	})
	t.Run("a file that is not there", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "no.pem")
		_, err := New(Config{Issuers: []IssuerConfig{{Name: "idp", PublicKeyFile: path}}})
		if err == nil || !strings.Contains(err.Error(), "reading public_key") || !strings.Contains(err.Error(), path) {
			t.Errorf("got %v, want a sentence with the path", err)
		}
	})
}

// certificateOf is a self-signed certificate, long expired: only its key matters.
func certificateOf(t testing.TB, key crypto.Signer) []byte {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// TestROCA uses a modulus with the fingerprint of CVE-2017-15361: both primes
// are of the form k*M + 65537^a mod M.
func TestROCA(t *testing.T) {
	m := big.NewInt(1)
	for _, p := range rocaPrimes {
		m.Mul(m, new(big.Int).SetUint64(p))
	}
	var n *big.Int
	for exponent := int64(12345); n == nil || n.Bit(0) == 0; exponent++ {
		n = new(big.Int).Exp(big.NewInt(65537), big.NewInt(exponent), m)
		n.Add(n, new(big.Int).Lsh(m, uint(2048-m.BitLen())))
	}
	if _, err := publicFamily(&rsa.PublicKey{N: n, E: 65537}); err == nil || !strings.Contains(err.Error(), "ROCA") {
		t.Errorf("got %v, want a sentence about ROCA", err)
	}
	if hasROCAFingerprint(testKeys().rsa.N) {
		t.Error("an honest modulus is taken for a flawed one")
	}
}

func TestSecretSizes(t *testing.T) {
	for _, tc := range []struct {
		alg  string
		size int
		want string
	}{
		{"HS256", 0, "no key"},
		{"HS256", 31, "secret has 31 bytes, HS256 needs 32 or more; make one with: openssl rand -base64 48"},
		{"HS256", 32, ""},
		{"HS384", 47, "secret has 47 bytes, HS384 needs 48 or more"},
		{"HS384", 48, ""},
		{"HS512", 63, "secret has 63 bytes, HS512 needs 64 or more"},
		{"HS512", 64, ""},
	} {
		_, err := New(Config{Issuers: []IssuerConfig{{
			Name: "main", Secret: plugins.NewSecret(strings.Repeat("k", tc.size)), Algorithms: []string{tc.alg},
		}}})
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s with %d bytes: got %v, want %q", tc.alg, tc.size, err, tc.want)
		}
	}
}
