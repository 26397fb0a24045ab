package caddymodule_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
)

// rotatingIssuer is an issuer whose key set grows.
type rotatingIssuer struct {
	*httptest.Server
	keys    *jwkset.MemoryJWKSet
	fetches atomic.Int64
}

func newRotatingIssuer(t *testing.T) *rotatingIssuer {
	t.Helper()
	i := &rotatingIssuer{keys: jwkset.NewMemoryStorage()}
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.fetches.Add(1)
		set, err := i.keys.JSONPublic(r.Context())
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write(set)
	}))
	t.Cleanup(i.Close)
	return i
}

// newKey makes a key, published if that is wanted, and a token that it signed.
func (i *rotatingIssuer) newKey(t *testing.T, kid string, published bool) (authorization string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if published {
		jwk, err := jwkset.NewJWKFromKey(key, jwkset.JWKOptions{Metadata: jwkset.JWKMetadataOptions{KID: kid}})
		if err != nil {
			t.Fatal(err)
		}
		if err := i.keys.KeyWrite(t.Context(), jwk); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Now()
	token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"sub": "u1", "jti": "t1", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()})
	token.Header["kid"] = kid
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return "Bearer " + text
}

// Issue 18: after a stranger's token with an unknown kid, a good token under a key that
// is new was 401 for half a minute.
func TestKeyRotationBesideAStranger(t *testing.T) {
	issuer := newRotatingIssuer(t)
	first := issuer.newKey(t, "first", true)
	c := start(t, gatewayOptions("issuer remote {\n jwks "+issuer.URL+"\n }"), "gateway_errors\n gateway_auth {\n issuers remote\n failures off\n }\n respond ok")
	until(t, "fetching the keys", func() bool { return c.Get("/", "Authorization", first).Status == http.StatusOK })

	wantError(t, c.Get("/", "Authorization", issuer.newKey(t, "stranger", false)), 401, "Could not validate credentials")
	second := issuer.newKey(t, "second", true)
	fetches := issuer.fetches.Load()
	for range 50 {
		got := c.Get("/", "Authorization", second)
		wantError(t, got, 503, "Service unavailable")
		if wait, err := strconv.Atoi(got.Header.Get("Retry-After")); err != nil || wait < 1 || wait > 30 {
			t.Errorf("got Retry-After %q, want 1 to 30", got.Header.Get("Retry-After"))
		}
		if got := c.Get("/", "Authorization", first); got.Status != http.StatusOK {
			t.Errorf("a key that is known: got %d %s", got.Status, got.Body)
		}
	}
	if n := issuer.fetches.Load(); n != fetches {
		t.Errorf("%d fetches for a kid that could not be asked for", n-fetches)
	}
}
