package bearer

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins"
)

func TestInspectForm(t *testing.T) {
	token := hs256(t, `{"alg":"HS256","typ":"JWT","kid":"k1"}`, mustJSON(t, with(map[string]any{
		"iss": "https://issuer.example", "jti": "j1", "aud": []string{"a", "b"}, "nbf": testNow.Unix(), "sub": raw("9007199254740993"),
	})))
	in, err := Inspect(" " + token + "\n")
	if err != nil {
		t.Fatal(err)
	}
	if !in.Verdict.Accepted || in.Bytes != len(token) || in.Algorithm != "HS256" || in.Type != "JWT" || in.KeyID != "k1" ||
		in.Issuer != "https://issuer.example" || in.Subject != "9007199254740993" || in.TokenID != "j1" ||
		!slices.Equal(in.Audience, []string{"a", "b"}) || !in.IssuedAt.Equal(testNow) || !in.NotBefore.Equal(testNow) ||
		!in.ExpiresAt.Equal(testNow.Add(time.Hour)) || !slices.Equal(in.Notes, []string{"it was made to live 1h0m0s"}) {
		t.Errorf("inspection %+v", in)
	}
	if text := mustJSON(t, in); strings.Contains(text, token[strings.LastIndexByte(token, '.')+1:]) {
		t.Errorf("the inspection holds the signature: %s", text)
	}

	for _, tc := range []struct {
		name, token string
		reason      plugins.Reason
		note        string
	}{
		{"bare", hs256(t, `{"alg":"XY1"}`, `{}`), "", "no issuer can be configured for the algorithm"},
		{"without exp", hs256(t, `{"alg":"HS256"}`, `{}`), "", "it has no exp"},
		{"without iat", hs256(t, `{"alg":"HS256"}`, `{}`), "", "it has no iat"},
		{"without jti", hs256(t, `{"alg":"HS256"}`, `{}`), "", "it has no jti"},
		{"without sub", hs256(t, `{"alg":"HS256"}`, `{}`), "", "it has no sub"},
		{"exp as text", hs256(t, `{"alg":"HS256"}`, `{"exp":"1"}`), "", "exp is not a number"},
		{"encrypted", "eyJh.a.b.c.d", plugins.ReasonTokenMalformed, "JWE"},
		{"cut off", "eyJhbGciOiJIUzI1NiJ9", plugins.ReasonTokenMalformed, ""},
		{"too long", token + strings.Repeat(".", 9000), plugins.ReasonTokenTooLong, ""},
		{"duplicates", hs256(t, `{"alg":"HS256"}`, `{"a":1,"a":2}`), plugins.ReasonTokenDuplicateMember, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in, err := Inspect(tc.token)
			if err != nil {
				t.Fatal(err)
			}
			if in.Verdict.Reason != tc.reason || in.Verdict.Accepted != (tc.reason == "") {
				t.Errorf("verdict %+v, want reason %q", in.Verdict, tc.reason)
			}
			if notes := strings.Join(in.Notes, "; "); !strings.Contains(notes, tc.note) {
				t.Errorf("notes %q, want %q", notes, tc.note)
			}
		})
	}
	t.Run("duplicates are shown", func(t *testing.T) {
		in, err := Inspect(hs256(t, `{"alg":"HS256"}`, `{ "a":1,"a":2 }`))
		if err != nil || string(in.Claims) != `{"a":1,"a":2}` || string(in.Header) != `{"alg":"HS256"}` {
			t.Errorf("claims %s (%v)", in.Claims, err)
		}
	})
	t.Run("parts that are not JSON are left out", func(t *testing.T) {
		in, err := Inspect(hs256(t, `{"alg":"HS256"}`, `{"a":`))
		if err != nil || in.Claims != nil || string(in.Header) != `{"alg":"HS256"}` {
			t.Errorf("header %s, claims %s (%v)", in.Header, in.Claims, err)
		}
		mustJSON(t, in)
	})
	t.Run("of the longest the parts are shown, of a longer one none", func(t *testing.T) {
		header := token[:strings.IndexByte(token, '.')+1]
		for n, want := range map[int]string{maxTokenBytes: `{"alg":"HS256","typ":"JWT","kid":"k1"}`, maxTokenBytes + 1: ""} {
			in, err := Inspect(header + strings.Repeat("A", n-len(header)))
			if err != nil || string(in.Header) != want {
				t.Errorf("%d bytes: header %s (%v), want %s", n, in.Header, err, want)
			}
		}
	})
	t.Run("four parts are no JWE", func(t *testing.T) {
		for dots, want := range map[string]bool{"eyJh.a.b.c": false, "eyJh.a.b.c.d": true, "eyJh.a.b.c.d.e": false} {
			in, err := Inspect(dots)
			if err != nil || strings.Contains(strings.Join(in.Notes, ";"), "JWE") != want {
				t.Errorf("%s: notes %q (%v)", dots, in.Notes, err)
			}
		}
	})
	t.Run("exp without iat", func(t *testing.T) {
		in, err := Inspect(hs256(t, `{"alg":"HS256"}`, `{"exp":1}`))
		if err != nil || in.ExpiresAt == nil || in.IssuedAt != nil {
			t.Errorf("inspection %+v (%v)", in, err)
		}
	})
	for _, other := range []string{"", "abc", "sk_live_0123456789abcdefghijABCDEFGHIJ01abcdef"} {
		if _, err := Inspect(other); !errors.Is(err, ErrNoToken) {
			t.Errorf("%q: got %v, want ErrNoToken", other, err)
		}
	}
}

func TestInspectJudges(t *testing.T) {
	r := &revocations{}
	p := &provider{answer: isDown}
	v, err := New(Config{
		Issuers: []IssuerConfig{secretIssuer(), {Name: "idp", Iss: "https://idp.example", JWKS: providerURL}},
		Clock:   fixedClock, Revoked: r,
	})
	if err != nil {
		t.Fatal(err)
	}
	v.issuers[1].source.(*jwks).fetcher.client.Transport = p
	judge := func(token string, issuers ...string) Verdict {
		t.Helper()
		in, err := v.Inspect(t.Context(), token, issuers...)
		if err != nil {
			t.Fatal(err)
		}
		return in.Verdict
	}
	good := hs256Claims(t, with(map[string]any{"jti": "j1"}))
	if got := judge(good); !got.Accepted || got.Principal == nil || got.Principal.Subject != "alice" {
		t.Errorf("good: %+v", got)
	}
	if got := judge(hs256Claims(t, with(map[string]any{"exp": 1}))); got.Accepted || got.Reason != plugins.ReasonTokenExpired || got.Value == "" || got.Bound == "" {
		t.Errorf("expired: %+v", got)
	}
	if got := judge(good, "idp"); got.Reason != plugins.ReasonTokenIssuer {
		t.Errorf("another site: %+v", got)
	}
	if got := judge(hs256(t, `{"alg":"ES256","kid":"a"}`, mustJSON(t, with(map[string]any{"iss": "https://idp.example"})))); got.Unavailable == "" || got.Accepted {
		t.Errorf("provider down: %+v", got)
	}
	if got := judge("eyJ.broken"); got.Accepted || got.Reason != plugins.ReasonTokenMalformed {
		t.Errorf("malformed: %+v", got)
	}
	r.jti = "j1"
	if got := judge(good); got.Reason != plugins.ReasonTokenRevoked {
		t.Errorf("revoked: %+v", got)
	}
	if got := v.CacheStats(); got.Entries+int(got.Hits+got.Misses) != 0 {
		t.Errorf("the cache was used: %+v", got)
	}
	if _, err := v.Inspect(t.Context(), "abc"); !errors.Is(err, ErrNoToken) {
		t.Errorf("no token: got %v", err)
	}
	if _, err := v.Inspect(t.Context(), good, "nobody"); err == nil {
		t.Error("an unknown issuer is no error")
	}
}
