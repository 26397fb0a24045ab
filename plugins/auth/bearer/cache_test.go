package bearer

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins"
)

// movingClock is a clock that a test sets.
type movingClock struct{ nanos atomic.Int64 }

func newMovingClock() *movingClock {
	c := &movingClock{}
	c.nanos.Store(testNow.UnixNano())
	return c
}

func (c *movingClock) now() time.Time          { return time.Unix(0, c.nanos.Load()) }
func (c *movingClock) advance(d time.Duration) { c.nanos.Add(int64(d)) }

// revocations are what a test has revoked, and what was asked.
type revocations struct {
	jti, subject string
	before       time.Time
	asked        int
	last         []string
	issued       time.Time
	kid          string
}

func (r *revocations) KeyRevoked(issuer, kid string) bool {
	return issuer == "main" && r.kid != "" && kid == r.kid
}

func (r *revocations) Revoked(issuer, jti, subject string, issued time.Time) bool {
	r.asked++
	r.last, r.issued = []string{issuer, jti, subject}, issued
	return r.jti != "" && jti == r.jti || r.subject != "" && subject == r.subject && !issued.After(r.before)
}

func TestCacheHit(t *testing.T) {
	clock := newMovingClock()
	s := newSchemeOf(t, Config{Issuers: []IssuerConfig{secretIssuer()}, Clock: clock.now})
	token := hs256Claims(t, goodClaims())
	first := mustPrincipal(t, s, token)
	if second := mustPrincipal(t, s, strings.Clone(token)); second != first {
		t.Error("the second time made another principal")
	}
	s.verifier.cache.entries.CleanUp()
	if got := s.verifier.CacheStats(); got.Hits != 1 || got.Misses != 1 || got.Entries != 1 || got.Bytes == 0 {
		t.Errorf("stats %+v, want a hit, a miss and an entry", got)
	}
	clock.advance(maxCachedFor)
	if again := mustPrincipal(t, s, token); again == first {
		t.Error("the entry lived beyond a minute")
	}
	if got := s.verifier.CacheStats(); got.Hits != 1 || got.Misses != 2 {
		t.Errorf("stats %+v, want a hit and two misses", got)
	}
}

func TestCacheEndsWithToken(t *testing.T) {
	clock := newMovingClock()
	c := secretIssuer()
	c.Leeway = ptr(5 * time.Second)
	s := newSchemeOf(t, Config{Issuers: []IssuerConfig{c}, Clock: clock.now})
	token := hs256Claims(t, with(map[string]any{"exp": testNow.Add(10 * time.Second).Unix()}))
	expect(t, s, token, "ok")
	clock.advance(15*time.Second - 1)
	expect(t, s, token, "ok")
	clock.advance(1)
	expect(t, s, token, "token_expired")
}

func TestCacheHoldsNoRefusals(t *testing.T) {
	clock := newMovingClock()
	s := newSchemeOf(t, Config{Issuers: []IssuerConfig{secretIssuer()}, Clock: clock.now})
	token := hs256Claims(t, with(map[string]any{"nbf": testNow.Add(time.Minute).Unix()}))
	expect(t, s, token, "token_not_yet_valid")
	if got := s.verifier.CacheStats().Entries; got != 0 {
		t.Errorf("%d entries, want none", got)
	}
	clock.advance(time.Minute)
	expect(t, s, token, "ok")
}

func TestRevocation(t *testing.T) {
	for _, entries := range []int{0, -1} {
		t.Run(fmt.Sprintf("cache entries %d", entries), func(t *testing.T) {
			r := &revocations{}
			s := newSchemeOf(t, Config{Issuers: []IssuerConfig{secretIssuer()}, Clock: fixedClock, Revoked: r, CacheEntries: entries})
			token := hs256Claims(t, with(map[string]any{"jti": "j1"}))
			expect(t, s, token, "ok")
			expect(t, s, token, "ok")
			if r.asked != 2 || fmt.Sprint(r.last) != "[main j1 alice]" || !r.issued.Equal(testNow) {
				t.Errorf("asked %d times, last about %q of %s", r.asked, r.last, r.issued)
			}
			r.jti = "j1"
			expect(t, s, token, "token_revoked")
			expect(t, s, token, "token_revoked")
			r.jti = ""
			expect(t, s, token, "ok")
			r.subject, r.before = "alice", testNow
			expect(t, s, token, "token_revoked")
			expect(t, s, hs256Claims(t, with(map[string]any{"iat": testNow.Add(time.Second).Unix()})), "ok")
			r.subject, r.kid = "", "k1"
			named := hs256(t, `{"alg":"HS256","kid":"k1"}`, mustJSON(t, goodClaims()))
			expect(t, s, named, "token_revoked")
			expect(t, s, token, "ok")
			r.kid = "k2"
			expect(t, s, named, "ok")
			r.kid = "k1"
			expect(t, s, named, "token_revoked") // from the cache, where there is one
			r.kid, r.subject = "", "alice"
			// A token without iat counts as older than any revocation.
			expect(t, s, hs256Claims(t, with(map[string]any{"iat": nil})), "token_revoked")
		})
	}
}

func TestCacheBounds(t *testing.T) {
	const entries = 100
	s := newSchemeOf(t, Config{Issuers: []IssuerConfig{secretIssuer()}, Clock: fixedClock, CacheEntries: entries, CacheBytes: entries << 10})
	for i := range 10 * entries {
		expect(t, s, hs256Claims(t, with(map[string]any{"jti": fmt.Sprint(i)})), "ok")
	}
	s.verifier.cache.entries.CleanUp()
	if got := s.verifier.CacheStats(); got.Entries > entries || got.Bytes > entries<<10 {
		t.Errorf("stats %+v, want %d entries and %d bytes at most", got, entries, entries<<10)
	}
	t.Run("by bytes", func(t *testing.T) {
		s := newSchemeOf(t, Config{Issuers: []IssuerConfig{secretIssuer()}, Clock: fixedClock, CacheEntries: entries, CacheBytes: entries << 10})
		big := strings.Repeat("scope-of-some-length ", 200)
		for i := range entries {
			expect(t, s, hs256Claims(t, with(map[string]any{"jti": fmt.Sprint(i), "scope": big})), "ok")
		}
		s.verifier.cache.entries.CleanUp()
		if got := s.verifier.CacheStats(); got.Entries > 20 || got.Bytes > entries<<10 {
			t.Errorf("stats %+v, want far fewer entries", got)
		}
	})
	t.Run("a byte an entry is the least", func(t *testing.T) {
		if _, err := New(Config{Issuers: []IssuerConfig{secretIssuer()}, CacheEntries: 100, CacheBytes: 100}); err != nil {
			t.Error(err)
		}
	})
	t.Run("off", func(t *testing.T) {
		s := newScheme(t, secretIssuer())
		token := hs256Claims(t, goodClaims())
		if first, second := mustPrincipal(t, s, token), mustPrincipal(t, s, token); first == second || s.verifier.CacheStats() != (CacheStats{}) {
			t.Errorf("a cache that is off remembers: %+v", s.verifier.CacheStats())
		}
	})
	t.Run("nonsense is refused", func(t *testing.T) {
		_, err := New(Config{Issuers: []IssuerConfig{secretIssuer()}, CacheEntries: 100, CacheBytes: 10})
		if err == nil {
			t.Error("100 entries in 10 bytes are taken")
		}
	})
}

func TestCacheSharesNoMemoryWithTheRequest(t *testing.T) {
	s := newSchemeOf(t, Config{Issuers: []IssuerConfig{secretIssuer()}, Clock: fixedClock})
	buffer := []byte(hs256Claims(t, with(map[string]any{"jti": "j1", "role": "USER", "scope": "read", "tier": "pro"})))
	p := mustPrincipal(t, s, string(buffer))
	want := mustJSON(t, p)
	if again := mustPrincipal(t, s, string(buffer)); again != p || mustJSON(t, again) != want {
		t.Errorf("principal changed: %+v", again)
	}
}

func TestCacheHitAllocates(t *testing.T) {
	s := newSchemeOf(t, Config{Issuers: []IssuerConfig{secretIssuer()}, Clock: fixedClock, Revoked: nothingRevoked{}})
	c := bearerOf(hs256Claims(t, goodClaims()))
	mustPrincipal(t, s, c.Value)
	var p *plugins.Principal
	got := testing.AllocsPerRun(1000, func() { p, _, _ = s.Authenticate(context.Background(), c) })
	if p == nil || got > 2 {
		t.Errorf("%.0f allocations a hit, want 2 at most", got)
	}
}

// TestConcurrentUse is for the race detector: hits, misses, evictions and
// health at once.
func TestConcurrentUse(t *testing.T) {
	s := newSchemeOf(t, Config{Issuers: []IssuerConfig{secretIssuer()}, Clock: fixedClock, CacheEntries: 10, CacheBytes: 10 << 10})
	tokens := make([]string, 40)
	for i := range tokens {
		tokens[i] = hs256Claims(t, with(map[string]any{"jti": fmt.Sprint(i), "sub": fmt.Sprint("s", i)}))
	}
	done := make(chan struct{})
	for w := range 8 {
		go func() {
			defer func() { done <- struct{}{} }()
			for i := range 200 {
				n := (i*7 + w) % len(tokens)
				p, denial, err := s.Authenticate(context.Background(), bearerOf(tokens[n]))
				if p == nil || p.Subject != fmt.Sprint("s", n) {
					t.Errorf("token %d: %+v %+v %v", n, p, denial, err)
					return
				}
				s.verifier.CacheStats()
			}
		}()
	}
	for range 8 {
		<-done
	}
}
