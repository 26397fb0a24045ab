package bearer

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/ainative/portcullis/plugins"
)

func TestJWKSUnknownKidFlood(t *testing.T) {
	k := testKeys()
	bubble(t, servesKeys(jwkOf(t, "a", k.p256)), nil, func(t *testing.T, s *Scheme, p *provider, _ *events) {
		good := es256(t, k.p256, "a")
		forged := es256(t, k.p256b, "b")
		payload := forged[strings.IndexByte(forged, '.'):]
		before, start, outcomes := p.calls(), time.Now(), map[string]int{}
		for i := range 4000 {
			header := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"alg":"ES256","kid":"k%d"}`, i))
			got := outcome(t, s, header+payload)
			outcomes[got]++
			if got == "503 issuer_keys_unavailable" && p.calls() == before {
				t.Fatal("refused without having asked")
			}
			if i%100 == 0 {
				expect(t, s, good, "ok")
				pass(time.Second)
			}
		}
		if len(outcomes) != 2 || outcomes["token_key_unknown"] == 0 {
			t.Errorf("got %v, want 401 for what was asked and 503 for the others", outcomes)
		}
		// 40 s: one fetch at once and one after 30 s.
		if n := p.calls() - before; n > 2 {
			t.Errorf("%d fetches in %s, want 2 at most", n, time.Since(start))
		}
		source := s.verifier.issuers[0].source.(*jwks)
		if n := len(source.absent); n > maxAbsent {
			t.Errorf("%d absent kids are remembered, want %d at most", n, maxAbsent)
		}
	})
	t.Run("one kid again and again", func(t *testing.T) {
		bubble(t, servesKeys(jwkOf(t, "a", k.p256), jwkOf(t, "c", k.p384)), nil, func(t *testing.T, s *Scheme, p *provider, _ *events) {
			before, token := p.calls(), es256(t, k.p256b, "b")
			for range 59 {
				expect(t, s, token, "token_key_unknown")
				expect(t, s, es256(t, k.p256b, ""), "token_key_unknown")
				pass(time.Second)
			}
			if n := p.calls() - before; n != 1 {
				t.Errorf("%d fetches, want 1", n)
			}
		})
	})
	t.Run("many at once", func(t *testing.T) {
		bubble(t, servesKeys(jwkOf(t, "a", k.p256)), nil, func(t *testing.T, s *Scheme, p *provider, _ *events) {
			before := p.calls()
			forged := es256(t, k.p256b, "b")
			var all sync.WaitGroup
			for range 100 {
				all.Go(func() { expect(t, s, forged, "token_key_unknown") })
			}
			all.Wait()
			if n := p.calls() - before; n != 1 {
				t.Errorf("%d fetches, want 1", n)
			}
		})
	})
	t.Run("many kids at once", func(t *testing.T) {
		slow := func(*http.Request) (*http.Response, error) {
			pass(100 * time.Millisecond)
			return response(200, keySetOf(jwkOf(t, "a", k.p256))), nil
		}
		bubble(t, servesKeys(jwkOf(t, "a", k.p256)), nil, func(t *testing.T, s *Scheme, p *provider, _ *events) {
			p.does(slow)
			before := p.calls()
			var all sync.WaitGroup
			for i := range 2 * maxAbsent {
				all.Go(func() { expect(t, s, es256(t, k.p256b, fmt.Sprint("k", i)), "token_key_unknown") })
			}
			all.Wait()
			if n := p.calls() - before; n != 1 {
				t.Errorf("%d fetches, want 1", n)
			}
			if n := len(s.verifier.issuers[0].source.(*jwks).absent); n != maxAbsent {
				t.Errorf("%d absent kids are remembered, want %d", n, maxAbsent)
			}
		})
	})
	t.Run("a rotation during the flood", func(t *testing.T) {
		bubble(t, servesKeys(jwkOf(t, "a", k.p256)), nil, func(t *testing.T, s *Scheme, p *provider, _ *events) {
			expect(t, s, es256(t, k.p256b, "x1"), "token_key_unknown")
			p.does(servesKeys(jwkOf(t, "a", k.p256), jwkOf(t, "b", k.p256b)))
			fresh := es256(t, k.p256b, "b")
			expect(t, s, fresh, "503 issuer_keys_unavailable") // asked a moment ago, for another
			pass(demandInterval)
			expect(t, s, fresh, "ok")
		})
	})
}

// Issue 18: a stranger's kid spent the budget of the key set, and a good token under a
// key that the provider had just begun to use was 401 for 30 seconds.
func TestJWKSUnknownKidThatCouldNotBeAsked(t *testing.T) {
	k := testKeys()
	const unavailable, unknown = "503 issuer_keys_unavailable", "token_key_unknown"
	stranger := func(t *testing.T, s *Scheme, kid string) {
		t.Helper()
		expect(t, s, es256(t, k.p256b, kid), unknown)
	}
	for _, tc := range []struct {
		name string
		test func(t *testing.T, s *Scheme, p *provider)
	}{
		{"says when to come again, and then it is good", func(t *testing.T, s *Scheme, p *provider) {
			stranger(t, s, "x")
			p.does(servesKeys(jwkOf(t, "a", k.p256), jwkOf(t, "b", k.p256b)))
			pass(12 * time.Second)
			fresh := es256(t, k.p256b, "b")
			_, denial, err := s.Authenticate(t.Context(), bearerOf(fresh))
			u, _ := errors.AsType[*plugins.Unavailable](err)
			if denial != nil || u == nil || u.RetryAfter != demandInterval-12*time.Second {
				t.Fatalf("got %v, %v, want to wait for the rest of %s", denial, err, demandInterval)
			}
			pass(u.RetryAfter)
			expect(t, s, fresh, "ok")
		}},
		{"the stranger's next kid brings the new key", func(t *testing.T, s *Scheme, p *provider) {
			stranger(t, s, "x")
			p.does(servesKeys(jwkOf(t, "a", k.p256), jwkOf(t, "b", k.p256b)))
			pass(demandInterval)
			stranger(t, s, "y")
			expect(t, s, es256(t, k.p256b, "b"), "ok")
		}},
		{"the kid of the new key is what the stranger asked for", func(t *testing.T, s *Scheme, p *provider) {
			early := es256(t, k.p256b, "b")
			expect(t, s, early, unknown)
			p.does(servesKeys(jwkOf(t, "a", k.p256), jwkOf(t, "b", k.p256b)))
			pass(time.Second)
			fresh := es256(t, k.p256b, "b")
			expect(t, s, fresh, unavailable)
			expect(t, s, early, unknown)
			pass(demandInterval)
			expect(t, s, fresh, "ok")
		}},
		{"a token without iat may be new", func(t *testing.T, s *Scheme, _ *provider) {
			stranger(t, s, "x")
			pass(time.Second)
			token := signRaw(t, jwt.SigningMethodES256, k.p256b, `{"alg":"ES256","kid":"b"}`,
				mustJSON(t, map[string]any{"sub": "alice", "jti": "t1", "exp": time.Now().Add(time.Hour).Unix()}))
			expect(t, s, token, unavailable)
		}},
		{"a token from before the last answer is not", func(t *testing.T, s *Scheme, p *provider) {
			old := es256(t, k.p256b, "gone")
			pass(clockDifference + time.Second)
			stranger(t, s, "x")
			before := p.calls()
			expect(t, s, old, unknown)
			if p.calls() != before {
				t.Error("it was asked for again")
			}
		}},
		{"a fetch that began before the token was issued tells nothing", func(t *testing.T, s *Scheme, p *provider) {
			p.does(func(*http.Request) (*http.Response, error) {
				pass(1300 * time.Millisecond)
				return response(200, keySetOf(jwkOf(t, "a", k.p256))), nil
			})
			go func() { _ = outcome(t, s, es256(t, k.p256b, "x")) }()
			pass(time.Second)
			expect(t, s, es256(t, k.p256b, "b"), unavailable)
		}},
		{"keys that are there go on", func(t *testing.T, s *Scheme, p *provider) {
			for i := range 3 * maxAbsent {
				_ = outcome(t, s, es256(t, k.p256b, fmt.Sprint("x", i)))
			}
			before := p.calls()
			for range 20 {
				pass(time.Second)
				expect(t, s, es256(t, k.p256, "a"), "ok")
			}
			if p.calls() != before {
				t.Error("a key that is there was fetched for")
			}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, servesKeys(jwkOf(t, "a", k.p256)), nil, func(t *testing.T, s *Scheme, p *provider, _ *events) { tc.test(t, s, p) })
		})
	}
}

func TestJWKSUnknownKidWhileProviderIsIll(t *testing.T) {
	k := testKeys()
	for name, tc := range map[string]struct {
		answer func(*http.Request) (*http.Response, error)
		most   time.Duration
	}{
		"hangs": {hangs, demandWait},
		"down":  {isDown, 0},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, servesKeys(jwkOf(t, "a", k.p256)), nil, func(t *testing.T, s *Scheme, p *provider, _ *events) {
				p.does(tc.answer)
				for range 3 {
					start := time.Now()
					expect(t, s, es256(t, k.p256b, "b"), "503 issuer_keys_unavailable")
					if waited := time.Since(start); waited > tc.most {
						t.Errorf("waited %s, want %s at most", waited, tc.most)
					}
					start = time.Now()
					expect(t, s, es256(t, k.p256, "a"), "ok")
					if waited := time.Since(start); waited != 0 {
						t.Errorf("a known key waited %s", waited)
					}
				}
			})
		})
	}
	t.Run("the caller goes away", func(t *testing.T) {
		bubble(t, servesKeys(jwkOf(t, "a", k.p256)), nil, func(t *testing.T, s *Scheme, p *provider, _ *events) {
			p.does(hangs)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			defer cancel()
			start := time.Now()
			_, denial, err := s.Authenticate(ctx, bearerOf(es256(t, k.p256b, "b")))
			if denial != nil || err == nil || time.Since(start) != 10*time.Millisecond {
				t.Errorf("got %v, %v after %s, want an error after 10ms", denial, err, time.Since(start))
			}
		})
	})
}

func TestJWKSKidIsTold(t *testing.T) {
	k := testKeys()
	bubble(t, servesKeys(jwkOf(t, "a", k.p256), jwkOf(t, "b", k.p384)), nil, func(t *testing.T, s *Scheme, _ *provider, _ *events) {
		for kid, want := range map[string]string{"": "kid is absent", "c": `kid "c"`} {
			_, denial, _ := s.Authenticate(t.Context(), bearerOf(es256(t, k.p256, kid)))
			if denial == nil || denial.Value != want || denial.Bound != "one of the 2 keys of issuer idp" {
				t.Errorf("got %+v, want %q", denial, want)
			}
		}
	})
}

// A kid that came meanwhile is not asked for.
func TestConsultFindsWhatCameMeanwhile(t *testing.T) {
	k := testKeys()
	bubble(t, servesKeys(jwkOf(t, "a", k.p256)), nil, func(t *testing.T, s *Scheme, p *provider, _ *events) {
		source := s.verifier.issuers[0].source.(*jwks)
		before := p.calls()
		if set, err := source.consult(t.Context(), "a", time.Now()); err != nil || len(set.candidates("a")) != 1 || p.calls() != before {
			t.Errorf("got %v, %v and %d fetches", set, err, p.calls()-before)
		}
		expect(t, s, es256(t, k.p256b, "b"), "token_key_unknown")
		if _, absent := source.absent["b"]; !absent {
			t.Error("an absent kid is not remembered")
		}
	})
	bubble(t, isDown, nil, func(t *testing.T, s *Scheme, p *provider, _ *events) {
		p.does(servesKeys(jwkOf(t, "a", k.p256)))
		expect(t, s, es256(t, k.p256, "a"), "ok")
		if n := len(s.verifier.issuers[0].source.(*jwks).absent); n != 0 {
			t.Errorf("%d kids are remembered as absent that are there", n)
		}
	})
}
