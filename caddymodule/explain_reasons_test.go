package caddymodule_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/ainative/portcullis/caddymodule/internal/caddyharness"
	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/auth"
	"github.com/ainative/portcullis/plugins/auth/apikey"
)

// reasonCase provokes one refusal from outside. What explain says must have the
// reason and each of the texts of want: value, bound, whose credential it was.
type reasonCase struct {
	reason plugins.Reason
	status int
	send   func() caddyharness.Response
	want   []string
}

// unreachable are the reasons that no request can get by itself, each with the
// test that has it.
var unreachable = map[plugins.Reason]func(*testing.T){
	// All schemes there are decide; the chain does not trust the next one to.
	plugins.ReasonSchemeUndecided: func(t *testing.T) {
		_, _, err := auth.Chain{undecidedScheme{}}.Authenticate(t.Context(), auth.Credential{})
		if unavailable, ok := errors.AsType[*plugins.Unavailable](err); !ok || unavailable.Reason != plugins.ReasonSchemeUndecided {
			t.Errorf("got %v", err)
		}
	},
}

type undecidedScheme struct{}

func (undecidedScheme) Name() string { return "none" }

func (undecidedScheme) Authenticate(context.Context, auth.Credential) (*plugins.Principal, *plugins.Denial, error) {
	return nil, nil, nil
}

// reasonSite has a route for each kind of refusal.
const reasonSite = `
	gateway_errors
	gateway_cors /pages https://app.example
	handle /any/* {
		gateway_auth {
			failures off
		}
		gateway_roles /any/admin* ADMIN
		gateway_roles /any/scoped USER {
			scopes all a b
		}
		gateway_roles /any/own USER {
			owner {http.request.uri.query.owner}
		}
		reverse_proxy $UPSTREAM
	}
	handle /tokens {
		gateway_auth {
			schemes bearer
			failures off
		}
		reverse_proxy $UPSTREAM
	}
	handle /strict {
		gateway_auth {
			issuers strict
			failures off
		}
		reverse_proxy $UPSTREAM
	}
	handle /jwks {
		gateway_auth {
			issuers remote down
			failures off
		}
		reverse_proxy $UPSTREAM
	}
	handle /slowed {
		gateway_auth {
			failures 1/1h
		}
		reverse_proxy $UPSTREAM
	}
	handle /open/* {
		gateway_roles /open/roles USER
		gateway_limit /open/limit {
			zone limit
			limit 1/1h
			by ip
		}
		gateway_limit /open/busy {
			zone busy
			limit 100/1h
			concurrency 1
			by ip
		}
		gateway_limit /open/queue {
			zone queue
			limit 100/1h
			upstream_concurrency 1 1ms
			by ip
		}
		gateway_limit /open/cost {
			zone cost
			limit 10/1h
			cost {http.request.header.X-Cost}
			by ip
		}
		gateway_limit /open/tenant {
			zone tenant
			by {http.request.header.X-Tenant}
		}
		reverse_proxy $UPSTREAM
	}`

// Each way in which a request can be refused is provoked, and `caddy gateway
// explain` says which it was, what was found and what was wanted.
func TestExplainEveryReason(t *testing.T) {
	up := newUpstream(t)
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k1","x":%q},{"kty":"OKP","crv":"Ed25519","kid":"k2","x":%q}]}`,
			base64.RawURLEncoding.EncodeToString(public), base64.RawURLEncoding.EncodeToString(public))
	}))
	t.Cleanup(keys.Close)
	options := gatewayOptions(`
		issuer strict {
			secret {env.TEST_SECRET}
			iss https://strict
			audience api
			require department
			max_lifetime 1h
			leeway 0s
		}
		issuer remote {
			jwks ` + keys.URL + `
			iss https://remote
		}
		issuer down {
			jwks http://127.0.0.1:1/keys
			iss https://down
		}
		$LIMITER`)
	site := "\nhttp://127.0.0.1:$PORT {\n" + reasonSite + accountsReasonSite + "\n}\n"
	text := func(limiter string) string { return strings.ReplaceAll(options, "$LIMITER", limiter) + site }
	c := startText(t, text(""), "$UPSTREAM", up.addr())

	cases := authReasons(t, c, private)
	cases = append(cases, policyReasons(t, c, up)...)
	cases = append(cases, accountReasons(t, c)...)
	cases = append(cases, outageReasons(t, c, text)...)

	var ids []string
	covered := map[plugins.Reason]bool{}
	for _, tc := range cases {
		covered[tc.reason] = true
		got := tc.send()
		if got.Status != tc.status {
			t.Errorf("%s: got %d %s, want %d", tc.reason, got.Status, got.Body, tc.status)
		}
		ids = append(ids, got.Header.Get("X-Request-Id"))
	}
	out, errOut, err := command(t, append([]string{"gateway", "--address", c.Admin, "explain"}, ids...)...)
	if err != nil {
		t.Fatalf("%v %s", err, errOut)
	}
	stories := strings.Split(strings.TrimSpace(out), "\n\n")
	if len(stories) != len(cases) {
		t.Fatalf("got %d stories of %d requests", len(stories), len(cases))
	}
	for i, tc := range cases {
		verb := "Refused: "
		if tc.status == http.StatusServiceUnavailable {
			verb = "Could not decide: "
		}
		for _, want := range append(tc.want, verb+string(tc.reason)+",", fmt.Sprintf("was answered with %d", tc.status)) {
			if !strings.Contains(stories[i], want) {
				t.Errorf("%s: got %s\nwant %q", tc.reason, stories[i], want)
			}
		}
	}
	for reason, test := range unreachable {
		covered[reason] = true
		t.Run(string(reason), test)
	}
	for _, reason := range stringsOf(t, "../plugins/reason.go", "Reason") {
		if !covered[plugins.Reason(reason)] {
			t.Errorf("no case provokes %s: add one to explain_reasons_test.go", reason)
		}
	}
}

// tokenOf signs a header and claims as they are.
func tokenOf(t *testing.T, header map[string]any, c jwt.MapClaims) string {
	t.Helper()
	made := jwt.NewWithClaims(jwt.SigningMethodHS256, c)
	maps.Copy(made.Header, header)
	signed, err := made.SignedString([]byte(testSecret))
	if err != nil {
		t.Fatal(err)
	}
	return "Bearer " + signed
}

// rawToken signs a payload that is no proper JSON.
func rawToken(t *testing.T, payload string) string {
	t.Helper()
	input := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
	signature, err := jwt.SigningMethodHS256.Sign(input, []byte(testSecret))
	if err != nil {
		t.Fatal(err)
	}
	return "Bearer " + input + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// authReasons are the refusals of gateway_auth.
func authReasons(t *testing.T, c *caddyharness.Caddy, private ed25519.PrivateKey) []reasonCase {
	t.Helper()
	now := time.Now()
	strict := func(changes ...any) string {
		return bearer(t, append([]any{"iss", "https://strict", "aud", "api", "department", "d1", "exp", now.Unix() + 1800}, changes...)...)
	}
	remote := func(kid, iss string) string {
		made := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims("iss", iss))
		made.Header["kid"] = kid
		signed, err := made.SignedString(private)
		if err != nil {
			t.Fatal(err)
		}
		return "Bearer " + signed
	}
	key := createKey(t, c, `"owner":"u1"`)
	revoked := createKey(t, c, `"owner":"u1"`)
	if got := admin(t, c, http.MethodDelete, "/gateway/keys/"+revoked.ID, ""); got.Status != http.StatusOK {
		t.Fatalf("revoking: %d", got.Status)
	}
	bound := createKey(t, c, `"owner":"u7","ip_allow":["10.0.0.0/8"]`)
	expiring := createKey(t, c, `"owner":"u8","expires":"1s"`)
	if got := admin(t, c, http.MethodPost, "/gateway/revocations", `{"jti":"j1"}`); got.Status != http.StatusCreated {
		t.Fatalf("revoking: %d %s", got.Status, got.Body)
	}
	wrong := key.APIKey[:len(key.APIKey)-1] + "0"
	if wrong == key.APIKey {
		wrong = key.APIKey[:len(key.APIKey)-1] + "1"
	}
	get := func(path string, headers ...string) func() caddyharness.Response {
		return func() caddyharness.Response { return c.Get(path, headers...) }
	}
	signed := func(token string) func() caddyharness.Response { return get("/any/x", "Authorization", token) }
	inHeader := "Credential: in Authorization, scheme bearer, issuer main"
	list := []reasonCase{
		{plugins.ReasonNoCredential, 401, get("/any/x"), []string{"Found:   no credential", "Wanted:  Authorization or X-Api-Key"}},
		{plugins.ReasonCredentialMisplaced, 401, get("/any/x", "Api-Key", key.APIKey), []string{"Found:   header Api-Key", "Wanted:  header X-API-Key or Authorization: Bearer"}},
		{plugins.ReasonCredentialMisplaced, 401, get("/any/x?api_key=" + key.APIKey), []string{"Found:   query parameter api_key"}},
		{plugins.ReasonCredentialMalformed, 401, get("/any/x", "Authorization", "Basic dTpw"), []string{"Found:   Authorization with scheme Basic", "Wanted:  Authorization: Bearer <credential>"}},
		{plugins.ReasonCredentialMalformed, 401, get("/any/x", "Authorization", "Bearer a b"), []string{"Found:   Authorization: Bearer with 4 bytes behind it", "Wanted:  one printable word"}},
		{plugins.ReasonCredentialConflict, 401, get("/any/x", "Authorization", bearer(t), "X-API-Key", key.APIKey), []string{"Found:   Authorization and X-Api-Key", "Wanted:  one credential"}},
		{plugins.ReasonCredentialUnknown, 401, get("/tokens", "Authorization", "Bearer "+key.APIKey), []string{"Credential: in Authorization", "credential of no configured scheme"}},
		{plugins.ReasonAmbiguousPath, 400, get("/any/a/..%2fb"), []string{"Found:   /any/a/..%2fb", "Wanted:  a path without dot segments"}},
		{plugins.ReasonAmbiguousMethod, 400, func() caddyharness.Response { return c.Do("get", "/any/x", "") }, []string{"Found:   get", "Wanted:  a method in capitals"}},
		{plugins.ReasonTokenTooLong, 401, signed("Bearer eyJ" + strings.Repeat("a", 9000) + ".a.a"), []string{"Found:   9007 bytes", "Wanted:  at most 8192 bytes"}},
		{plugins.ReasonTokenMalformed, 401, signed("Bearer eyJhbGciOiJIUzI1NiJ9.eyJ"), []string{"Found:   1 dots", "Wanted:  exactly 2 dots", "scheme bearer"}},
		{plugins.ReasonTokenDuplicateMember, 401, signed(rawToken(t, `{"sub":"a","SUB":"b"}`)), []string{"Found:   ", "sub"}},
		{plugins.ReasonTokenHeader, 401, signed(tokenOf(t, map[string]any{"jku": "https://evil"}, claims())), []string{`Found:   "jku"`, "Wanted:  not accepted in a token"}},
		{plugins.ReasonTokenType, 401, signed(tokenOf(t, map[string]any{"typ": "logout+jwt", "kid": "k7"}, claims())), []string{`Found:   typ "logout+jwt"`, "Wanted:  one of jwt, at+jwt", inHeader + ", kid k7"}},
		{plugins.ReasonTokenAlgorithm, 401, signed("Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJ1MSIsImV4cCI6OTk5OTk5OTk5OX0.AAAA"), []string{`Found:   alg "none"`, "Wanted:  one of HS256"}},
		{plugins.ReasonTokenIssuer, 401, get("/strict", "Authorization", bearer(t, "iss", "https://other")), []string{`Found:   iss "https://other"`, "Wanted:  one of issuers strict"}},
		{plugins.ReasonTokenKeyUnknown, 401, get("/jwks", "Authorization", remote("k9", "https://remote")), []string{`Found:   kid "k9"`, "Wanted:  one of the 2 keys of issuer remote", "issuer remote, kid k9"}},
		{plugins.ReasonTokenSignature, 401, signed(bearer(t)[:len(bearer(t))-6] + "AAAAAA"), []string{"Found:   alg HS256", "Wanted:  a signature by issuer main", inHeader}},
		{plugins.ReasonTokenExpired, 401, signed(bearer(t, "iat", 1_600_000_000, "exp", 1_600_000_100)), []string{"Found:   exp 2020-09-13T12:28:20Z", "Wanted:  ", inHeader}},
		{plugins.ReasonTokenNotYetValid, 401, signed(bearer(t, "nbf", now.Unix()+600)), []string{"Found:   nbf 20", inHeader}},
		{plugins.ReasonTokenIssuedInFuture, 401, signed(bearer(t, "iat", now.Unix()+600, "exp", now.Unix()+900)), []string{"Found:   iat 20", inHeader}},
		{plugins.ReasonTokenLifetime, 401, get("/strict", "Authorization", strict("iat", now.Unix(), "exp", now.Unix()+7200)), []string{"2h0m", "1h0m", "issuer strict"}},
		{plugins.ReasonTokenAudience, 401, get("/strict", "Authorization", strict("aud", "other")), []string{"other", "Wanted:  one of api", "issuer strict"}},
		{plugins.ReasonTokenClaimMissing, 401, get("/strict", "Authorization", strict("department", nil)), []string{"Found:   department is absent", "Wanted:  required by the issuer's configuration"}},
		{plugins.ReasonTokenClaimInvalid, 401, signed(bearer(t, "sub", "")), []string{"Found:   sub is", "Wanted:  text that is not empty"}},
		{plugins.ReasonTokenRevoked, 401, signed(bearer(t, "jti", "j1")), []string{`Found:   jti "j1", subject "u1"`, inHeader}},
		{plugins.ReasonKeyMalformed, 401, get("/any/x", "X-API-Key", "sk_live_short"), []string{"Found:   13 bytes", "Wanted:  sk_live_ or sk_test_ and 38 characters", "Credential: in X-API-Key, scheme api_key"}},
		{plugins.ReasonKeyChecksum, 401, get("/any/x", "X-API-Key", wrong), []string{"Found:   sk_live_", "Wanted:  CRC-32 of the key"}},
		{plugins.ReasonKeyUnknown, 401, get("/any/x", "X-API-Key", strangersKey(t)), []string{"Found:   sk_live_"}},
		{plugins.ReasonKeyRevoked, 401, get("/any/x", "X-API-Key", revoked.APIKey), []string{"Found:   key " + revoked.ID + " revoked 20", "Wanted:  now 20", "scheme api_key, key " + revoked.ID}},
		{plugins.ReasonKeyExpired, 401, func() caddyharness.Response {
			for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
				if got := c.Get("/any/x", "X-API-Key", expiring.APIKey); got.Status != 200 {
					return got
				}
			}
			return caddyharness.Response{}
		}, []string{"Found:   key " + expiring.ID + " expires 20", "Wanted:  now 20"}},
		{plugins.ReasonKeyAddress, 401, get("/any/x", "X-API-Key", bound.APIKey), []string{"Found:   key " + bound.ID + " address 127.0.0.1", "Wanted:  allowed 10.0.0.0/8"}},
		{plugins.ReasonAuthFailures, 429, func() caddyharness.Response {
			c.Get("/slowed", "X-API-Key", revoked.APIKey)
			return c.Get("/slowed", "X-API-Key", revoked.APIKey)
		}, []string{"Found:   key_revoked, too many failed attempts", "Wanted:  1/1h", "Retry:   after ", revoked.ID}},
	}
	return list
}

// strangersKey is a key in the right form that no store has.
func strangersKey(t *testing.T) string {
	t.Helper()
	made, err := apikey.Generate(true, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return made.Reveal()
}

// policyReasons are the refusals of gateway_roles and gateway_limit.
func policyReasons(t *testing.T, c *caddyharness.Caddy, up *upstream) []reasonCase {
	t.Helper()
	get := func(path string, headers ...string) func() caddyharness.Response {
		return func() caddyharness.Response { return c.Get(path, headers...) }
	}
	preflight := func(origin, method, headers string) func() caddyharness.Response {
		return func() caddyharness.Response {
			return c.Do(http.MethodOptions, "/pages", "", "Origin", origin, "Access-Control-Request-Method", method, "Access-Control-Request-Headers", headers)
		}
	}
	return []reasonCase{
		{plugins.ReasonNotAuthenticated, 401, get("/open/roles"), []string{"Found:   nobody", "Wanted:  an authenticated caller", "by gateway_roles"}},
		{plugins.ReasonRoleMissing, 403, get("/any/admin", "Authorization", bearer(t)), []string{"Found:   roles USER", "Wanted:  any of ADMIN", "1. gateway_auth: passed; found token of issuer main", "Caller: u1; roles USER"}},
		{plugins.ReasonScopeMissing, 403, get("/any/scoped", "Authorization", bearer(t, "scope", "b c")), []string{"Found:   scopes b, c", "Wanted:  all of a, b"}},
		{plugins.ReasonNotOwner, 403, get("/any/own?owner=u2", "Authorization", bearer(t)), []string{"Found:   subject u1", "Wanted:  owner u2"}},
		{plugins.ReasonOriginNotAllowed, 403, preflight("https://evil.example", "GET", ""), []string{"Found:   origin https://evil.example", "Wanted:  one of https://app.example", "by gateway_cors"}},
		{plugins.ReasonCORSMethod, 403, preflight("https://app.example", "TRACE", ""), []string{"Found:   method TRACE", "Wanted:  one of GET, HEAD, POST"}},
		{plugins.ReasonCORSHeader, 403, preflight("https://app.example", "GET", "x-a,x-b"), []string{"Found:   headers x-a,x-b", "Wanted:  any of Accept, Authorization"}},
		{plugins.ReasonRateLimited, 429, func() caddyharness.Response { c.Get("/open/limit"); return c.Get("/open/limit") }, []string{
			"Found:   limit: 0 left, next in 59m5", "Wanted:  1/1h", "Limit limit (1/1h): 0 left, passes in 59m5", ", which refused.", "Retry:   after 3600 seconds",
		}},
		{plugins.ReasonUpstreamBusy, 503, func() caddyharness.Response { return busy(c, up, "/open/queue") }, []string{"by gateway_limit", "Failed:  as many requests as the upstream may have are under way.", "Retry:   after 5 seconds"}},
		{plugins.ReasonConcurrency, 429, func() caddyharness.Response { return busy(c, up, "/open/busy") }, []string{"Found:   no place left", "Wanted:  concurrency 1"}},
		{plugins.ReasonCostInvalid, 400, get("/open/cost", "X-Cost", "-1"), []string{`is "-1"`, "Wanted:  a whole number of 0 or more"}},
		{plugins.ReasonCostAboveBurst, 400, get("/open/cost", "X-Cost", "11"), []string{"Found:   cost 11", "Wanted:  burst 10"}},
		{plugins.ReasonLimitKeyMissing, 400, get("/open/tenant"), []string{"Found:   {http.request.header.X-Tenant} is empty", "Wanted:  a value to count by"}},
	}
}

// busy asks for a path while another request for it is under way.
func busy(c *caddyharness.Caddy, up *upstream, path string) caddyharness.Response {
	entered, leave := make(chan struct{}), make(chan struct{})
	up.answer(func(http.ResponseWriter, *http.Request) {
		close(entered)
		<-leave
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = c.Try(http.MethodGet, path, "")
	}()
	<-entered
	got := c.Get(path)
	close(leave)
	<-done
	up.answer(nil)
	return got
}

// outageReasons are what can't be decided. They break what the others need, and
// come last.
func outageReasons(t *testing.T, c *caddyharness.Caddy, text func(limiter string) string) []reasonCase {
	t.Helper()
	down := tokenOf(t, map[string]any{"alg": "RS256", "kid": "k1"}, claims("iss", "https://down"))
	return []reasonCase{
		{plugins.ReasonKeysUnavailable, 503, func() caddyharness.Response { return c.Get("/jwks", "Authorization", down) }, []string{"issuer_keys_unavailable", "issuer down", "Retry:   after "}},
		{plugins.ReasonLimiterUnavailable, 503, func() caddyharness.Response {
			if err := c.Reload(text("limiter redis redis://127.0.0.1:1 {\n on_failure closed\n }")); err != nil {
				t.Fatal(err)
			}
			return c.Get("/open/limit")
		}, []string{"by gateway_limit", "Failed:  dial tcp 127.0.0.1:1: connect: connection refused."}},
		{plugins.ReasonStoreUnavailable, 503, func() caddyharness.Response {
			db, err := sql.Open("sqlite", filepath.Join(c.Dir, "gateway.db")+"?_pragma=busy_timeout(20000)")
			if err == nil {
				_, err = db.Exec("DROP TABLE api_keys")
			}
			if err != nil {
				t.Fatal(err)
			}
			_ = db.Close()
			return c.Get("/any/x", "X-API-Key", strangersKey(t))
		}, []string{"by gateway_auth", "Failed:  looking up an API key: ", "no such table"}},
	}
}
