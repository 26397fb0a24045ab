package bearer

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/auth"
)

const testSecret = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// testNow is what every test's clock says unless it says otherwise.
var testNow = time.Date(2026, 2, 3, 10, 0, 0, 0, time.UTC)

func fixedClock() time.Time { return testNow }

//go:fix inline
func ptr[T any](v T) *T { return new(v) }

// goodClaims are accepted by every issuer of these tests.
func goodClaims() map[string]any {
	return map[string]any{
		"sub": "alice",
		"iat": testNow.Unix(),
		"exp": testNow.Add(time.Hour).Unix(),
	}
}

// with returns the good claims with changes; a nil value takes a claim away.
func with(changes map[string]any) map[string]any {
	c := goodClaims()
	maps.Copy(c, changes)
	for k, v := range changes {
		if v == nil {
			delete(c, k)
		}
	}
	return c
}

// signRaw signs header and payload exactly as given.
func signRaw(t testing.TB, method jwt.SigningMethod, key any, header, payload string) string {
	t.Helper()
	input := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
	sig, err := method.Sign(input, key)
	if err != nil {
		t.Fatalf("signing: %v", err)
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(sig)
}

func hs256(t testing.TB, header, payload string) string {
	t.Helper()
	return signRaw(t, jwt.SigningMethodHS256, []byte(testSecret), header, payload)
}

func hs256Claims(t testing.TB, claims map[string]any) string {
	t.Helper()
	return hs256(t, `{"alg":"HS256","typ":"JWT"}`, mustJSON(t, claims))
}

func mustJSON(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func secretIssuer() IssuerConfig {
	return IssuerConfig{Name: "main", Secret: plugins.NewSecret(testSecret)}
}

// newScheme makes a scheme for all issuers, without a cache.
func newScheme(t testing.TB, issuers ...IssuerConfig) *Scheme {
	t.Helper()
	return newSchemeOf(t, Config{Issuers: issuers, Clock: fixedClock, DefaultRole: "USER", CacheEntries: -1})
}

func newSchemeOf(t testing.TB, cfg Config) *Scheme {
	t.Helper()
	v, err := New(cfg)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	s, err := v.Scheme()
	if err != nil {
		t.Fatalf("Scheme: %v", err)
	}
	return s
}

func bearerOf(token string) auth.Credential {
	return auth.Credential{Source: auth.FromAuthorization, Value: token}
}

// outcome runs a token and names what came of it: "ok", the reason of a denial,
// "not mine", or the reason of a failure after "503 ".
func outcome(t testing.TB, s *Scheme, token string) string {
	t.Helper()
	p, denial, err := s.Authenticate(context.Background(), bearerOf(token))
	set := 0
	for _, is := range []bool{p != nil, denial != nil, err != nil} {
		if is {
			set++
		}
	}
	if set != 1 {
		t.Fatalf("Authenticate set %d of three results, want exactly one: %v %v %v", set, p, denial, err)
	}
	var u *plugins.Unavailable
	switch {
	case p != nil:
		return "ok"
	case denial != nil:
		if denial.Status != 401 || denial.Detail != auth.DetailCredentials {
			t.Errorf("denial is %d %q, want 401 with the fixed text", denial.Status, denial.Detail)
		}
		return string(denial.Reason)
	case errors.Is(err, auth.ErrNotMine):
		return "not mine"
	case errors.As(err, &u):
		return "503 " + string(u.Reason)
	}
	t.Fatalf("unexpected error %v", err)
	return ""
}

func mustPrincipal(t testing.TB, s *Scheme, token string) *plugins.Principal {
	t.Helper()
	p, denial, err := s.Authenticate(context.Background(), bearerOf(token))
	if p == nil {
		t.Fatalf("refused: %+v %v", denial, err)
	}
	return p
}

func TestAuthenticateSorts(t *testing.T) {
	s := newScheme(t, secretIssuer())
	good := hs256Claims(t, goodClaims())
	for _, tc := range []struct {
		name, value string
		want        string
	}{
		{"a good token", good, "ok"},
		{"an API key", "sk_live_0123456789abcdefghijABCDEFGHIJ01abcdef", "not mine"},
		{"an API key of the test environment", "sk_test_0123456789abcdefghijABCDEFGHIJ01abcdef", "not mine"},
		{"an API key with dots", "sk_live_a.b.c", "not mine"},
		{"an API key of the test environment with dots", "sk_test_a.b.c", "not mine"},
		{"an algorithm without a name", hs256(t, `{"alg":""}`, mustJSON(t, goodClaims())), "token_algorithm_refused"},
		{"a word", "abc", "not mine"},
		{"a long word", strings.Repeat("a", 9000), "not mine"},
		{"the start of a token", "eyJhbGciOiJIUzI1NiJ9", "token_malformed"},
		{"one dot", "a.b", "token_malformed"},
		{"two dots of nothing", "..", "token_malformed"},
		{"three dots", good + ".a", "token_malformed"},
		{"five parts", "eyJ.a.b.c.d", "token_malformed"},
		{"a word before the token", "invalid-" + good, "token_malformed"},
		{"too long", good + strings.Repeat("A", maxTokenBytes), "token_too_long"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := outcome(t, s, tc.value); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
	t.Run("an algorithm without a name is malformed whoever the issuer is", func(t *testing.T) {
		if parsed, denial := scan(hs256(t, `{"alg":""}`, mustJSON(t, goodClaims()))); denial == nil || denial.Value != "alg is empty" {
			t.Errorf("got %+v, %+v", parsed, denial)
		}
	})
	t.Run("the refusal says what was found", func(t *testing.T) {
		_, denial, _ := s.Authenticate(context.Background(), bearerOf(good+".a"))
		if denial == nil || denial.Value != "3 dots" || denial.Bound != "exactly 2 dots" {
			t.Errorf("denial %+v", denial)
		}
		if s.Name() != plugins.SchemeBearer {
			t.Errorf("name %q", s.Name())
		}
	})
	t.Run("the key header", func(t *testing.T) {
		_, _, err := s.Authenticate(context.Background(), auth.Credential{Source: auth.FromKeyHeader, Value: good})
		if !errors.Is(err, auth.ErrNotMine) {
			t.Errorf("got %v, want ErrNotMine", err)
		}
	})
}
