package mint_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/auth"
	"github.com/ainative/portcullis/plugins/auth/bearer"
	"github.com/ainative/portcullis/plugins/auth/bearer/mint"
)

func privateKey(t *testing.T, key any) plugins.Secret {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return plugins.NewSecret(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
}

func must[T any](t *testing.T) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// What is signed is taken by the issuer that it is signed for, whatever the key
// and wherever the issuer has its claims.
func TestSignedTokensAreTaken(t *testing.T) {
	secret := plugins.NewSecret(strings.Repeat("s", 64))
	rsaKey := must[*rsa.PrivateKey](t)(rsa.GenerateKey(rand.Reader, 2048))
	for _, tc := range []struct {
		name      string
		signer    mint.SignerConfig
		issuer    bearer.IssuerConfig
		alg       string
		keyMember string
	}{
		{"secret", mint.SignerConfig{Secret: secret}, bearer.IssuerConfig{}, "HS256", ""},
		{"long secret", mint.SignerConfig{Secret: secret, Algorithms: []string{"HS512"}}, bearer.IssuerConfig{}, "HS512", ""},
		{"Ed25519", mint.SignerConfig{PrivateKey: privateKey(t, ed25519.NewKeyFromSeed(make([]byte, 32)))}, bearer.IssuerConfig{}, "EdDSA", "x"},
		{"P-256", mint.SignerConfig{PrivateKey: privateKey(t, must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)))}, bearer.IssuerConfig{}, "ES256", "y"},
		{"P-521", mint.SignerConfig{PrivateKey: privateKey(t, must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P521(), rand.Reader)))}, bearer.IssuerConfig{}, "ES512", "y"},
		{"RSA", mint.SignerConfig{PrivateKey: privateKey(t, rsaKey)}, bearer.IssuerConfig{}, "RS256", "n"},
		{"RSA-PSS", mint.SignerConfig{PrivateKey: privateKey(t, rsaKey), Algorithms: []string{"PS384"}}, bearer.IssuerConfig{}, "PS384", "n"},
		{"everything configured", mint.SignerConfig{Secret: secret}, bearer.IssuerConfig{
			Iss: "https://id.example.com", Audiences: []string{"orders", "other"}, Types: []string{"at+jwt"}, Require: []string{"tid", "user.id", "sid"},
			Claims: bearer.ClaimPaths{Subject: "user.id", Role: "realm.roles", Tier: "plan", Scope: "user.scopes", TokenID: "tid"},
		}, "HS256", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.signer.Iss, tc.signer.Types, tc.signer.Claims = tc.issuer.Iss, tc.issuer.Types, tc.issuer.Claims
			if len(tc.issuer.Audiences) != 0 {
				tc.signer.Audience = tc.issuer.Audiences[0]
			}
			s, err := mint.NewSigner(tc.signer)
			if err != nil {
				t.Fatal(err)
			}
			tc.issuer.Name, tc.issuer.Secret, tc.issuer.PublicKey, tc.issuer.Algorithms = "main", tc.signer.Secret, s.PublicKey(), tc.signer.Algorithms
			v, err := bearer.New(bearer.Config{Issuers: []bearer.IssuerConfig{tc.issuer}, DefaultRole: "NOBODY"})
			if err != nil {
				t.Fatal(err)
			}
			scheme := must[*bearer.Scheme](t)(v.Scheme())
			now := time.Now()
			token := must[string](t)(s.Sign(mint.AccessToken{
				Subject: "u1", Role: "ADMIN", Tier: "pro", Scopes: []string{"read", "write"}, ID: "j1", Family: "f1", IssuedAt: now, ExpiresAt: now.Add(time.Hour),
			}))
			p, denial, err := scheme.Authenticate(t.Context(), auth.Credential{Source: auth.FromAuthorization, Value: token})
			if p == nil {
				t.Fatalf("refused: %+v, %v", denial, err)
			}
			if p.Subject != "u1" || !slices.Equal(p.Roles, []string{"ADMIN"}) || p.Tier != "pro" || !slices.Equal(p.Scopes, []string{"read", "write"}) || p.TokenID != "j1" {
				t.Errorf("got %+v", p)
			}
			found, _, err := scheme.Renewable(t.Context(), token, 0)
			if err != nil || found == nil || found.Family != "f1" || found.Revoked {
				t.Errorf("got %+v, %v", found, err)
			}
			shown := must[*bearer.Inspection](t)(bearer.Inspect(token))
			if shown.Algorithm != tc.alg {
				t.Errorf("got %s, want %s", shown.Algorithm, tc.alg)
			}

			var set struct {
				Keys []map[string]string `json:"keys"`
			}
			if err := json.Unmarshal(s.Keys(), &set); err != nil {
				t.Fatal(err)
			}
			if !s.Asymmetric() {
				if len(set.Keys) != 0 || s.PublicKey() != nil {
					t.Errorf("a secret has the keys %v", set.Keys)
				}
				return
			}
			if len(set.Keys) != 1 || set.Keys[0]["kid"] != shown.KeyID || set.Keys[0]["alg"] != tc.alg || set.Keys[0]["use"] != "sig" || set.Keys[0][tc.keyMember] == "" {
				t.Errorf("got the keys %v for kid %s", set.Keys, shown.KeyID)
			}
			if set.Keys[0]["d"] != "" {
				t.Error("the private key is published")
			}
		})
	}
}

func TestSignerRefuses(t *testing.T) {
	ed := privateKey(t, ed25519.NewKeyFromSeed(make([]byte, 32)))
	secret := plugins.NewSecret(strings.Repeat("s", 32))
	small := must[*rsa.PrivateKey](t)(rsa.GenerateKey(rand.Reader, 1024))
	for name, tc := range map[string]struct {
		config mint.SignerConfig
		want   string
	}{
		"nothing":            {mint.SignerConfig{}, "either `secret` or `private_key`"},
		"both":               {mint.SignerConfig{Secret: secret, PrivateKey: ed}, "either `secret` or `private_key`"},
		"short secret":       {mint.SignerConfig{Secret: secret, Algorithms: []string{"HS384"}}, "needs 48 or more"},
		"secret for RS256":   {mint.SignerConfig{Secret: secret, Algorithms: []string{"RS256"}}, "can't sign with RS256"},
		"Ed25519 for RS256":  {mint.SignerConfig{PrivateKey: ed, Algorithms: []string{"RS256"}}, "it is for EdDSA"},
		"no PEM":             {mint.SignerConfig{PrivateKey: secret}, "is not PEM"},
		"two keys":           {mint.SignerConfig{PrivateKey: plugins.NewSecret(ed.Reveal() + ed.Reveal())}, "more than one"},
		"a public key":       {mint.SignerConfig{PrivateKey: plugins.NewSecret("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")}, "unencrypted PRIVATE KEY"},
		"rubbish in the PEM": {mint.SignerConfig{PrivateKey: plugins.NewSecret("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")}, "reading private_key"},
		"1024 bits":          {mint.SignerConfig{PrivateKey: privateKey(t, small)}, "2048 or more"},
		"P-224":              {mint.SignerConfig{PrivateKey: privateKey(t, must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P224(), rand.Reader)))}, "use P-256"},
	} {
		if _, err := mint.NewSigner(tc.config); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q in it", name, err, tc.want)
		} else if strings.Contains(err.Error(), "ssss") {
			t.Errorf("%s: the message has the secret: %v", name, err)
		}
	}
}

// Keys are taken in the older forms too.
func TestSignerReadsOlderForms(t *testing.T) {
	rsaKey := must[*rsa.PrivateKey](t)(rsa.GenerateKey(rand.Reader, 2048))
	ecKey := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	for kind, der := range map[string][]byte{
		"RSA PRIVATE KEY": x509.MarshalPKCS1PrivateKey(rsaKey), "EC PRIVATE KEY": must[[]byte](t)(x509.MarshalECPrivateKey(ecKey)),
	} {
		text := string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
		if s, err := mint.NewSigner(mint.SignerConfig{PrivateKey: plugins.NewSecret(text)}); err != nil || !s.Asymmetric() {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

// What is not known is left out, not written empty.
func TestSignedTokensHoldNoMore(t *testing.T) {
	ed := privateKey(t, ed25519.NewKeyFromSeed(make([]byte, 32)))
	for name, c := range map[string]mint.SignerConfig{
		"secret": {Secret: plugins.NewSecret(strings.Repeat("s", 32))}, "key": {PrivateKey: ed},
	} {
		s, err := mint.NewSigner(c)
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		token := must[string](t)(s.Sign(mint.AccessToken{Subject: "u1", IssuedAt: now, ExpiresAt: now.Add(time.Hour)}))
		shown := must[*bearer.Inspection](t)(bearer.Inspect(token))
		var header, claims map[string]any
		if err := json.Unmarshal(shown.Header, &header); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(shown.Claims, &claims); err != nil {
			t.Fatal(err)
		}
		for _, left := range []string{"iss", "aud", "role", "tier", "scope", "jti"} {
			if v, there := claims[left]; there {
				t.Errorf("%s: got %s %v", name, left, v)
			}
		}
		if _, named := header["kid"]; named != s.Asymmetric() {
			t.Errorf("%s: got header %v", name, header)
		}
	}
}
