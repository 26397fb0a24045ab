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
	"fmt"
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
	bare := &plugins.Principal{Subject: "u2", Scheme: plugins.SchemeBearer}
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
			if lifetime := claims["exp"].(float64) - claims["iat"].(float64); lifetime != 60 || claims["iat"] != float64(clock().Unix()) {
				t.Errorf("got a lifetime of %v s from %v, want 60 from now", lifetime, claims["iat"])
			}
			if got, want := fmt.Sprint(claims["scopes"], claims["roles"]), "[read] [USER]"; got != want {
				t.Errorf("got scopes and roles %s, want %s", got, want)
			}
			// An upstream finds the key by its id; a shared secret has none.
			if kid, named := parsed.Header["kid"]; named != (tc.alg == "EdDSA") || named && kid == "" {
				t.Errorf("got kid %v", kid)
			}
			signed, err = m.Mint(bare, "free")
			if err != nil {
				t.Fatal(err)
			}
			parsed, _, err = jwt.NewParser().ParseUnverified(signed, jwt.MapClaims{})
			if err != nil {
				t.Fatal(err)
			}
			claims = parsed.Claims.(jwt.MapClaims)
			for _, name := range []string{"scopes", "key_id"} {
				if v, there := claims[name]; there {
					t.Errorf("a caller without %s: got %v", name, v)
				}
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
		signed, err := m.Mint(p, "pro")
		if err != nil {
			t.Fatal(err)
		}
		// Without a clock the token is of now.
		parsed, err := jwt.Parse(signed, func(*jwt.Token) (any, error) { return public, nil }, jwt.WithExpirationRequired(), jwt.WithIssuedAt())
		if err != nil || parsed.Header["kid"] != set.Keys[0]["kid"] {
			t.Errorf("got %v, kid %v, want that of the set, %v", err, parsed.Header["kid"], set.Keys[0]["kid"])
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
		"not PKCS #8":   {Config{Audience: "a", PrivateKey: plugins.NewSecret("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")}, "reading the private_key"},
		"too long":      {Config{Audience: "a", Secret: long, Lifetime: MaxLifetime + 1}, "from 1s to 5m"},
		"too short":     {Config{Audience: "a", Secret: long, Lifetime: time.Second - 1}, "from 1s to 5m"},
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

func TestLifetimes(t *testing.T) {
	for _, lifetime := range []time.Duration{time.Second, MaxLifetime} {
		if _, err := New(Config{Audience: "a", Secret: plugins.NewSecret(strings.Repeat("s", 32)), Lifetime: lifetime}); err != nil {
			t.Errorf("%s: %v", lifetime, err)
		}
	}
}
