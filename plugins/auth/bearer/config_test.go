package bearer

import (
	"strings"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins"
)

func TestConfigMistakes(t *testing.T) {
	pem := publicPEM(t, testKeys().p256)
	for _, tc := range []struct {
		name   string
		change func(*IssuerConfig)
		want   string
	}{
		{"none", func(*IssuerConfig) {}, ""},
		{"no name", func(c *IssuerConfig) { c.Name = "" }, "an issuer needs a name"},
		{"a name with a space", func(c *IssuerConfig) { c.Name = "a b" }, "use letters, digits"},
		{"a name with a colon", func(c *IssuerConfig) { c.Name = "a:b" }, "use letters, digits"},
		{"a long name", func(c *IssuerConfig) { c.Name = strings.Repeat("a", 65) }, "at most 64"},
		{"no key", func(c *IssuerConfig) { c.Secret = plugins.Secret{} }, "issuer main: no key; give one of secret"},
		{"two keys", func(c *IssuerConfig) { c.PublicKey = pem }, "issuer main: secret and public_key at once"},
		{"two places of a key", func(c *IssuerConfig) {
			c.Secret, c.PublicKey, c.PublicKeyFile = plugins.Secret{}, pem, "x.pem"
		}, "both inline and as a file"},
		{"an unknown algorithm", func(c *IssuerConfig) { c.Algorithms = []string{"HS128"} }, `algorithm "HS128" is not known; the choices are ES256`},
		{"none as an algorithm", func(c *IssuerConfig) { c.Algorithms = []string{"none"} }, "is not known"},
		{"an algorithm in small letters", func(c *IssuerConfig) { c.Algorithms = []string{"hs256"} }, "is not known"},
		{"an algorithm twice", func(c *IssuerConfig) { c.Algorithms = []string{"HS256", "HS256"} }, "given twice"},
		{"HMAC and RSA", func(c *IssuerConfig) { c.Algorithms = []string{"HS256", "RS256"} }, "RS256 needs a public key"},
		{"HMAC with a public key", func(c *IssuerConfig) {
			c.Secret, c.PublicKey, c.Algorithms = plugins.Secret{}, pem, []string{"HS256"}
		}, "HS256 needs a secret"},
		{"HMAC with a JWKS", func(c *IssuerConfig) {
			c.Secret, c.JWKS, c.Algorithms = plugins.Secret{}, providerURL, []string{"ES256", "HS256"}
		}, "HS256 needs a secret"},
		{"leeway above a minute", func(c *IssuerConfig) { c.Leeway = ptr(61 * time.Second) }, "leeway 1m1s: use 0s to 1m0s"},
		{"a negative leeway", func(c *IssuerConfig) { c.Leeway = ptr(-time.Second) }, "leeway -1s"},
		{"a leeway of a minute", func(c *IssuerConfig) { c.Leeway = ptr(time.Minute) }, ""},
		{"a negative lifetime", func(c *IssuerConfig) { c.MaxLifetime = -1 }, "max_lifetime -1ns"},
		{"a short refresh", func(c *IssuerConfig) { c.RefreshInterval = time.Second }, "refresh_interval 1s: use 30s or more"},
		{"a negative max_stale", func(c *IssuerConfig) { c.MaxStale = -time.Hour }, "max_stale"},
		{"an empty audience", func(c *IssuerConfig) { c.Audiences = []string{""} }, "empty audience"},
		{"an empty typ", func(c *IssuerConfig) { c.Types = []string{""} }, "empty typ"},
		{"a name of every kind of character", func(c *IssuerConfig) { c.Name = "azAZ09-_." }, ""},
		{"a name of 64 characters", func(c *IssuerConfig) { c.Name = strings.Repeat("a", 64) }, ""},
		{"a name with a backquote", func(c *IssuerConfig) { c.Name = "`" }, "use letters, digits"},
		{"a name with a brace", func(c *IssuerConfig) { c.Name = "{" }, "use letters, digits"},
		{"a name with an at sign", func(c *IssuerConfig) { c.Name = "@" }, "use letters, digits"},
		{"a name with a bracket", func(c *IssuerConfig) { c.Name = "[" }, "use letters, digits"},
		{"a name with a slash", func(c *IssuerConfig) { c.Name = "/" }, "use letters, digits"},
		{"a path with a first dot", func(c *IssuerConfig) { c.Claims.Subject = ".a" }, "claim path"},
		{"a path of dots", func(c *IssuerConfig) { c.Claims.Role = "a..b" }, `claim path "a..b"`},
		{"a path with a final dot", func(c *IssuerConfig) { c.Claims.Subject = "a." }, "claim path"},
		{"an empty required claim", func(c *IssuerConfig) { c.Require = []string{""} }, "claim path"},
		{"a path of 17 levels", func(c *IssuerConfig) { c.Require = []string{repeatJoin("a", ".", 17)} }, "at most 16 levels"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := secretIssuer()
			tc.change(&c)
			_, err := New(Config{Issuers: []IssuerConfig{c}})
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), testSecret) {
				t.Error("the message holds the secret")
			}
		})
	}
	t.Run("no issuers", func(t *testing.T) {
		if _, err := New(Config{}); err == nil {
			t.Error("no error")
		}
	})
	t.Run("one name twice", func(t *testing.T) {
		_, err := New(Config{Issuers: []IssuerConfig{secretIssuer(), secretIssuer()}})
		if err == nil || !strings.Contains(err.Error(), "issuer main is defined twice") {
			t.Errorf("got %v", err)
		}
	})
}

func TestKeyURLs(t *testing.T) {
	for _, tc := range []struct{ url, want string }{
		{"https://idp.example/keys", ""},
		{"https://idp.example:8443/keys?v=2", ""},
		{"http://localhost:8080/keys", ""},
		{"http://127.0.0.1/keys", ""},
		{"http://127.9.9.9/keys", ""},
		{"http://[::1]:8080/keys", ""},
		{"http://[::ffff:127.0.0.1]/keys", ""},
		{"http://idp.example/keys", "http lets anyone"},
		{"http://localhost.evil.example/keys", "http lets anyone"},
		{"http://127.0.0.1.evil.example/keys", "http lets anyone"},
		{"http://10.0.0.1/keys", "http lets anyone"},
		{"ftp://idp.example/keys", "use an https URL"},
		{"ftp://localhost/keys", "use an https URL"},
		{"file:///etc/keys", "no host"},
		{"https:idp.example", "no host"},
		{"//idp.example/keys", "use an https URL"},
		{"idp.example/keys", "no host"},
		{"https://user:pass@idp.example/keys", "would end up in logs"},
		{"https://idp.example/keys#a", "after #"},
		{"https://idp.example/%zz", "not a URL"},
		{"https://", "no host"},
	} {
		for _, c := range []IssuerConfig{{Name: "a", JWKS: tc.url}, {Name: "a", Discovery: tc.url}} {
			_, err := New(Config{Issuers: []IssuerConfig{c}})
			want := tc.want
			if c.Discovery != "" && strings.Contains(tc.url, "?") {
				want = "without a query"
			}
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("%s: got %v, want %q", tc.url, err, want)
			}
		}
	}
}

func TestDiscoverySetsIss(t *testing.T) {
	v, err := New(Config{Issuers: []IssuerConfig{{Name: "a", Discovery: "https://idp.example"}}})
	if err != nil || v.issuers[0].iss != "https://idp.example" {
		t.Errorf("iss %q (%v), want the discovery URL", v.issuers[0].iss, err)
	}
	v, err = New(Config{Issuers: []IssuerConfig{{Name: "a", Discovery: "https://idp.example", Iss: "own"}}})
	if err != nil || v.issuers[0].iss != "own" {
		t.Errorf("iss %q (%v), want its own", v.issuers[0].iss, err)
	}
}
