package bearer

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
)

const providerURL = "https://idp.example/keys"

// provider is an identity provider without a network, so that its bad days run
// on the fake clock of a synctest bubble.
type provider struct {
	mu     sync.Mutex
	answer func(*http.Request) (*http.Response, error)
	asked  []string
}

func (p *provider) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	p.asked = append(p.asked, r.URL.String())
	answer := p.answer
	p.mu.Unlock()
	return answer(r)
}

func (p *provider) does(answer func(*http.Request) (*http.Response, error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = answer
}

func (p *provider) calls() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.asked)
}

func response(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
}

func serves(status int, body string) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) { return response(status, body), nil }
}

func servesKeys(keys ...string) func(*http.Request) (*http.Response, error) {
	return serves(200, keySetOf(keys...))
}

func isDown(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") }

func hangs(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func keySetOf(keys ...string) string { return `{"keys":[` + strings.Join(keys, ",") + `]}` }

// jwkOf is the public JWK of a key, with more members that replace its own.
func jwkOf(t testing.TB, kid string, key crypto.Signer, more ...string) string {
	t.Helper()
	jwk, err := jwkset.NewJWKFromKey(key.Public(), jwkset.JWKOptions{Metadata: jwkset.JWKMetadataOptions{KID: kid}})
	if err != nil {
		t.Fatal(err)
	}
	text := mustJSON(t, jwk.Marshal())
	if len(more) == 0 {
		return text
	}
	members := map[string]any{}
	for _, m := range append([]string{text}, more...) {
		if err := json.Unmarshal([]byte(m), &members); err != nil {
			t.Fatal(err)
		}
	}
	return mustJSON(t, members)
}

// memory is a Storage that can fail.
type memory struct {
	mu     sync.Mutex
	values map[string][]byte
	err    error
}

func (m *memory) Load(_ context.Context, key string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return nil, m.err
	}
	if v, ok := m.values[key]; ok {
		return v, nil
	}
	return nil, fs.ErrNotExist
}

func (m *memory) Store(_ context.Context, key string, value []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return m.err
	}
	if m.values == nil {
		m.values = map[string][]byte{}
	}
	m.values[key] = bytes.Clone(value)
	return nil
}

// events collects what a Verifier logs.
type events struct {
	mu   sync.Mutex
	list []Event
}

func (e *events) log(event Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, event)
}

func (e *events) count(kind EventKind) (n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, event := range e.list {
		if event.Kind == kind {
			n++
		}
	}
	return n
}

// bubble runs a test in which a verifier with one JWKS issuer talks to a
// provider, all on a fake clock.
func bubble(t *testing.T, answer func(*http.Request) (*http.Response, error), change func(*Config), test func(*testing.T, *Scheme, *provider, *events)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p, e := &provider{answer: answer}, &events{}
		cfg := Config{
			Issuers:    []IssuerConfig{{Name: "idp", JWKS: providerURL}},
			HTTPClient: &http.Client{Transport: p},
			Log:        e.log,
		}
		if change != nil {
			change(&cfg)
		}
		s := newSchemeOf(t, cfg)
		s.verifier.Start(t.Context())
		synctest.Wait()
		test(t, s, p, e)
		if err := s.verifier.Close(); err != nil {
			t.Error(err)
		}
	})
}

// tokenNow is good for a week from the bubble's now.
func tokenNow(t testing.TB, method jwt.SigningMethod, key any, kid string) string {
	t.Helper()
	header := map[string]any{"alg": method.Alg()}
	if kid != "" {
		header["kid"] = kid
	}
	return signRaw(t, method, key, mustJSON(t, header), mustJSON(t, map[string]any{
		"sub": "alice", "jti": "t1", "iat": time.Now().Unix(), "exp": time.Now().Add(8 * time.Hour).Unix(),
	}))
}

func es256(t testing.TB, key *ecdsa.PrivateKey, kid string) string {
	t.Helper()
	return tokenNow(t, jwt.SigningMethodES256, key, kid)
}

// pass lets the time of the bubble pass.
func pass(d time.Duration) { time.Sleep(d) }

func expect(t testing.TB, s *Scheme, token, want string) {
	t.Helper()
	if got := outcome(t, s, token); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestJWKSAtStart(t *testing.T) {
	k := testKeys()
	t.Run("fetched in the background", func(t *testing.T) {
		bubble(t, servesKeys(jwkOf(t, "a", k.p256)), nil, func(t *testing.T, s *Scheme, p *provider, e *events) {
			expect(t, s, es256(t, k.p256, "a"), "ok")
			if p.calls() != 1 || e.count(EventKeysLoaded) != 1 {
				t.Errorf("%d fetches and %d events, want 1 and 1", p.calls(), e.count(EventKeysLoaded))
			}
			h := s.verifier.Health()[0]
			if h.Source != "jwks" || h.Keys != 1 || !h.Usable || h.LastError != "" || !h.FetchedAt.Equal(time.Now()) {
				t.Errorf("health %+v", h)
			}
		})
	})
	t.Run("New dials nobody", func(t *testing.T) {
		p := &provider{answer: isDown}
		newSchemeOf(t, Config{Issuers: []IssuerConfig{{Name: "idp", JWKS: providerURL}}, HTTPClient: &http.Client{Transport: p}})
		if p.calls() != 0 {
			t.Errorf("%d fetches, want none", p.calls())
		}
	})
	t.Run("unreachable: 503 for its own tokens only, until it comes back", func(t *testing.T) {
		second := IssuerConfig{Name: "main", Secret: secretIssuer().Secret, Iss: "us"}
		bubble(t, isDown, func(c *Config) { c.Issuers = append(c.Issuers, second) },
			func(t *testing.T, s *Scheme, p *provider, e *events) {
				token := es256(t, k.p256, "a")
				expect(t, s, token, "503 issuer_keys_unavailable")
				expect(t, s, hs256(t, `{"alg":"HS256"}`, mustJSON(t, map[string]any{
					"iss": "us", "sub": "bob", "exp": time.Now().Add(time.Hour).Unix(),
				})), "ok")
				if e.count(EventKeysFailed) != 1 {
					t.Errorf("%d events of a failure, want 1", e.count(EventKeysFailed))
				}
				if h := s.verifier.Health()[0]; h.Usable || h.LastError == "" {
					t.Errorf("health %+v, want an error and no keys", h)
				}
				p.does(servesKeys(jwkOf(t, "a", k.p256)))
				time.Sleep(maxRetry)
				synctest.Wait()
				expect(t, s, token, "ok")
			})
	})
	t.Run("a request before the first answer waits for it", func(t *testing.T) {
		slow := func(r *http.Request) (*http.Response, error) {
			time.Sleep(200 * time.Millisecond)
			return response(200, keySetOf(jwkOf(t, "a", k.p256))), nil
		}
		bubble(t, slow, nil, func(t *testing.T, s *Scheme, p *provider, _ *events) {
			token := es256(t, k.p256, "a")
			var all sync.WaitGroup
			for range 50 {
				all.Go(func() { expect(t, s, token, "ok") })
			}
			all.Wait()
			if p.calls() != 1 {
				t.Errorf("%d fetches, want 1", p.calls())
			}
		})
	})
}

func TestJWKSRotation(t *testing.T) {
	k := testKeys()
	bubble(t, servesKeys(jwkOf(t, "a", k.p256)), nil, func(t *testing.T, s *Scheme, p *provider, _ *events) {
		old, fresh := es256(t, k.p256, "a"), es256(t, k.p256b, "b")
		expect(t, s, old, "ok")
		p.does(servesKeys(jwkOf(t, "a", k.p256), jwkOf(t, "b", k.p256b)))
		expect(t, s, fresh, "ok")
		expect(t, s, old, "ok")
		if p.calls() != 2 {
			t.Errorf("%d fetches, want 2", p.calls())
		}
		p.does(servesKeys(jwkOf(t, "b", k.p256b)))
		time.Sleep(DefaultRefreshInterval)
		synctest.Wait()
		// The old token was in the cache a moment ago.
		expect(t, s, old, "token_key_unknown")
		expect(t, s, es256(t, k.p256b, "b"), "ok")
	})
}

func TestJWKSRemovedKeyLeavesCache(t *testing.T) {
	k := testKeys()
	bubble(t, servesKeys(jwkOf(t, "a", k.p256), jwkOf(t, "b", k.p256b)), nil, func(t *testing.T, s *Scheme, p *provider, _ *events) {
		token := es256(t, k.p256, "a")
		for elapsed := time.Duration(0); elapsed < DefaultRefreshInterval-time.Minute; elapsed += 10 * time.Second {
			time.Sleep(10 * time.Second)
			expect(t, s, token, "ok") // keeps the entry fresh
		}
		p.does(servesKeys(jwkOf(t, "b", k.p256b)))
		var left time.Time
		for start := time.Now(); time.Since(start) <= DefaultRefreshInterval; time.Sleep(time.Second) {
			if outcome(t, s, token) != "ok" {
				left = time.Now()
				break
			}
		}
		if left.IsZero() {
			t.Error("the removed key was in use beyond the refresh interval")
		}
	})
}

func TestJWKSUnchangedKeepsCache(t *testing.T) {
	k := testKeys()
	bubble(t, servesKeys(jwkOf(t, "a", k.p256)), func(c *Config) { c.Issuers[0].RefreshInterval = MinRefreshInterval },
		func(t *testing.T, s *Scheme, p *provider, _ *events) {
			token := es256(t, k.p256, "a")
			expect(t, s, token, "ok")
			time.Sleep(MinRefreshInterval)
			synctest.Wait()
			before := s.verifier.CacheStats().Hits
			expect(t, s, token, "ok")
			if p.calls() < 2 || s.verifier.CacheStats().Hits != before+1 {
				t.Errorf("%d fetches and no hit, want a hit after an unchanged refresh", p.calls())
			}
		})
}

func TestJWKSDownLater(t *testing.T) {
	const maxStale = time.Hour // the default is a day of half-minute retries
	k := testKeys()
	for name, bad := range map[string]func(*http.Request) (*http.Response, error){
		"unreachable":            isDown,
		"hangs":                  hangs,
		"500":                    serves(500, "oops"),
		"404":                    serves(404, keySetOf(jwkOf(t, "z", k.p256b))),
		"204":                    serves(204, ""),
		"an error with 200":      serves(200, `{"error":"temporarily_unavailable"}`),
		"no keys":                serves(200, `{"keys":[]}`),
		"keys is null":           serves(200, `{"keys":null}`),
		"keys is an object":      serves(200, `{"keys":{}}`),
		"HTML":                   serves(200, "<html>maintenance</html>"),
		"empty":                  serves(200, ""),
		"null":                   serves(200, "null"),
		"a list":                 serves(200, "[]"),
		"cut off":                serves(200, keySetOf(jwkOf(t, "a", k.p256))[:80]),
		"data after it":          serves(200, keySetOf(jwkOf(t, "z", k.p256b))+"{}"),
		"only a symmetric key":   serves(200, keySetOf(`{"kty":"oct","kid":"a","k":"AAAA"}`)),
		"only a weak key":        serves(200, keySetOf(jwkOf(t, "a", k.rsa1024))),
		"65 keys":                serves(200, keySetOf(strings.Split(strings.Repeat(jwkOf(t, "z", k.p256b)+"\n", 65), "\n")[:65]...)),
		"more than a mebibyte":   serves(200, keySetOf(jwkOf(t, "z", k.p256b))+strings.Repeat(" ", maxJWKSBytes)),
		"redirects elsewhere":    redirects("https://evil.example/keys"),
		"redirects to http":      redirects("http://idp.example/keys"),
		"redirects to a port":    redirects("https://idp.example:8443/keys"),
		"redirects round":        redirects(providerURL),
		"a body that breaks off": breaksOff,
		"breaks off at the end":  breaksOffBehind(keySetOf(jwkOf(t, "z", k.p256b))),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, servesKeys(jwkOf(t, "a", k.p256)), func(c *Config) { c.Issuers[0].MaxStale = maxStale },
				func(t *testing.T, s *Scheme, p *provider, e *events) {
					fetched := time.Now()
					expect(t, s, es256(t, k.p256, "a"), "ok")
					p.does(bad)
					time.Sleep(maxStale - time.Second)
					synctest.Wait()
					token := es256(t, k.p256, "a")
					expect(t, s, token, "ok")
					h := s.verifier.Health()[0]
					if h.LastError == "" || !h.FetchedAt.Equal(fetched) || h.Keys != 1 {
						t.Errorf("health %+v, want an error and the first set", h)
					}
					if n := e.count(EventKeysFailed); n != 1 {
						t.Errorf("%d events of the same failure, want 1", n)
					}
					time.Sleep(time.Second)
					synctest.Wait()
					expect(t, s, token, "503 issuer_keys_unavailable") // although it was cached
					p.does(servesKeys(jwkOf(t, "a", k.p256)))
					time.Sleep(maxRetry + fetchTimeout)
					synctest.Wait()
					expect(t, s, token, "ok")
				})
		})
	}
}

func redirects(to string) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) {
		res := response(302, "")
		res.Header.Set("Location", to)
		return res, nil
	}
}

func breaksOff(*http.Request) (*http.Response, error) {
	res := response(200, "")
	res.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"keys":[`), errReader{}))
	return res, nil
}

func breaksOffBehind(body string) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) {
		res := response(200, "")
		res.Body = io.NopCloser(io.MultiReader(strings.NewReader(body), errReader{}))
		return res, nil
	}
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

func TestJWKSRedirectWithinHost(t *testing.T) {
	k := testKeys()
	answer := func(r *http.Request) (*http.Response, error) {
		if r.URL.Path == "/keys" {
			return redirects("/keys/v2")(r)
		}
		return response(200, keySetOf(jwkOf(t, "a", k.p256))), nil
	}
	bubble(t, answer, nil, func(t *testing.T, s *Scheme, p *provider, _ *events) {
		expect(t, s, es256(t, k.p256, "a"), "ok")
	})
}

func TestJWKSKeySelection(t *testing.T) {
	k := testKeys()
	for _, tc := range []struct {
		name  string
		keys  []string
		token func(testing.TB) string
		algs  []string
		want  string
	}{
		{
			"one key, no kid in the token",
			[]string{jwkOf(t, "a", k.p256)},
			func(t testing.TB) string { return es256(t, k.p256, "") }, nil, "ok",
		},
		{
			"one key without kid, kid in the token",
			[]string{jwkOf(t, "", k.p256)},
			func(t testing.TB) string { return es256(t, k.p256, "a") }, nil, "ok",
		},
		{
			"two keys, no kid in the token",
			[]string{jwkOf(t, "a", k.p256), jwkOf(t, "b", k.rsa)},
			func(t testing.TB) string { return es256(t, k.p256, "") }, nil, "token_key_unknown",
		},
		{
			"kid in another case",
			[]string{jwkOf(t, "a", k.p256), jwkOf(t, "b", k.rsa)},
			func(t testing.TB) string { return es256(t, k.p256, "A") }, nil, "token_key_unknown",
		},
		{
			"kid of another key, the first",
			[]string{jwkOf(t, "a", k.p256), jwkOf(t, "b", k.p256b)},
			func(t testing.TB) string { return es256(t, k.p256b, "a") }, nil, "token_signature_invalid",
		},
		{
			"kid of another key",
			[]string{jwkOf(t, "a", k.p256), jwkOf(t, "b", k.p256b)},
			func(t testing.TB) string { return es256(t, k.p256, "b") }, nil, "token_signature_invalid",
		},
		{
			"the first of two with one kid",
			[]string{jwkOf(t, "a", k.p256), jwkOf(t, "a", k.p256b)},
			func(t testing.TB) string { return es256(t, k.p256, "a") }, nil, "ok",
		},
		{
			"the second of two with one kid",
			[]string{jwkOf(t, "a", k.p256), jwkOf(t, "b", k.rsa), jwkOf(t, "a", k.p256b)},
			func(t testing.TB) string { return es256(t, k.p256b, "a") }, nil, "ok",
		},
		{
			"the eighth of one kid", append(slices.Repeat([]string{jwkOf(t, "a", k.p256)}, maxKeyTries-1), jwkOf(t, "a", k.p256b)),
			func(t testing.TB) string { return es256(t, k.p256b, "a") }, nil, "ok",
		},
		{
			"the ninth of one kid", append(slices.Repeat([]string{jwkOf(t, "a", k.p256)}, maxKeyTries), jwkOf(t, "a", k.p256b)),
			func(t testing.TB) string { return es256(t, k.p256b, "a") }, nil, "token_signature_invalid",
		},
		{
			"a key for encryption",
			[]string{jwkOf(t, "a", k.p256, `{"use":"enc"}`), jwkOf(t, "b", k.rsa)},
			func(t testing.TB) string { return es256(t, k.p256, "a") }, nil, "token_key_unknown",
		},
		{
			"key_ops without verify",
			[]string{jwkOf(t, "a", k.p256, `{"key_ops":["encrypt"]}`), jwkOf(t, "b", k.rsa)},
			func(t testing.TB) string { return es256(t, k.p256, "a") }, nil, "token_key_unknown",
		},
		{
			"key_ops with verify",
			[]string{jwkOf(t, "a", k.p256, `{"key_ops":["verify"]}`), jwkOf(t, "b", k.rsa)},
			func(t testing.TB) string { return es256(t, k.p256, "a") }, nil, "ok",
		},
		{
			"a published private key",
			[]string{jwkOf(t, "a", k.p256, `{"d":"AAAA"}`), jwkOf(t, "b", k.rsa)},
			func(t testing.TB) string { return es256(t, k.p256, "a") }, nil, "token_key_unknown",
		},
		{
			"a symmetric key beside a good one",
			[]string{`{"kty":"oct","kid":"a","k":"` + base64.RawURLEncoding.EncodeToString([]byte(testSecret)) + `"}`, jwkOf(t, "b", k.rsa)},
			func(t testing.TB) string { return tokenNow(t, jwt.SigningMethodHS256, []byte(testSecret), "a") }, nil, "token_algorithm_refused",
		},
		{
			"RS256 by default",
			[]string{jwkOf(t, "a", k.rsa)},
			func(t testing.TB) string { return tokenNow(t, jwt.SigningMethodRS256, k.rsa, "a") }, nil, "ok",
		},
		{
			"PS256 on a key without alg",
			[]string{jwkOf(t, "a", k.rsa)},
			func(t testing.TB) string { return tokenNow(t, jwt.SigningMethodPS256, k.rsa, "a") }, nil, "token_algorithm_refused",
		},
		{
			"PS256 on a key that declares it",
			[]string{jwkOf(t, "a", k.rsa, `{"alg":"PS256"}`)},
			func(t testing.TB) string { return tokenNow(t, jwt.SigningMethodPS256, k.rsa, "a") }, nil, "ok",
		},
		{
			"PS256 on a key that declares RS256",
			[]string{jwkOf(t, "a", k.rsa, `{"alg":"RS256"}`)},
			func(t testing.TB) string { return tokenNow(t, jwt.SigningMethodPS256, k.rsa, "a") }, nil, "token_algorithm_refused",
		},
		{
			"PS256 configured, the key declares nothing",
			[]string{jwkOf(t, "a", k.rsa)},
			func(t testing.TB) string { return tokenNow(t, jwt.SigningMethodPS256, k.rsa, "a") },
			[]string{"PS256"},
			"ok",
		},
		{
			"a key that declares EdDSA, a token of Ed25519",
			[]string{jwkOf(t, "a", k.ed, `{"alg":"EdDSA"}`)},
			func(t testing.TB) string { return tokenNow(t, jwt.SigningMethodEdDSA, k.ed, "a") }, nil, "ok",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, servesKeys(tc.keys...), func(c *Config) { c.Issuers[0].Algorithms = tc.algs },
				func(t *testing.T, s *Scheme, _ *provider, _ *events) { expect(t, s, tc.token(t), tc.want) })
		})
	}
}

func TestJWKSBadKeysAreSkipped(t *testing.T) {
	k := testKeys()
	good := jwkOf(t, "good", k.p256)
	bad := map[string]string{
		"not an object":            `7`,
		"no kty":                   `{"kid":"x"}`,
		"unknown kty":              `{"kty":"XYZ","kid":"x"}`,
		"kid is a number":          jwkOf(t, "x", k.p256b, `{"kid":7}`),
		"kid of a kilobyte":        jwkOf(t, strings.Repeat("k", 1024), k.p256b),
		"kid with a line break":    jwkOf(t, "a\nb", k.p256b),
		"bad n":                    `{"kty":"RSA","kid":"x","n":"!!!","e":"AQAB"}`,
		"no n":                     `{"kty":"RSA","kid":"x","e":"AQAB"}`,
		"e is 1":                   jwkOf(t, "x", k.rsa, `{"e":"AQ"}`),
		"e is even":                jwkOf(t, "x", k.rsa, `{"e":"BA"}`),
		"e of 100 bytes":           jwkOf(t, "x", k.rsa, `{"e":"`+strings.Repeat("A", 136)+`AQAB`+strings.Repeat("B", 40)+`"}`),
		"RSA of 1024 bits":         jwkOf(t, "x", k.rsa1024),
		"RSA of 100,000 bits":      jwkOf(t, "x", &hugeRSA{}),
		"bad x":                    jwkOf(t, "x", k.p256b, `{"x":"AAAA"}`),
		"x of a kilobyte":          jwkOf(t, "x", k.p256b, `{"x":"`+strings.Repeat("_", 1400)+`"}`),
		"point not on the curve":   jwkOf(t, "x", k.p256b, `{"y":"`+strings.Repeat("A", 42)+`E"}`),
		"curve and numbers differ": jwkOf(t, "x", k.p256b, `{"crv":"P-384"}`),
		"secp256k1":                jwkOf(t, "x", k.p256b, `{"crv":"secp256k1"}`),
		"X25519":                   jwkOf(t, "x", k.ed, `{"crv":"X25519"}`),
		"Ed25519 of 31 bytes":      jwkOf(t, "x", k.ed, `{"x":"`+strings.Repeat("A", 42)+`"}`),
		"alg of another curve":     jwkOf(t, "x", k.p256b, `{"alg":"ES384"}`),
		"alg of encryption":        jwkOf(t, "x", k.rsa, `{"alg":"RSA-OAEP"}`),
		"alg none":                 jwkOf(t, "x", k.rsa, `{"alg":"none"}`),
		"alg HS256":                jwkOf(t, "x", k.rsa, `{"alg":"HS256"}`),
		"a private prime":          jwkOf(t, "x", k.rsa, `{"p":"AQAB"}`),
		"the other private prime":  jwkOf(t, "x", k.rsa, `{"q":"AQAB"}`),
		"dp":                       jwkOf(t, "x", k.rsa, `{"dp":"AQAB"}`),
		"dq":                       jwkOf(t, "x", k.rsa, `{"dq":"AQAB"}`),
		"qi":                       jwkOf(t, "x", k.rsa, `{"qi":"AQAB"}`),
		"more private primes":      jwkOf(t, "x", k.rsa, `{"oth":[{"r":"AQAB","d":"AQAB","t":"AQAB"}]}`),
		"RSA with a secret":        jwkOf(t, "x", k.rsa, `{"k":"AQAB"}`),
		"Ed25519 that says RS256":  jwkOf(t, "x", k.ed, `{"alg":"RS256"}`),
		"RSA that says EdDSA":      jwkOf(t, "x", k.rsa, `{"alg":"EdDSA"}`),
		"kid of 257 bytes":         jwkOf(t, strings.Repeat("k", 257), k.p256b),
	}
	for name, key := range bad {
		t.Run(name, func(t *testing.T) {
			read, err := readJWKS([]byte(keySetOf(key, good)), nil)
			if err != nil {
				t.Fatalf("one bad key refused the whole set: %v", err)
			}
			if len(read.keys) != 1 || read.keys[0].id != "good" || len(read.skipped) != 1 || read.skipped[0].err == nil {
				t.Errorf("%d keys and %d skipped, want the good one and the bad one", len(read.keys), len(read.skipped))
			}
			if _, err := readJWKS([]byte(keySetOf(key)), nil); err == nil {
				t.Error("a set of nothing but the bad key is taken")
			}
		})
	}
	t.Run("mistakes are named as such", func(t *testing.T) {
		for set, want := range map[string]string{
			keySetOf(`{"kty":"oct","k":"AAAA"}`):                   "a symmetric key from a URL",
			keySetOf(`{"kty":"oct"}`):                              "a symmetric key from a URL",
			keySetOf(`{"kty":"RSA","kid":"x","n":"!","e":"AQAB"}`): "reading the key",
			`{"keys":[`: "parsing the key set",
			keySetOf(jwkOf(t, "x", k.p256, `{"d":"AAAA"}`)):           "the private half",
			keySetOf(slices.Repeat([]string{good}, maxJWKSKeys+1)...): "65 keys",
		} {
			if _, err := readJWKS([]byte(set), nil); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%.60s: got %v, want %q", set, err, want)
			}
		}
	})
	t.Run("what is just within the bounds", func(t *testing.T) {
		for name, set := range map[string]string{
			"a mebibyte":       keySetOf(good) + strings.Repeat(" ", maxJWKSBytes-len(keySetOf(good))),
			"64 keys":          keySetOf(slices.Repeat([]string{good}, maxJWKSKeys)...),
			"kid of 256 bytes": keySetOf(jwkOf(t, strings.Repeat("k", 256), k.p256b)),
		} {
			if _, err := readJWKS([]byte(set), nil); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
	t.Run("algorithms of other uses are named as such", func(t *testing.T) {
		for _, alg := range []string{"HS256", "RSA-OAEP", "none"} {
			_, err := readJWKS([]byte(keySetOf(jwkOf(t, "x", k.rsa, `{"alg":"`+alg+`"}`))), nil)
			if err == nil || !strings.Contains(err.Error(), `"`+alg+`" is not one for signatures by public keys`) {
				t.Errorf("got %v", err)
			}
		}
	})
	t.Run("stored sets have the same bound", func(t *testing.T) {
		_, err := readJWKS([]byte(keySetOf(good)+strings.Repeat(" ", maxJWKSBytes)), nil)
		if err == nil || !strings.Contains(err.Error(), "more than 1048576 bytes") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("certificates don't matter", func(t *testing.T) {
		read, err := readJWKS([]byte(keySetOf(jwkOf(t, "a", k.p256, `{"x5c":["broken"],"x5u":"https://evil.example","x5t":"AA"}`))), nil)
		if err != nil || len(read.keys) != 1 {
			t.Errorf("got %v, want the key", err)
		}
	})
	t.Run("counted and logged", func(t *testing.T) {
		bubble(t, servesKeys(good, `{"kty":"RSA"}`, jwkOf(t, "good", k.p256b)), nil, func(t *testing.T, s *Scheme, _ *provider, e *events) {
			if h := s.verifier.Health()[0]; h.Keys != 2 || h.Skipped != 1 {
				t.Errorf("health %+v, want 2 keys and 1 skipped", h)
			}
			if e.count(EventKeySkipped) != 1 || e.count(EventKeyDuplicate) != 1 {
				t.Errorf("%d skipped and %d duplicates logged, want 1 and 1", e.count(EventKeySkipped), e.count(EventKeyDuplicate))
			}
		})
	})
}

// hugeRSA is a public key that would make verification slow.
type hugeRSA struct{ crypto.Signer }

func (*hugeRSA) Public() crypto.PublicKey {
	n := new(big.Int).Lsh(big.NewInt(1), 100_000)
	return &rsa.PublicKey{N: n.Add(n, big.NewInt(1)), E: 65537}
}

func TestJWKSStorage(t *testing.T) {
	k := testKeys()
	stored := func(t *testing.T) *memory {
		m := &memory{}
		bubble(t, servesKeys(jwkOf(t, "a", k.p256)), func(c *Config) { c.Storage = m }, func(*testing.T, *Scheme, *provider, *events) {})
		if len(m.values) != 1 {
			t.Fatalf("%d values stored, want 1", len(m.values))
		}
		return m
	}
	t.Run("restored while the provider is down", func(t *testing.T) {
		m := stored(t)
		bubble(t, isDown, func(c *Config) { c.Storage = m }, func(t *testing.T, s *Scheme, _ *provider, e *events) {
			expect(t, s, es256(t, k.p256, "a"), "ok")
			if e.count(EventKeysRestored) != 1 {
				t.Errorf("%d events of restored keys, want 1", e.count(EventKeysRestored))
			}
			time.Sleep(DefaultMaxStale)
			expect(t, s, es256(t, k.p256, "a"), "503 issuer_keys_unavailable")
		})
	})
	t.Run("a fetch wins over what is stored", func(t *testing.T) {
		m := stored(t)
		bubble(t, servesKeys(jwkOf(t, "b", k.p256b)), func(c *Config) { c.Storage = m }, func(t *testing.T, s *Scheme, _ *provider, _ *events) {
			expect(t, s, es256(t, k.p256, "a"), "token_key_unknown")
		})
		bubble(t, isDown, func(c *Config) { c.Storage = m }, func(t *testing.T, s *Scheme, _ *provider, _ *events) {
			expect(t, s, es256(t, k.p256b, "b"), "ok")
		})
	})
	t.Run("a set that a request brought is stored at once", func(t *testing.T) {
		m := &memory{}
		bubble(t, servesKeys(jwkOf(t, "a", k.p256)), func(c *Config) { c.Storage = m }, func(t *testing.T, s *Scheme, p *provider, _ *events) {
			p.does(servesKeys(jwkOf(t, "b", k.p256b)))
			expect(t, s, es256(t, k.p256b, "b"), "ok")
			synctest.Wait()
			for _, v := range m.values {
				if !strings.Contains(string(v), `"kid":"b"`) {
					t.Errorf("stored %s, want key b", v)
				}
			}
		})
	})
	t.Run("an unchanged set is stored again now and then", func(t *testing.T) {
		m := &memory{}
		bubble(t, servesKeys(jwkOf(t, "a", k.p256)), func(c *Config) { c.Storage = m }, func(t *testing.T, s *Scheme, _ *provider, _ *events) {
			time.Sleep(saveInterval + DefaultRefreshInterval)
			synctest.Wait()
			var v storedKeys
			for _, data := range m.values {
				if err := json.Unmarshal(data, &v); err != nil {
					t.Fatal(err)
				}
			}
			if age := time.Since(v.Fetched); age > saveInterval {
				t.Errorf("the stored set is %s old", age)
			}
		})
	})
	for name, spoil := range map[string]func(*storedKeys) any{
		"of another URL":  func(v *storedKeys) any { v.Source = "https://other.example"; return v },
		"of the future":   func(v *storedKeys) any { v.Fetched = v.Fetched.Add(time.Hour); return v },
		"too old":         func(v *storedKeys) any { v.Fetched = v.Fetched.Add(-DefaultMaxStale); return v },
		"without keys":    func(v *storedKeys) any { v.Keys = nil; return v },
		"broken":          func(*storedKeys) any { return 7 },
		"of a weak key":   func(v *storedKeys) any { v.Keys[0] = jwkset.JWKMarshal{KTY: "RSA", N: "AQAB", E: "AQAB"}; return v },
		"a symmetric key": func(v *storedKeys) any { v.Keys[0] = jwkset.JWKMarshal{KTY: "oct", K: "AQAB"}; return v },
	} {
		t.Run("not restored: "+name, func(t *testing.T) {
			m := stored(t)
			for key, data := range m.values {
				var v storedKeys
				if err := json.Unmarshal(data, &v); err != nil {
					t.Fatal(err)
				}
				m.values[key] = []byte(mustJSON(t, spoil(&v)))
			}
			bubble(t, isDown, func(c *Config) { c.Storage = m }, func(t *testing.T, s *Scheme, _ *provider, e *events) {
				expect(t, s, es256(t, k.p256, "a"), "503 issuer_keys_unavailable")
				if n := e.count(EventKeysRestored); n != 0 {
					t.Errorf("%d events of restored keys, want none", n)
				}
			})
		})
	}
	t.Run("broken storage costs a log line", func(t *testing.T) {
		bubble(t, servesKeys(jwkOf(t, "a", k.p256)), func(c *Config) { c.Storage = &memory{err: errors.New("disk full")} },
			func(t *testing.T, s *Scheme, _ *provider, e *events) {
				expect(t, s, es256(t, k.p256, "a"), "ok")
				if e.count(EventStorageFailed) != 2 {
					t.Errorf("%d events, want one for loading and one for storing", e.count(EventStorageFailed))
				}
			})
	})
	t.Run("only public members are stored", func(t *testing.T) {
		m := &memory{}
		bubble(t, servesKeys(jwkOf(t, "a", k.p256, `{"x5c":["AAAA"],"secret":"s3cret"}`)), func(c *Config) { c.Storage = m },
			func(*testing.T, *Scheme, *provider, *events) {})
		for _, v := range m.values {
			if strings.Contains(string(v), "s3cret") || strings.Contains(string(v), "x5c") {
				t.Errorf("stored %s", v)
			}
		}
	})
}

func TestDiscovery(t *testing.T) {
	k := testKeys()
	keys := keySetOf(jwkOf(t, "a", k.p256))
	metadata := func(issuer, uri string) func(*http.Request) (*http.Response, error) {
		return func(r *http.Request) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "/.well-known/openid-configuration") {
				return response(200, mustJSON(t, map[string]string{"issuer": issuer, "jwks_uri": uri})), nil
			}
			return response(200, keys), nil
		}
	}
	signed := func(t testing.TB, iss string) string {
		return signRaw(t, jwt.SigningMethodES256, k.p256, `{"alg":"ES256","kid":"a"}`, mustJSON(t, map[string]any{
			"iss": iss, "sub": "alice", "exp": time.Now().Add(time.Hour).Unix(),
		}))
	}
	for _, tc := range []struct {
		name       string
		configured string
		answer     func(*http.Request) (*http.Response, error)
		want       string
		first      string
	}{
		{"keys on another host", "https://idp.example", metadata("https://idp.example", "https://keys.example/k"), "ok", "https://idp.example/.well-known/openid-configuration"},
		{"an issuer with a path", "https://idp.example/realms/a", metadata("https://idp.example/realms/a", "https://idp.example/k"), "ok", "https://idp.example/realms/a/.well-known/openid-configuration"},
		{"a final slash", "https://idp.example/", metadata("https://idp.example/", "https://idp.example/k"), "ok", "https://idp.example/.well-known/openid-configuration"},
		{"a final slash too many", "https://idp.example", metadata("https://idp.example/", "https://idp.example/k"), "503 issuer_keys_unavailable", ""},
		{"another issuer", "https://idp.example", metadata("https://evil.example", "https://idp.example/k"), "503 issuer_keys_unavailable", ""},
		{"no issuer", "https://idp.example", metadata("", "https://idp.example/k"), "503 issuer_keys_unavailable", ""},
		{"keys over http", "https://idp.example", metadata("https://idp.example", "http://idp.example/k"), "503 issuer_keys_unavailable", ""},
		{"keys on this machine over http", "https://idp.example", metadata("https://idp.example", "http://127.0.0.1/k"), "503 issuer_keys_unavailable", ""},
		{"a password for the keys", "https://idp.example", metadata("https://idp.example", "https://user:pass@idp.example/k"), "503 issuer_keys_unavailable", ""},
		{"no keys", "https://idp.example", metadata("https://idp.example", ""), "503 issuer_keys_unavailable", ""},
		{"a file", "https://idp.example", metadata("https://idp.example", "file:///etc/passwd"), "503 issuer_keys_unavailable", ""},
		{"keys of this machine over http, as the issuer", "http://127.0.0.1", metadata("http://127.0.0.1", "http://127.0.0.1/k"), "ok", "http://127.0.0.1/.well-known/openid-configuration"},
		{"not JSON", "https://idp.example", serves(200, "<html>"), "503 issuer_keys_unavailable", ""},
		{"an error", "https://idp.example", serves(503, ""), "503 issuer_keys_unavailable", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, tc.answer, func(c *Config) { c.Issuers[0] = IssuerConfig{Name: "idp", Discovery: tc.configured} },
				func(t *testing.T, s *Scheme, p *provider, _ *events) {
					expect(t, s, signed(t, tc.configured), tc.want)
					expect(t, s, signed(t, tc.configured+"x"), "token_issuer_unknown")
					h := s.verifier.Health()[0]
					if h.Source != "discovery" || h.Usable != (tc.want == "ok") {
						t.Errorf("health %+v", h)
					}
					for name, text := range map[string]string{"not JSON": "parsing the provider's metadata", "an error": "answered 503"} {
						if tc.name == name && !strings.Contains(h.LastError, text) {
							t.Errorf("last error %q, want %q", h.LastError, text)
						}
					}
					if tc.first != "" && p.asked[0] != tc.first {
						t.Errorf("asked %s, want %s", p.asked[0], tc.first)
					}
				})
		})
	}
}

func TestStartAndClose(t *testing.T) {
	k := testKeys()
	bubble(t, hangs, nil, func(t *testing.T, s *Scheme, p *provider, _ *events) {
		v := s.verifier
		v.Start(t.Context()) // does nothing
		start := time.Now()
		if err := v.Close(); err != nil || time.Since(start) != 0 {
			t.Errorf("Close took %s: %v", time.Since(start), err)
		}
		p.does(servesKeys(jwkOf(t, "a", k.p256)))
		calls := p.calls()
		expect(t, s, es256(t, k.p256, "a"), "503 issuer_keys_unavailable")
		if p.calls() != calls {
			t.Error("a closed verifier fetches")
		}
		v.Start(t.Context())
		synctest.Wait()
		expect(t, s, es256(t, k.p256, "a"), "ok")
	})
}

// refused is the failure to judge a token.
func refused(t testing.TB, s *Scheme, token string) string {
	t.Helper()
	_, denial, err := s.Authenticate(t.Context(), bearerOf(token))
	if err == nil {
		t.Fatalf("got %+v, want a failure", denial)
	}
	return err.Error()
}

func TestJWKSFailuresAreTold(t *testing.T) {
	k := testKeys()
	t.Run("each other one once", func(t *testing.T) {
		bubble(t, isDown, nil, func(t *testing.T, s *Scheme, p *provider, e *events) {
			if text := refused(t, s, es256(t, k.p256, "a")); !strings.Contains(text, "connection refused") {
				t.Errorf("got %q, want the cause", text)
			}
			p.does(serves(500, ""))
			time.Sleep(maxRetry)
			synctest.Wait()
			if n := e.count(EventKeysFailed); n != 2 {
				t.Errorf("%d events of two failures", n)
			}
		})
	})
	t.Run("with the keys that stay", func(t *testing.T) {
		bubble(t, servesKeys(jwkOf(t, "a", k.p256)), nil, func(t *testing.T, s *Scheme, p *provider, e *events) {
			p.does(isDown)
			time.Sleep(DefaultRefreshInterval)
			synctest.Wait()
			if last := e.list[len(e.list)-1]; last.Kind != EventKeysFailed || last.Keys != 1 || last.Err == nil {
				t.Errorf("event %+v, want a failure with one key", last)
			}
		})
	})
	t.Run("the end of the gateway is none", func(t *testing.T) {
		e := &events{}
		bubble(t, hangs, func(c *Config) { c.Log = e.log }, func(*testing.T, *Scheme, *provider, *events) {})
		if n := e.count(EventKeysFailed); n != 0 {
			t.Errorf("%d failures told, want none", n)
		}
	})
	t.Run("asked again without a request", func(t *testing.T) {
		bubble(t, isDown, nil, func(t *testing.T, s *Scheme, p *provider, _ *events) {
			time.Sleep(maxRetry)
			synctest.Wait()
			if n := p.calls(); n < 4 {
				t.Errorf("asked %d times in %s of failure, want more", n, maxRetry)
			}
		})
	})
	t.Run("no key set yet", func(t *testing.T) {
		err := (&jwks{issuer: "idp"}).unavailable(nil, 0)
		if !strings.Contains(err.Error(), "no key set yet") {
			t.Errorf("got %v", err)
		}
	})
}

func TestJWKSDuplicatesAreTold(t *testing.T) {
	k := testKeys()
	for ids, want := range map[string]int{"a": 0, "ab": 0, "aa": 1, "baa": 1, "aaa": 1, "aaaa": 1, "aabb": 2, "aaab": 1, "abab": 2} {
		var keys []string
		for _, id := range ids {
			keys = append(keys, jwkOf(t, string(id), k.p256))
		}
		bubble(t, servesKeys(keys...), nil, func(t *testing.T, _ *Scheme, _ *provider, e *events) {
			if n := e.count(EventKeyDuplicate); n != want {
				t.Errorf("%s: %d duplicates told, want %d", ids, n, want)
			}
		})
	}
}

func TestJWKSKeepsToItsOwnAlgorithms(t *testing.T) {
	k := testKeys()
	bubble(t, servesKeys(jwkOf(t, "a", k.p256)), func(c *Config) { c.Issuers[0].Algorithms = []string{"ES256"} },
		func(t *testing.T, s *Scheme, p *provider, _ *events) {
			before := p.calls()
			expect(t, s, tokenNow(t, jwt.SigningMethodRS256, k.rsa, "b"), "token_algorithm_refused")
			if p.calls() != before {
				t.Error("a token of another algorithm made us fetch")
			}
		})
}

// The key that signed is named by the set, whatever the token says.
func TestJWKSSigningKey(t *testing.T) {
	k := testKeys()
	for in, want := range map[string]string{"a": "a", "": "b"} {
		bubble(t, servesKeys(jwkOf(t, in, k.p256)), nil, func(t *testing.T, s *Scheme, _ *provider, _ *events) {
			kid := ""
			if in == "" {
				kid = "b"
			}
			if got := mustPrincipal(t, s, es256(t, k.p256, kid)).SigningKey; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

// Without a set even a token without kid can't be judged.
func TestJWKSNoSetNoKid(t *testing.T) {
	k := testKeys()
	bubble(t, isDown, nil, func(t *testing.T, s *Scheme, _ *provider, _ *events) {
		expect(t, s, es256(t, k.p256, ""), "503 issuer_keys_unavailable")
	})
}

func TestJWKSLocation(t *testing.T) {
	if got := (&jwks{url: "u"}).location() + " " + (&jwks{discovery: "d"}).location(); got != "u d" {
		t.Errorf("got %q", got)
	}
}

// A set that is too old by the time it could be used is none.
func TestJWKSTooOldAtOnce(t *testing.T) {
	k := testKeys()
	var ticks atomic.Int64
	clock := func() time.Time { return testNow.Add(time.Duration(ticks.Add(1)) * time.Hour) }
	bubble(t, servesKeys(jwkOf(t, "a", k.p256)), func(c *Config) { c.Clock, c.Issuers[0].MaxStale = clock, time.Second },
		func(t *testing.T, s *Scheme, _ *provider, _ *events) {
			if text := refused(t, s, es256(t, k.p256, "a")); !strings.Contains(text, "too old") {
				t.Errorf("got %q", text)
			}
		})
}

// Without a set, and asked a moment ago with success, there is still nothing to
// judge by.
func TestJWKSTooOldAndAskedAMomentAgo(t *testing.T) {
	k := testKeys()
	bubble(t, servesKeys(jwkOf(t, "a", k.p256)), func(c *Config) { c.Issuers[0].MaxStale = time.Second },
		func(t *testing.T, s *Scheme, _ *provider, _ *events) {
			expect(t, s, es256(t, k.p256b, "b"), "token_key_unknown")
			time.Sleep(2 * time.Second)
			expect(t, s, es256(t, k.p256, "a"), "503 issuer_keys_unavailable")
		})
}

// The refresh joins a fetch that a request began.
func TestRefreshJoins(t *testing.T) {
	k := testKeys()
	bubble(t, servesKeys(jwkOf(t, "a", k.p256)), nil, func(t *testing.T, s *Scheme, p *provider, _ *events) {
		source := s.verifier.issuers[0].source.(*jwks)
		p.does(hangs)
		before := p.calls()
		source.mu.Lock()
		source.launch(time.Now())
		source.mu.Unlock()
		synctest.Wait()
		if err := source.refresh(t.Context()); err == nil || p.calls() != before+1 {
			t.Errorf("got %v after %d fetches, want the failure of one", err, p.calls()-before)
		}
	})
}

// Close returns when nothing runs any more.
func TestCloseWaits(t *testing.T) {
	lingers := func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		time.Sleep(time.Second)
		return nil, r.Context().Err()
	}
	bubble(t, lingers, nil, func(t *testing.T, s *Scheme, _ *provider, _ *events) {
		if err := s.verifier.Close(); err != nil {
			t.Fatal(err)
		}
		source := s.verifier.issuers[0].source.(*jwks)
		source.mu.Lock()
		defer source.mu.Unlock()
		if !source.closed || source.flight != nil {
			t.Errorf("closed %t, a fetch under way %t", source.closed, source.flight != nil)
		}
	})
}

// gate is a Storage whose calls wait, and are counted. Its channels are made in
// the bubble that they are used in.
type gate struct {
	memory
	load, store    chan struct{}
	loads, storeds atomic.Int64
}

func (g *gate) Load(ctx context.Context, key string) ([]byte, error) {
	g.loads.Add(1)
	if g.load != nil {
		select {
		case <-g.load:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return g.memory.Load(ctx, key)
}

func (g *gate) Store(ctx context.Context, key string, value []byte) error {
	g.storeds.Add(1)
	if g.store != nil {
		<-g.store
	}
	return g.memory.Store(ctx, key, value)
}

func TestJWKSStorageRaces(t *testing.T) {
	k := testKeys()
	first := &memory{}
	bubble(t, servesKeys(jwkOf(t, "a", k.p256)), func(c *Config) { c.Storage = first }, func(*testing.T, *Scheme, *provider, *events) {})

	t.Run("nothing stored yet is no failure, and an unchanged set is stored once", func(t *testing.T) {
		g := &gate{}
		bubble(t, servesKeys(jwkOf(t, "a", k.p256)), func(c *Config) { c.Storage = g }, func(t *testing.T, s *Scheme, p *provider, e *events) {
			time.Sleep(2 * DefaultRefreshInterval)
			synctest.Wait()
			if n := e.count(EventStorageFailed); n != 0 || g.storeds.Load() != 1 || p.calls() < 3 {
				t.Errorf("%d failures, stored %d times in %d fetches, want none and once", n, g.storeds.Load(), p.calls())
			}
		})
	})
	t.Run("what failed to be stored is stored next time", func(t *testing.T) {
		g := &gate{}
		fails := func(err error) {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.err = err
		}
		bubble(t, servesKeys(jwkOf(t, "a", k.p256)), func(c *Config) { c.Storage = g }, func(t *testing.T, _ *Scheme, p *provider, e *events) {
			fails(errors.New("disk full"))
			p.does(servesKeys(jwkOf(t, "b", k.p256b)))
			time.Sleep(DefaultRefreshInterval)
			synctest.Wait()
			fails(nil)
			time.Sleep(DefaultRefreshInterval)
			synctest.Wait()
			for _, v := range g.values {
				if !strings.Contains(string(v), `"kid":"b"`) {
					t.Errorf("stored %s, want key b", v)
				}
			}
			if e.count(EventStorageFailed) == 0 {
				t.Error("nothing failed")
			}
		})
	})
	t.Run("a fetch that overtakes the restoring wins", func(t *testing.T) {
		g := &gate{memory: memory{values: maps.Clone(first.values)}}
		bubble(t, servesKeys(jwkOf(t, "b", k.p256b)), func(c *Config) { c.Storage, g.load = g, make(chan struct{}) }, func(t *testing.T, s *Scheme, _ *provider, e *events) {
			expect(t, s, es256(t, k.p256b, "b"), "ok") // fetched for the request
			close(g.load)
			synctest.Wait()
			expect(t, s, es256(t, k.p256b, "b"), "ok")
			if restored, loaded := e.count(EventKeysRestored), e.count(EventKeysLoaded); restored != 0 || loaded != 1 {
				t.Errorf("%d times restored and %d loaded, want none and once", restored, loaded)
			}
		})
	})
	t.Run("the end while restoring is no failure", func(t *testing.T) {
		e := &events{}
		g := &gate{}
		bubble(t, isDown, func(c *Config) { c.Storage, c.Log, g.load = g, e.log, make(chan struct{}) }, func(*testing.T, *Scheme, *provider, *events) {})
		if n := e.count(EventStorageFailed); n != 0 {
			t.Errorf("%d failures, want none", n)
		}
	})
	t.Run("a set that comes while the one before is stored is stored too", func(t *testing.T) {
		g := &gate{}
		bubble(t, servesKeys(jwkOf(t, "a", k.p256)), func(c *Config) { c.Storage, g.store = g, make(chan struct{}) }, func(t *testing.T, s *Scheme, p *provider, _ *events) {
			p.does(servesKeys(jwkOf(t, "b", k.p256b)))
			expect(t, s, es256(t, k.p256b, "b"), "ok")
			close(g.store)
			synctest.Wait()
			for _, v := range g.values {
				if !strings.Contains(string(v), `"kid":"b"`) {
					t.Errorf("stored %s, want key b", v)
				}
			}
		})
	})
	t.Run("a clock that is a minute behind", func(t *testing.T) {
		m := &memory{values: map[string][]byte{}}
		for ahead, want := range map[time.Duration]string{MaxLeeway: "ok", MaxLeeway + 1: "503 issuer_keys_unavailable"} {
			bubble(t, isDown, func(c *Config) {
				for key, data := range first.values {
					var v storedKeys
					if err := json.Unmarshal(data, &v); err != nil {
						t.Fatal(err)
					}
					v.Fetched = time.Now().Add(ahead)
					m.values[key] = []byte(mustJSON(t, v))
				}
				c.Storage = m
			}, func(t *testing.T, s *Scheme, _ *provider, _ *events) { expect(t, s, es256(t, k.p256, "a"), want) })
		}
	})
	t.Run("what is stored and no JSON is named as such", func(t *testing.T) {
		e := &events{}
		m := &memory{values: map[string][]byte{}}
		for key := range first.values {
			m.values[key] = []byte("{")
		}
		bubble(t, isDown, func(c *Config) { c.Storage, c.Log = m, e.log }, func(*testing.T, *Scheme, *provider, *events) {})
		if e.count(EventStorageFailed) != 1 || !strings.Contains(e.list[0].Err.Error(), "parsing stored keys") {
			t.Errorf("events %+v", e.list)
		}
	})
	t.Run("an hour later it is stored again", func(t *testing.T) {
		bubble(t, servesKeys(jwkOf(t, "a", k.p256)), nil, func(t *testing.T, s *Scheme, _ *provider, _ *events) {
			source := s.verifier.issuers[0].source.(*jwks)
			read, err := readJWKS([]byte(keySetOf(jwkOf(t, "a", k.p256))), nil)
			if err != nil {
				t.Fatal(err)
			}
			for age, want := range map[time.Duration]bool{saveInterval - 1: false, saveInterval: true} {
				source.mu.Lock()
				source.unsaved, source.saved = false, time.Now().Add(-age)
				source.mu.Unlock()
				source.land(&flight{done: make(chan struct{})}, read, nil)
				source.mu.Lock()
				if source.unsaved != want {
					t.Errorf("after %s: to be stored %t, want %t", age, source.unsaved, want)
				}
				source.mu.Unlock()
			}
		})
	})
}
