package mint

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/ainative/portcullis/plugins"
)

func clock() time.Time { return time.Date(2026, 2, 3, 10, 0, 0, 0, time.UTC) }

func pemOf(t *testing.T, key any) plugins.Secret {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return plugins.NewSecret(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
}

func TestMint(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	secret := strings.Repeat("s", 32)
	p := &plugins.Principal{Subject: "u1", Roles: []string{"USER"}, Scheme: plugins.SchemeAPIKey, KeyID: "k1", Scopes: []string{"read"}}
	for name, tc := range map[string]struct {
		config Config
		key    any
		alg    string
	}{
		"HS256": {Config{Secret: plugins.NewSecret(secret)}, []byte(secret), "HS256"},
		"EdDSA": {Config{PrivateKey: pemOf(t, private)}, public, "EdDSA"},
	} {
		t.Run(name, func(t *testing.T) {
			tc.config.Audience, tc.config.Clock = "orders", clock
			m, err := New(tc.config)
			if err != nil {
				t.Fatal(err)
			}
			signed, err := m.Mint(p, "pro")
			if err != nil {
				t.Fatal(err)
			}
			parsed, err := jwt.Parse(signed, func(*jwt.Token) (any, error) { return tc.key, nil },
				jwt.WithValidMethods([]string{tc.alg}), jwt.WithAudience("orders"), jwt.WithIssuer("portcullis"),
				jwt.WithExpirationRequired(), jwt.WithTimeFunc(func() time.Time { return clock().Add(59 * time.Second) }))
			if err != nil {
				t.Fatal(err)
			}
			claims := parsed.Claims.(jwt.MapClaims)
			for name, want := range map[string]any{"sub": "u1", "tier": "pro", "scheme": "api_key", "key_id": "k1"} {
				if claims[name] != want {
					t.Errorf("%s: got %v, want %v", name, claims[name], want)
				}
			}
			if lifetime := claims["exp"].(float64) - claims["iat"].(float64); lifetime != 60 {
				t.Errorf("got a lifetime of %v s, want 60", lifetime)
			}
		})
	}
	t.Run("the key set has the public key", func(t *testing.T) {
		m, err := New(Config{PrivateKey: pemOf(t, private), Audience: "a"})
		if err != nil {
			t.Fatal(err)
		}
		var set struct{ Keys []map[string]string }
		if err := json.Unmarshal(m.Keys(), &set); err != nil || len(set.Keys) != 1 {
			t.Fatalf("got %s", m.Keys())
		}
		if x, _ := base64.RawURLEncoding.DecodeString(set.Keys[0]["x"]); !public.Equal(ed25519.PublicKey(x)) || set.Keys[0]["d"] != "" {
			t.Errorf("got %v, want the public key alone", set.Keys[0])
		}
	})
}

func TestNewRefuses(t *testing.T) {
	elliptical, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	long := plugins.NewSecret(strings.Repeat("s", 32))
	for name, tc := range map[string]struct {
		config Config
		want   string
	}{
		"no audience":   {Config{Secret: long}, "needs an audience"},
		"no key":        {Config{Audience: "a"}, "either `secret` or `private_key`"},
		"both":          {Config{Audience: "a", Secret: long, PrivateKey: long}, "either `secret` or `private_key`"},
		"short secret":  {Config{Audience: "a", Secret: plugins.NewSecret("short")}, "32 or more"},
		"no PEM":        {Config{Audience: "a", PrivateKey: long}, "not PEM"},
		"another curve": {Config{Audience: "a", PrivateKey: pemOf(t, elliptical)}, "not Ed25519"},
		"long life":     {Config{Audience: "a", Secret: long, Lifetime: time.Hour}, "from 1s to 5m"},
		"negative life": {Config{Audience: "a", Secret: long, Lifetime: -time.Hour}, "from 1s to 5m"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := New(tc.config); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}
