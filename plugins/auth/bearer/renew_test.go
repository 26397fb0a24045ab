package bearer_test

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/auth/bearer"
)

// revokedIDs is a bearer.RevocationChecker.
type revokedIDs map[string]bool

func (r revokedIDs) Revoked(_, jti, _ string, _ time.Time) bool { return r[jti] }

func (revokedIDs) KeyRevoked(_, kid string) bool { return kid == "lost" }

// A token may be renewed for a while after it has expired, and for nothing else
// that would be refused.
func TestRenewable(t *testing.T) {
	now := time.Unix(1770112800, 0)
	const secret = "a secret for tests that is long enough for HS256"
	v, err := bearer.New(bearer.Config{
		Issuers: []bearer.IssuerConfig{{Name: "main", Secret: plugins.NewSecret(secret), Iss: "me"}, {Name: "other", Secret: plugins.NewSecret(secret + secret)}},
		Clock:   func() time.Time { return now }, Revoked: revokedIDs{"gone": true},
	})
	if err != nil {
		t.Fatal(err)
	}
	scheme, err := v.Scheme("main")
	if err != nil {
		t.Fatal(err)
	}
	const window = 24 * time.Hour
	withKid := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"iss": "me", "sub": "u1", "exp": now.Unix()})
	withKid.Header["kid"] = "lost"
	lost, err := withKid.SignedString([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	sign := func(key string, changes jwt.MapClaims) string {
		claims := jwt.MapClaims{"iss": "me", "sub": "u1", "jti": "j1", "sid": "f1", "iat": now.Add(-8 * time.Hour).Unix(), "exp": now.Unix()}
		maps.Copy(claims, changes)
		token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(key))
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	at := func(exp time.Time) jwt.MapClaims {
		return jwt.MapClaims{"iat": exp.Add(-8 * time.Hour).Unix(), "exp": exp.Unix()}
	}
	for _, tc := range []struct {
		name   string
		token  string
		reason plugins.Reason
	}{
		{"good", sign(secret, at(now.Add(time.Hour))), ""},
		{"expired just now", sign(secret, at(now)), ""},
		{"expired long ago", sign(secret, at(now.Add(time.Second-window))), ""},
		{"too old", sign(secret, at(now.Add(-window))), plugins.ReasonTokenExpired},
		{"much too old", sign(secret, at(now.Add(-100*window))), plugins.ReasonTokenExpired},
		{"revoked", sign(secret, jwt.MapClaims{"jti": "gone"}), ""},
		{"forged", sign(secret+"x", nil), plugins.ReasonTokenSignature},
		{"of another issuer", sign(secret+secret, jwt.MapClaims{"iss": nil}), plugins.ReasonTokenClaimInvalid},
		{"of an issuer that is not known", sign(secret, jwt.MapClaims{"iss": "x"}), plugins.ReasonTokenIssuer},
		{"made to live too long", sign(secret, jwt.MapClaims{"iat": now.Add(-100 * time.Hour).Unix()}), plugins.ReasonTokenLifetime},
		{"exp as text", sign(secret, jwt.MapClaims{"exp": "1"}), plugins.ReasonTokenClaimInvalid},
		{"sid as a list", sign(secret, jwt.MapClaims{"sid": []string{"f1"}}), plugins.ReasonTokenClaimInvalid},
		{"no token", "abc", plugins.ReasonTokenMalformed},
		{"not yet valid", sign(secret, jwt.MapClaims{"nbf": now.Add(time.Hour).Unix(), "exp": now.Add(2 * time.Hour).Unix(), "iat": now.Unix()}), plugins.ReasonTokenNotYetValid},
		{"by a revoked key", lost, plugins.ReasonTokenRevoked},
		{"without exp", sign(secret, jwt.MapClaims{"exp": nil}), plugins.ReasonTokenClaimInvalid},
		{"too long", strings.Repeat("a", 9000), plugins.ReasonTokenTooLong},
	} {
		found, denial, err := scheme.Renewable(t.Context(), tc.token, window)
		switch {
		case err != nil:
			t.Errorf("%s: %v", tc.name, err)
		case tc.reason == "" && (denial != nil || found.Family != "f1" || found.Principal.Subject != "u1" || found.Revoked != (tc.name == "revoked")):
			t.Errorf("%s: got %+v, %+v", tc.name, found, denial)
		case tc.reason != "" && (denial == nil || denial.Reason != tc.reason):
			t.Errorf("%s: got %+v, %+v, want %s", tc.name, found, denial, tc.reason)
		}
	}
	// Where nothing is ever revoked.
	bare, err := bearer.New(bearer.Config{
		Issuers: []bearer.IssuerConfig{{Name: "main", Secret: plugins.NewSecret(secret), Iss: "me"}}, Clock: func() time.Time { return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	if scheme, err = bare.Scheme(); err != nil {
		t.Fatal(err)
	}
	if found, denial, err := scheme.Renewable(t.Context(), sign(secret, nil), window); err != nil || denial != nil || found.Revoked {
		t.Errorf("without revocations: got %+v, %+v, %v", found, denial, err)
	}
}
