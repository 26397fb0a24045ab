package bearer

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins"
)

// raw puts JSON text into claims as it stands.
func raw(text string) json.RawMessage { return json.RawMessage(text) }

func TestAudience(t *testing.T) {
	for _, tc := range []struct {
		name     string
		accepted []string
		aud      any
		want     string
	}{
		{"none configured, none sent", nil, nil, "ok"},
		{"none configured, one sent", nil, "api", "ok"},
		{"none configured, a number", nil, 1, "token_claim_invalid"},
		{"none configured, a list with a number", nil, []any{"test", 1}, "token_claim_invalid"},
		{"none configured, null", nil, raw("null"), "token_claim_invalid"},
		{"absent", []string{"api"}, nil, "token_audience_mismatch"},
		{"the one", []string{"api"}, "api", "ok"},
		{"another", []string{"api"}, "web", "token_audience_mismatch"},
		{"another case", []string{"api"}, "API", "token_audience_mismatch"},
		{"a longer one", []string{"https://api.example"}, "https://api.example.evil", "token_audience_mismatch"},
		{"a shorter one", []string{"https://api.example"}, "https://api", "token_audience_mismatch"},
		{"empty text", []string{"api"}, "", "token_audience_mismatch"},
		{"an empty list", []string{"api"}, []any{}, "token_audience_mismatch"},
		{"one of a list", []string{"api"}, []any{"web", "api"}, "ok"},
		{"none of a list", []string{"api"}, []any{"web", "app"}, "token_audience_mismatch"},
		{"one of a list with a number", []string{"api"}, []any{"api", 1}, "token_claim_invalid"},
		{"the second configured", []string{"web", "api"}, "api", "ok"},
		{"an object", []string{"api"}, map[string]any{"api": true}, "token_claim_invalid"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := secretIssuer()
			c.Audiences = tc.accepted
			expect(t, newScheme(t, c), hs256Claims(t, with(map[string]any{"aud": tc.aud})), tc.want)
		})
	}
}

func TestIssuers(t *testing.T) {
	k := testKeys()
	named := func(name, iss, secret string) IssuerConfig {
		return IssuerConfig{Name: name, Iss: iss, Secret: plugins.NewSecret(secret)}
	}
	a := named("a", "https://a.example", testSecret)
	b := keyIssuer(t, k.p256)
	b.Iss = "https://b.example"
	fallback := named("rest", "", "another secret of more than thirty-two bytes")
	withIss := func(iss any) string { return hs256Claims(t, with(map[string]any{"iss": iss})) }

	for _, tc := range []struct {
		name    string
		issuers []IssuerConfig
		token   string
		want    string
	}{
		{"the right one", []IssuerConfig{a, b}, withIss("https://a.example"), "ok"},
		{"none", []IssuerConfig{a, b}, withIss(nil), "token_issuer_unknown"},
		{"unknown", []IssuerConfig{a, b}, withIss("https://c.example"), "token_issuer_unknown"},
		{"a longer name", []IssuerConfig{a, b}, withIss("https://a.example/"), "token_issuer_unknown"},
		{"another case", []IssuerConfig{a, b}, withIss("https://A.example"), "token_issuer_unknown"},
		{"empty", []IssuerConfig{a, b}, withIss(""), "token_issuer_unknown"},
		{"a number", []IssuerConfig{a, b}, withIss(1), "token_claim_invalid"},
		{"a list", []IssuerConfig{a, b}, withIss([]string{"https://a.example"}), "token_claim_invalid"},
		{"null", []IssuerConfig{a, fallback}, withIss(raw("null")), "token_claim_invalid"},
		{"a's key in b's name", []IssuerConfig{a, b}, withIss("https://b.example"), "token_algorithm_refused"},
		{"a's key in the fallback's name", []IssuerConfig{a, fallback}, withIss("https://c.example"), "token_signature_invalid"},
		{
			"the fallback's key in a's name",
			[]IssuerConfig{named("a", "https://a.example", fallback.Secret.Reveal()+"!"), named("rest", "", testSecret)},
			withIss("https://a.example"), "token_signature_invalid",
		},
		{"the fallback, unknown iss", []IssuerConfig{b, named("rest", "", testSecret)}, withIss("https://c.example"), "ok"},
		{"the fallback, no iss", []IssuerConfig{b, named("rest", "", testSecret)}, withIss(nil), "ok"},
	} {
		t.Run(tc.name, func(t *testing.T) { expect(t, newScheme(t, tc.issuers...), tc.token, tc.want) })
	}

	t.Run("a site's own list", func(t *testing.T) {
		v, err := New(Config{Issuers: []IssuerConfig{a, b, fallback, named("rest2", "", testSecret)}, Clock: fixedClock})
		if err != nil {
			t.Fatal(err)
		}
		for _, tc := range []struct {
			names []string
			want  string
		}{
			{nil, "both have no iss"},
			{[]string{"a", "nobody"}, `issuer "nobody" is not defined; defined are a, idp, rest, rest2`},
			{[]string{"a", "a"}, "listed twice"},
			{[]string{"rest", "rest2"}, "both have no iss"},
			{[]string{"a", "rest"}, ""},
		} {
			_, err := v.Scheme(tc.names...)
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("Scheme(%q): got %v, want %q", tc.names, err, tc.want)
			}
		}
		only, err := v.Scheme("a")
		if err != nil {
			t.Fatal(err)
		}
		rest, err := v.Scheme("rest2")
		if err != nil {
			t.Fatal(err)
		}
		token := withIss("https://a.example")
		// In this order: what one site's list let pass must not be another's hit.
		if got := mustPrincipal(t, rest, token).Issuer; got != "rest2" {
			t.Errorf("issuer %q, want rest2", got)
		}
		if got := mustPrincipal(t, only, token).Issuer; got != "a" {
			t.Errorf("issuer %q, want a", got)
		}
		expect(t, only, withIss("https://c.example"), "token_issuer_unknown")
		ordered, err := v.Scheme("a", "rest2")
		if err != nil {
			t.Fatal(err)
		}
		if other, err := v.Scheme("rest2", "a"); err != nil || other.policy != ordered.policy {
			t.Errorf("the same list in another order makes another policy: %v", err)
		}
		again, err := v.Scheme("a")
		if err != nil || again.policy != only.policy {
			t.Errorf("the same list makes another policy: %v", err)
		}
	})
	t.Run("two of one iss", func(t *testing.T) {
		v, err := New(Config{Issuers: []IssuerConfig{a, named("a2", "https://a.example", testSecret)}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.Scheme(); err == nil || !strings.Contains(err.Error(), "have the same iss") {
			t.Errorf("got %v, want a refusal", err)
		}
	})
}

func TestRequire(t *testing.T) {
	for _, tc := range []struct {
		name    string
		require []string
		claims  map[string]any
		want    string
	}{
		{"there", []string{"jti", "sub"}, map[string]any{"jti": "j"}, "ok"},
		{"absent", []string{"jti"}, nil, "token_claim_missing"},
		{"null", []string{"tenant"}, map[string]any{"tenant": raw("null")}, "token_claim_missing"},
		{"empty", []string{"tenant"}, map[string]any{"tenant": ""}, "token_claim_missing"},
		{"false is there", []string{"admin"}, map[string]any{"admin": false}, "ok"},
		{"nested", []string{"org.unit.id"}, map[string]any{"org": map[string]any{"unit": map[string]any{"id": 7}}}, "ok"},
		{"nested, an object missing", []string{"org.unit.id"}, map[string]any{"org": map[string]any{}}, "token_claim_missing"},
		{"nested, text on the way", []string{"org.unit.id"}, map[string]any{"org": map[string]any{"unit": "x"}}, "token_claim_missing"},
		{"a name with dots", []string{"https://x.example/tenant"}, map[string]any{"https://x.example/tenant": "t"}, "ok"},
		{"nbf", []string{"nbf"}, nil, "token_claim_missing"},
		{"twice but for case", []string{"tenant"}, map[string]any{"tenant": "a", "Tenant": "b"}, "token_duplicate_member"},
		{"twice in other cases only", []string{"tenant"}, map[string]any{"TENANT": "a", "Tenant": "b"}, "token_claim_missing"},
		{"on the way twice but for case", []string{"org.id"}, map[string]any{"org": map[string]any{"id": 1}, "Org": map[string]any{"id": 2}}, "token_duplicate_member"},
		{"a name with dots twice but for case", []string{"a.b"}, map[string]any{"a.b": 1, "A.b": 2}, "token_duplicate_member"},
		{"a name with dots, and on the way twice", []string{"a.b"}, map[string]any{"a.b": 1, "a": raw(`{"b":1,"B":2}`)}, "token_duplicate_member"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := secretIssuer()
			c.Require = tc.require
			expect(t, newScheme(t, c), hs256Claims(t, with(tc.claims)), tc.want)
		})
	}
}

func TestSubject(t *testing.T) {
	for _, tc := range []struct {
		name   string
		path   string
		claims map[string]any
		want   string // the subject, or "!" and the reason
	}{
		{"text", "", nil, "alice"},
		{"a number", "", map[string]any{"sub": raw("19911110")}, "19911110"},
		{"a number above 2^53", "", map[string]any{"sub": raw("9007199254740993")}, "9007199254740993"},
		{"a number of 30 digits", "", map[string]any{"sub": raw("123456789012345678901234567890")}, "123456789012345678901234567890"},
		{"a negative number", "", map[string]any{"sub": raw("-7")}, "-7"},
		{"minus zero", "", map[string]any{"sub": raw("-0")}, "!token_claim_invalid"},
		{"a fraction", "", map[string]any{"sub": raw("1.5")}, "!token_claim_invalid"},
		{"an exponent", "", map[string]any{"sub": raw("1e3")}, "!token_claim_invalid"},
		{"a number of 256 digits", "", map[string]any{"sub": raw(strings.Repeat("1", 256))}, strings.Repeat("1", 256)},
		{"a number of 300 digits", "", map[string]any{"sub": raw(strings.Repeat("1", 300))}, "!token_claim_invalid"},
		{"absent", "", map[string]any{"sub": nil}, ""},
		{"empty", "", map[string]any{"sub": ""}, "!token_claim_invalid"},
		{"null", "", map[string]any{"sub": raw("null")}, "!token_claim_invalid"},
		{"true", "", map[string]any{"sub": true}, "!token_claim_invalid"},
		{"an object", "", map[string]any{"sub": map[string]any{"id": 1}}, "!token_claim_invalid"},
		{"a list", "", map[string]any{"sub": []string{"alice"}}, "!token_claim_invalid"},
		{"a line break", "", map[string]any{"sub": "alice\r\nX-User-Role: ADMIN"}, "!token_claim_invalid"},
		{"a NUL", "", map[string]any{"sub": "admin\x00"}, "!token_claim_invalid"},
		{"a C1 control", "", map[string]any{"sub": "a\u0085b"}, "!token_claim_invalid"},
		{"a line separator", "", map[string]any{"sub": "a\u2028b"}, "!token_claim_invalid"},
		{"a paragraph separator", "", map[string]any{"sub": "a\u2029b"}, "!token_claim_invalid"},
		{"a space before", "", map[string]any{"sub": " admin"}, "!token_claim_invalid"},
		{"a space after", "", map[string]any{"sub": "admin "}, "!token_claim_invalid"},
		{"a space within", "", map[string]any{"sub": "Ada Lovelace"}, "Ada Lovelace"},
		{"letters of the world", "", map[string]any{"sub": "zoë-日本"}, "zoë-日本"},
		{"256 bytes", "", map[string]any{"sub": strings.Repeat("a", 256)}, strings.Repeat("a", 256)},
		{"257 bytes", "", map[string]any{"sub": strings.Repeat("a", 257)}, "!token_claim_invalid"},
		{"another claim", "login", map[string]any{"login": "ada"}, "ada"},
		{"another claim, absent", "login", nil, ""},
		{"nested", "user.id", map[string]any{"user": map[string]any{"id": "u1"}}, "u1"},
		{"nested, not an object", "user.id", map[string]any{"user": "u1"}, "!token_claim_invalid"},
		{"nested, twice but for case", "user.id", map[string]any{"user": raw(`{"id":"u1","ID":"u2"}`)}, "!token_duplicate_member"},
		{"as a name with dots and nested", "user.id", map[string]any{"user.id": "u1", "user": map[string]any{"id": "u2"}}, "!token_duplicate_member"},
		{"a name with dots", "https://x.example/uid", map[string]any{"https://x.example/uid": "u1"}, "u1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := secretIssuer()
			c.Claims.Subject = tc.path
			s := newScheme(t, c)
			token := hs256Claims(t, with(tc.claims))
			if reason, refused := strings.CutPrefix(tc.want, "!"); refused {
				expect(t, s, token, reason)
				return
			}
			p := mustPrincipal(t, s, token)
			if p.Subject != tc.want {
				t.Errorf("subject %q, want %q", p.Subject, tc.want)
			}
			if owner := p.Owner; tc.want != "" && owner != tc.want || tc.want == "" && owner != p.Credential {
				t.Errorf("owner %q, want the subject, or the credential where there is none", owner)
			}
		})
	}
}

func TestRoles(t *testing.T) {
	for _, tc := range []struct {
		name   string
		path   string
		claims map[string]any
		want   []string
	}{
		{"absent: the default", "", nil, []string{"USER"}},
		{"text", "", map[string]any{"role": "ADMIN"}, []string{"ADMIN"}},
		{"text with a space is one role", "", map[string]any{"role": "SUPER ADMIN"}, []string{"SUPER ADMIN"}},
		{"a list", "", map[string]any{"role": []string{"A", "B"}}, []string{"A", "B"}},
		{"roles", "", map[string]any{"roles": []string{"A", "B"}}, []string{"A", "B"}},
		{"role before roles", "", map[string]any{"role": "A", "roles": []string{"B"}}, []string{"A"}},
		{"the same twice", "", map[string]any{"role": []string{"A", "A"}}, []string{"A"}},
		{"nested", "realm_access.roles", map[string]any{"realm_access": map[string]any{"roles": []string{"A"}}}, []string{"A"}},
		{"nested, an object missing: the default", "user.role", map[string]any{"user": map[string]any{}}, []string{"USER"}},
		{"nested, not an object: none", "user.role", map[string]any{"user": "x"}, nil},
		{"empty text: none, not the default", "", map[string]any{"role": ""}, nil},
		{"an empty list: none", "", map[string]any{"role": []string{}}, nil},
		{"null: none", "", map[string]any{"role": raw("null")}, nil},
		{"a number: none", "", map[string]any{"role": 7}, nil},
		{"an object: none", "", map[string]any{"role": map[string]any{"ADMIN": true}}, nil},
		{"a list with a number: none", "", map[string]any{"role": []any{"ADMIN", 7}}, nil},
		{"a list in a list: none", "", map[string]any{"role": []any{[]string{"ADMIN"}}}, nil},
		{"a list with empty text: none", "", map[string]any{"role": []string{"ADMIN", ""}}, nil},
		{"a comma: none", "", map[string]any{"role": "USER,ADMIN"}, nil},
		{"a space at the end: none", "", map[string]any{"role": "ADMIN "}, nil},
		{"256 bytes", "", map[string]any{"role": strings.Repeat("A", 256)}, []string{strings.Repeat("A", 256)}},
		{"too long: none", "", map[string]any{"role": strings.Repeat("A", 257)}, nil},
		{"malformed role before good roles: none", "", map[string]any{"role": 1, "roles": []string{"ADMIN"}}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := secretIssuer()
			c.Claims.Role = tc.path
			p := mustPrincipal(t, newScheme(t, c), hs256Claims(t, with(tc.claims)))
			if !slices.Equal(p.Roles, tc.want) {
				t.Errorf("roles %q, want %q", p.Roles, tc.want)
			}
		})
	}
	t.Run("control characters refuse the token", func(t *testing.T) {
		s := newScheme(t, secretIssuer())
		for _, role := range []any{"A\nB", []string{"A", "B\r\n"}} {
			expect(t, s, hs256Claims(t, with(map[string]any{"role": role})), "token_claim_invalid")
		}
	})
	t.Run("no default role", func(t *testing.T) {
		s := newSchemeOf(t, Config{Issuers: []IssuerConfig{secretIssuer()}, Clock: fixedClock})
		if p := mustPrincipal(t, s, hs256Claims(t, goodClaims())); p.Roles != nil {
			t.Errorf("roles %q, want none", p.Roles)
		}
	})
}

func TestScopesAndTier(t *testing.T) {
	for _, tc := range []struct {
		name   string
		claims map[string]any
		scopes []string
		tier   string
	}{
		{"absent", nil, nil, ""},
		{"text", map[string]any{"scope": "read write"}, []string{"read", "write"}, ""},
		{"spaces around", map[string]any{"scope": "  read   write "}, []string{"read", "write"}, ""},
		{"a list", map[string]any{"scope": []string{"read", "write"}}, []string{"read", "write"}, ""},
		{"a list of spaced text", map[string]any{"scope": []string{"read write", "admin"}}, []string{"read", "write", "admin"}, ""},
		{"a list in a list: none", map[string]any{"scope": []any{"read", []string{"write"}}}, nil, ""},
		{"scp", map[string]any{"scp": []string{"read"}}, []string{"read"}, ""},
		{"scope before scp", map[string]any{"scope": "a", "scp": "b"}, []string{"a"}, ""},
		{"512", map[string]any{"scope": strings.Repeat("a ", maxElements)}, slices.Repeat([]string{"a"}, maxElements), ""},
		{"513: none", map[string]any{"scope": strings.Repeat("a ", maxElements+1)}, nil, ""},
		{"a number: none", map[string]any{"scope": 1}, nil, ""},
		{"null: none", map[string]any{"scope": raw("null")}, nil, ""},
		{"a tier", map[string]any{"tier": "pro"}, nil, "pro"},
		{"a tier that is a number", map[string]any{"tier": 3}, nil, ""},
		{"a tier that is a list", map[string]any{"tier": []string{"pro"}}, nil, ""},
		{"an empty tier", map[string]any{"tier": ""}, nil, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := mustPrincipal(t, newScheme(t, secretIssuer()), hs256Claims(t, with(tc.claims)))
			if !slices.Equal(p.Scopes, tc.scopes) || p.Tier != tc.tier {
				t.Errorf("scopes %q tier %q, want %q %q", p.Scopes, p.Tier, tc.scopes, tc.tier)
			}
		})
	}
	t.Run("control characters refuse the token", func(t *testing.T) {
		s := newScheme(t, secretIssuer())
		expect(t, s, hs256Claims(t, with(map[string]any{"scope": "read\nwrite"})), "token_claim_invalid")
		expect(t, s, hs256Claims(t, with(map[string]any{"tier": "pro\x00"})), "token_claim_invalid")
	})
	t.Run("twice but for case", func(t *testing.T) {
		c := secretIssuer()
		c.Claims = ClaimPaths{Role: "app.r", Tier: "app.t", Scope: "app.s", TokenID: "app.i"}
		s := newScheme(t, c)
		for _, app := range []string{`{"r":"A","R":"B"}`, `{"t":"A","T":"B"}`, `{"s":"A","S":"B"}`, `{"i":"A","I":"B"}`} {
			expect(t, s, hs256Claims(t, with(map[string]any{"app": raw(app)})), "token_duplicate_member")
		}
	})
}

func TestPrincipal(t *testing.T) {
	c := secretIssuer()
	c.Iss = "https://issuer.example"
	s := newScheme(t, c)
	token := hs256Claims(t, with(map[string]any{
		"iss": "https://issuer.example", "jti": "j-1", "role": "DEVELOPER", "tier": "pro", "scope": "read",
	}))
	p := mustPrincipal(t, s, token)
	got := *p
	got.Roles, got.Scopes = nil, nil
	want := plugins.Principal{
		Subject: "alice", Owner: "alice", Tier: "pro", Scheme: plugins.SchemeBearer, Issuer: "main",
		TokenID: "j-1", Credential: "main:j-1", ExpiresAt: testNow.Add(3600e9),
	}
	if mustJSON(t, got) != mustJSON(t, want) {
		t.Errorf("principal\n got %+v\nwant %+v", got, want)
	}

	t.Run("without jti the credential is a hash", func(t *testing.T) {
		a := mustPrincipal(t, s, hs256Claims(t, with(map[string]any{"iss": "https://issuer.example"})))
		b := mustPrincipal(t, s, hs256Claims(t, with(map[string]any{"iss": "https://issuer.example", "x": 1})))
		if !strings.HasPrefix(a.Credential, "main:sha256-") || a.Credential == b.Credential || a.TokenID != "" {
			t.Errorf("credentials %q and %q", a.Credential, b.Credential)
		}
	})
	t.Run("jti", func(t *testing.T) {
		for jti, want := range map[any]string{
			"": "token_claim_invalid", 7: "token_claim_invalid", true: "token_claim_invalid", "a\nb": "token_claim_invalid",
			strings.Repeat("j", 257): "token_claim_invalid", "ok": "ok",
		} {
			expect(t, s, hs256Claims(t, with(map[string]any{"iss": "https://issuer.example", "jti": jti})), want)
		}
	})
	t.Run("own types as media types", func(t *testing.T) {
		c := secretIssuer()
		c.Types = []string{"application/Session+jwt"}
		s := newScheme(t, c)
		for typ, want := range map[string]string{
			"session+jwt": "ok", "APPLICATION/session+JWT": "ok", "applicatiom/session+jwt": "token_type_refused", "application/": "token_type_refused",
		} {
			expect(t, s, hs256(t, `{"alg":"HS256","typ":"`+typ+`"}`, mustJSON(t, goodClaims())), want)
		}
	})
	t.Run("own types", func(t *testing.T) {
		c := secretIssuer()
		c.Types = []string{"session+jwt"}
		s := newScheme(t, c)
		for typ, want := range map[string]string{"session+jwt": "ok", "SESSION+JWT": "ok", "JWT": "token_type_refused"} {
			expect(t, s, hs256(t, `{"alg":"HS256","typ":"`+typ+`"}`, mustJSON(t, goodClaims())), want)
		}
	})
}

// What the log says of a refusal.
func TestDenialsSayWhat(t *testing.T) {
	c := secretIssuer()
	c.Iss, c.Audiences, c.Require = "me", []string{"api"}, []string{"jti"}
	r := &revocations{jti: "gone"}
	var others []IssuerConfig
	for _, name := range []string{"zoe", "bob", "ann", "eve", "dan"} {
		others = append(others, IssuerConfig{Name: name, Iss: name, Secret: c.Secret})
	}
	s := newSchemeOf(t, Config{Issuers: append(others, c), Clock: fixedClock, CacheEntries: -1, Revoked: r})
	for _, tc := range []struct {
		name         string
		claims       map[string]any
		value, bound string
	}{
		{"iss", map[string]any{"iss": "x"}, `iss "x"`, "one of issuers ann, bob, dan, eve, main, zoe"},
		{"no iss", map[string]any{"iss": nil}, "iss is absent", "one of issuers ann, bob, dan, eve, main, zoe"},
		{"one aud", map[string]any{"aud": "web"}, `aud "web"`, "one of api"},
		{"several aud", map[string]any{"aud": []string{"web", "app", "cli"}}, `aud "web" and 2 more`, "one of api"},
		{"two aud", map[string]any{"aud": []string{"web", "app"}}, `aud "web" and 1 more`, "one of api"},
		{"no aud", map[string]any{"aud": nil}, "aud is absent", "one of api"},
		{"aud of 64 bytes", map[string]any{"aud": strings.Repeat("a", 64)}, `aud "` + strings.Repeat("a", 64) + `"`, "one of api"},
		{"aud of 65 bytes", map[string]any{"aud": strings.Repeat("a", 65)}, `aud "` + strings.Repeat("a", 64) + `"...`, "one of api"},
		{"no jti", map[string]any{"jti": nil}, "jti is absent", "required by the issuer's configuration"},
		{"empty jti", map[string]any{"jti": ""}, "jti is empty", "required by the issuer's configuration"},
		{"sub of no text", map[string]any{"sub": true}, "sub is a boolean", "text that is not empty"},
		{"exp as text", map[string]any{"exp": "1"}, "exp is a string", "a number of seconds"},
		{"revoked", map[string]any{"jti": "gone"}, `jti "gone", subject "alice"`, ""},
	} {
		_, denial, err := s.Authenticate(t.Context(), bearerOf(hs256Claims(t, with(merged(map[string]any{"iss": "me", "aud": "api", "jti": "j"}, tc.claims)))))
		if err != nil || denial == nil || denial.Value != tc.value || denial.Bound != tc.bound {
			t.Errorf("%s: got %+v, %v, want %q against %q", tc.name, denial, err, tc.value, tc.bound)
		} else if known := !strings.HasSuffix(tc.name, "iss"); (denial.Of.Issuer == "main") != known {
			t.Errorf("%s: got %+v, want the issuer that was chosen", tc.name, denial.Of)
		}
	}
	r.subject, r.before = "alice", testNow
	bare := secretIssuer()
	s = newSchemeOf(t, Config{Issuers: []IssuerConfig{bare}, Clock: fixedClock, Revoked: r})
	if _, denial, _ := s.Authenticate(t.Context(), bearerOf(hs256Claims(t, goodClaims()))); denial == nil || denial.Value != `subject "alice"` {
		t.Errorf("revoked without jti: got %+v", denial)
	}
}

func merged(a, b map[string]any) map[string]any {
	maps.Copy(a, b)
	return a
}

// The ends of time.
func TestTimesAtTheirBounds(t *testing.T) {
	forever := secretIssuer()
	forever.MaxLifetime, forever.Leeway = math.MaxInt64, ptr(time.Duration(0))
	lenient := forever
	lenient.Leeway = ptr(time.Minute)
	bounded := secretIssuer()
	bounded.Leeway = ptr(time.Duration(0))
	for _, tc := range []struct {
		name   string
		issuer IssuerConfig
		claims map[string]any
		want   string
	}{
		{"the last second", forever, map[string]any{"exp": maxNumericDate}, "ok"},
		{"a second later", forever, map[string]any{"exp": maxNumericDate + 1}, "token_claim_invalid"},
		{"the last second without iat", lenient, map[string]any{"exp": maxNumericDate, "iat": nil}, "ok"},
		{"the last second without iat or leeway", forever, map[string]any{"exp": maxNumericDate, "iat": nil}, "ok"},
		{"zero", forever, map[string]any{"exp": 0}, "token_expired"},
		{"minus one", forever, map[string]any{"exp": -1}, "token_claim_invalid"},
		{"as long as may be", bounded, map[string]any{"exp": testNow.Add(DefaultMaxLifetime).Unix(), "iat": nil}, "ok"},
		{"a second too long", bounded, map[string]any{"exp": testNow.Add(DefaultMaxLifetime).Unix() + 1, "iat": nil}, "token_lifetime_too_long"},
	} {
		t.Run(tc.name, func(t *testing.T) { expect(t, newScheme(t, tc.issuer), hs256Claims(t, with(tc.claims)), tc.want) })
	}
}

func TestClaimPath(t *testing.T) {
	for _, tc := range []struct {
		claims                    string
		found, blocked, ambiguous bool
	}{
		{`{"a":{"b":1}}`, true, false, false},
		{`{"a.b":1}`, true, false, false},
		{`{"a.b":1,"a":2}`, true, false, false},
		{`{"a":2}`, false, true, false},
		{`{}`, false, false, false},
		{`{"a.b":1,"A.B":2}`, false, false, true},
		{`{"a.b":1,"a":{"b":1}}`, false, false, true},
		{`{"a":{"b":1,"B":2}}`, true, false, true},
	} {
		claims, err := parseObject(tc.claims)
		if err != nil {
			t.Fatal(err)
		}
		v, blocked, ambiguous := newClaimPath("a.b").find(&claims)
		if (v != nil) != tc.found && !ambiguous || blocked != tc.blocked || ambiguous != tc.ambiguous {
			t.Errorf("%s: got %v, blocked %t, ambiguous %t", tc.claims, v, blocked, ambiguous)
		}
	}
}
