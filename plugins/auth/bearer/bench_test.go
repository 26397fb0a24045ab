package bearer

import (
	"context"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/ainative/portcullis/plugins"
)

// nothingRevoked stands for a revocation list that has entries, none of them
// for the token.
type nothingRevoked map[string]struct{}

func (nothingRevoked) KeyRevoked(issuer, kid string) bool { return issuer == kid }

func (n nothingRevoked) Revoked(issuer, jti, subject string, _ time.Time) bool {
	_, byID := n[jti]
	_, bySubject := n[subject]
	return byID || bySubject
}

// BenchmarkCacheHit is the target of the hot path: below a microsecond and at
// most two allocations.
func BenchmarkCacheHit(b *testing.B) {
	s := newSchemeOf(b, Config{Issuers: []IssuerConfig{secretIssuer()}, DefaultRole: "USER", Revoked: nothingRevoked{"x": {}}})
	token := hs256Claims(b, map[string]any{
		"sub": "user-1234567890", "role": "USER", "tier": "pro", "jti": "0193f7c2-7b1e-7e55-9a53-6f0f4c6d1a2b",
		"iss": "https://issuer.example", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
	})
	c := bearerOf(token)
	ctx := context.Background()
	mustPrincipal(b, s, token)
	b.ReportAllocs()
	b.SetBytes(int64(len(token)))
	for b.Loop() {
		if p, _, _ := s.Authenticate(ctx, c); p == nil {
			b.Fatal("refused")
		}
	}
}

func BenchmarkCacheHitParallel(b *testing.B) {
	s := newSchemeOf(b, Config{Issuers: []IssuerConfig{secretIssuer()}, Revoked: nothingRevoked{"x": {}}})
	token := hs256Claims(b, map[string]any{"sub": "alice", "exp": time.Now().Add(time.Hour).Unix()})
	c := bearerOf(token)
	mustPrincipal(b, s, token)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if p, _, _ := s.Authenticate(context.Background(), c); p == nil {
				b.Error("refused")
				return
			}
		}
	})
}

// BenchmarkCold verifies without the cache, beside golang-jwt alone with the
// options that come closest.
func BenchmarkCold(b *testing.B) {
	k := testKeys()
	for _, bc := range []struct {
		name   string
		issuer IssuerConfig
		method jwt.SigningMethod
		sign   any
		verify any
	}{
		{"HS256", secretIssuer(), jwt.SigningMethodHS256, []byte(testSecret), []byte(testSecret)},
		{"RS256", keyIssuer(b, k.rsa), jwt.SigningMethodRS256, k.rsa, k.rsa.Public()},
		{"ES256", keyIssuer(b, k.p256), jwt.SigningMethodES256, k.p256, k.p256.Public()},
		{"EdDSA", keyIssuer(b, k.ed), jwt.SigningMethodEdDSA, k.ed, k.ed.Public()},
	} {
		claims := mustJSON(b, map[string]any{
			"sub": "user-1234567890", "role": "USER", "tier": "pro", "jti": "0193f7c2-7b1e-7e55-9a53-6f0f4c6d1a2b",
			"iss": "https://issuer.example", "iat": testNow.Unix(), "exp": testNow.Add(time.Hour).Unix(),
		})
		token := signRaw(b, bc.method, bc.sign, `{"alg":"`+bc.name+`","typ":"JWT"}`, claims)
		b.Run(bc.name+"/ours", func(b *testing.B) {
			s := newScheme(b, bc.issuer)
			c := bearerOf(token)
			b.ReportAllocs()
			for b.Loop() {
				if p, d, err := s.Authenticate(context.Background(), c); p == nil {
					b.Fatal(d, err)
				}
			}
		})
		b.Run(bc.name+"/golang-jwt", func(b *testing.B) {
			parser := jwt.NewParser(jwt.WithValidMethods([]string{bc.name}), jwt.WithExpirationRequired(),
				jwt.WithIssuedAt(), jwt.WithStrictDecoding(), jwt.WithTimeFunc(fixedClock))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := parser.Parse(token, func(*jwt.Token) (any, error) { return bc.verify, nil }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRefused is what an enemy can make us do without a key.
func BenchmarkRefused(b *testing.B) {
	s := newScheme(b, IssuerConfig{Name: "main", Secret: plugins.NewSecret(testSecret)})
	for _, bc := range []struct{ name, token string }{
		{"signature", hs256Claims(b, goodClaims()) + "A"},
		{"8 KiB of empty objects", hs256(b, `{"alg":"HS256"}`, `{"a":[`+repeatJoin("{}", ",", 2000)+`]}`)},
		{"8 KiB of nesting", hs256(b, `{"alg":"HS256"}`, repeatJoin(`{"a":`, "", 1000))},
		{"most members", hs256(b, `{"alg":"HS256"}`, `{`+manyMembers(maxMembers)+`}`)},
	} {
		b.Run(bc.name, func(b *testing.B) {
			c := bearerOf(bc.token)
			b.ReportAllocs()
			for b.Loop() {
				if p, _, _ := s.Authenticate(context.Background(), c); p != nil {
					b.Fatal("accepted")
				}
			}
		})
	}
}
