package bearer

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/ainative/portcullis/plugins/auth"
)

// FuzzScan: the pre-scan never panics, and what it takes has exactly one
// spelling, so that no two strings are the same token.
func FuzzScan(f *testing.F) {
	for _, c := range readCases(f) {
		f.Add(c.Token)
	}
	for _, s := range []string{"", ".", "..", "...", "eyJhbGciOiJIUzI1NiJ9..", "eyJhbGciOiJIUzI1NiJ9.e30.AA", "e30.e30.AB", "\n.\r.\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, token string) {
		parsed, denial := scan(token)
		if (parsed == nil) == (denial == nil) {
			t.Fatalf("%v and %v, want exactly one", parsed, denial)
		}
		if denial != nil {
			if denial.Status != 401 || denial.Reason == "" || denial.Detail != auth.DetailCredentials {
				t.Fatalf("denial %+v", denial)
			}
			if len(denial.Value) > 1000 || hasControl(denial.Value) {
				t.Fatalf("value %q is not fit for a log", denial.Value)
			}
			return
		}
		if got := parsed.signingInput + "." + rawURL.EncodeToString(parsed.signature); got != token {
			t.Fatalf("%q encodes back as %q", token, got)
		}
		if len(token) > maxTokenBytes || parsed.header.alg == "" || len(parsed.header.kid) > maxKeyIDBytes {
			t.Fatalf("taken: %q", token)
		}
		header, _, _ := strings.Cut(token, ".")
		text, _ := rawURL.DecodeString(header)
		var theirs map[string]any
		if err := json.Unmarshal(text, &theirs); err != nil || theirs["alg"] != parsed.header.alg {
			t.Fatalf("encoding/json reads alg %v of %q, we %q (%v)", theirs["alg"], text, parsed.header.alg, err)
		}
	})
}

// FuzzSigned signs whatever header and payload come, as an issuer whose users
// have a say in their claims would. What we accept, golang-jwt accepts with its
// strictest options, for the same subject.
func FuzzSigned(f *testing.F) {
	claims := mustJSON(f, goodClaims())
	for _, seed := range [][2]string{
		{`{"alg":"HS256","typ":"JWT"}`, claims},
		{`{"alg":"HS256","kid":"a","typ":"at+jwt"}`, `{"sub":9007199254740993,` + claims[1:]},
		{`{"alg":"HS256"}`, `{"exp":1770116400.5,"sub":"a","aud":["x"],"role":["A"],"scope":"a b"}`},
		{`{"alg":"none","alg":"HS256"}`, claims},
		{`{"alg":"HS256","crit":["b64"],"b64":false}`, claims},
		{`{"alg":"HS256"}`, `{"sub":"alice","SUB":"admin","exp":1770116400}`},
		{`{"alg":"HS256"}`, `{"exp":1e400}`},
		{`{"alg":"HS256"}`, `null`},
		{`{"alg":"HS256"}`, claims + `{}`},
		{`{"alg":"HS256"}`, `{"user":{"id":{}},"sub":{"id":1},"exp":"1","role":{"a":[1,{}]}}`},
	} {
		f.Add(seed[0], seed[1])
	}
	c := secretIssuer()
	c.Require = []string{"user.id"}
	c.Claims.Tier = "a.b.c"
	schemes := []*Scheme{newScheme(f, secretIssuer()), newScheme(f, c)}
	theirs := jwt.NewParser(jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired(), jwt.WithIssuedAt(),
		jwt.WithStrictDecoding(), jwt.WithLeeway(MaxLeeway), jwt.WithTimeFunc(fixedClock))
	f.Fuzz(func(t *testing.T, header, payload string) {
		token := signRaw(t, jwt.SigningMethodHS256, []byte(testSecret), header, payload)
		if len(token) > 2*maxTokenBytes {
			return
		}
		for _, s := range schemes {
			p, denial, err := s.Authenticate(context.Background(), bearerOf(token))
			if err != nil && !errors.Is(err, auth.ErrNotMine) {
				t.Fatalf("failure %v", err)
			}
			if p == nil {
				if denial == nil && err == nil {
					t.Fatal("no result")
				}
				continue
			}
			parsed, err := theirs.Parse(token, func(*jwt.Token) (any, error) { return []byte(testSecret), nil })
			if err != nil {
				t.Fatalf("accepted %q %q, golang-jwt says %v", header, payload, err)
			}
			if sub, ok := parsed.Claims.(jwt.MapClaims)["sub"].(string); ok && sub != p.Subject {
				t.Fatalf("subject %q, golang-jwt reads %q", p.Subject, sub)
			}
			for _, text := range append(append([]string{p.Subject, p.Tier, p.TokenID, p.Credential, p.Owner}, p.Roles...), p.Scopes...) {
				if hasControl(text) {
					t.Fatalf("a control character in %q", text)
				}
			}
			if p.ExpiresAt.After(testNow.Add(DefaultMaxLifetime+DefaultLeeway+time.Hour)) || p.Owner == "" || p.Credential == "" {
				t.Fatalf("principal %+v", p)
			}
		}
	})
}

// FuzzJWKS: the reader never panics, and each key it takes is one that policy
// allows.
func FuzzJWKS(f *testing.F) {
	k := testKeys()
	f.Add([]byte(keySetOf(jwkOf(f, "a", k.p256), jwkOf(f, "b", k.rsa), jwkOf(f, "c", k.ed), jwkOf(f, "d", k.p384), jwkOf(f, "e", k.p521))))
	f.Add([]byte(keySetOf(jwkOf(f, "a", k.rsa1024), `{"kty":"oct","k":"AAAA"}`, `{}`, `7`)))
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"","y":""},{"kty":"OKP","crv":"Ed25519","x":"AA"}]}`))
	f.Add([]byte(`{"error":"x"}`))
	f.Add([]byte(`{"keys":[]}`))
	f.Add([]byte(`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB","use":"enc","key_ops":["sign"],"alg":"RS256","kid":"a\u0000"}]}`))
	for _, c := range readCases(f) {
		switch c.KeyType {
		case "jwks":
			f.Add([]byte(c.Key))
		case "jwk":
			f.Add([]byte(`{"keys":[` + string(c.Key) + `]}`))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, configured := range [][]string{nil, {"ES256", "PS256"}} {
			read, err := readJWKS(data, configured)
			if err != nil {
				continue
			}
			if len(read.keys) == 0 || len(read.keys)+len(read.skipped) > maxJWKSKeys || len(read.public) != len(read.keys) {
				t.Fatalf("%d keys, %d public, %d skipped", len(read.keys), len(read.public), len(read.skipped))
			}
			for i, key := range read.keys {
				if _, err := publicFamily(key.material); err != nil {
					t.Fatalf("key %q: %v", key.id, err)
				}
				if len(key.algorithms) == 0 || len(key.id) > maxKeyIDBytes || hasControl(key.id) || i > 0 && key.id < read.keys[i-1].id {
					t.Fatalf("key %+v", key)
				}
				for _, a := range key.algorithms {
					if a.family == familyHMAC || configured != nil && !slices.Contains(configured, a.name) {
						t.Fatalf("key %q may be used for %s", key.id, a.name)
					}
					// A verification by it must not panic.
					_ = a.method.Verify("a.b", make([]byte, 64), key.material)
				}
			}
			again, err := readJWKS([]byte(mustJSON(t, storedKeys{Keys: read.public})), configured)
			if err != nil || len(again.keys) != len(read.keys) {
				t.Fatalf("what is stored reads back as %v, %v", again, err)
			}
		}
	})
}

// FuzzPEM: the reader of PEM never panics.
func FuzzPEM(f *testing.F) {
	k := testKeys()
	f.Add(publicPEM(f, k.p256))
	f.Add(append(publicPEM(f, k.rsa), publicPEM(f, k.ed)...))
	f.Add([]byte("-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----"))
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"))
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, err := parsePEM(data, nil)
		if err == nil && (len(keys) == 0 || len(keys) > maxPEMKeys) {
			t.Fatalf("%d keys", len(keys))
		}
	})
}
