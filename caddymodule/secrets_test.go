package caddymodule_test

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/ainative/portcullis/caddymodule/internal/caddyharness"
)

// hidden is the format of the docs that keeps credentials out of Caddy's own
// lines.
const hidden = `format filter {
		request>headers>X-Api-Key replace REDACTED
		request>headers>X-Gateway-Identity replace REDACTED
		request>headers>Api-Key replace REDACTED
		request>uri query {
			replace api_key REDACTED
			replace access_token REDACTED
		}
	}`

// secrets are the credentials that a test used, each with what it is.
type secrets map[string]string

// add remembers a credential and the parts of it that are as good as the whole.
func (s secrets) add(what, credential string) string {
	s[what] = credential
	if parts := strings.Split(credential, "."); len(parts) == 3 && len(parts[2]) > 10 {
		s[what+": its signature"] = parts[2]
	}
	for _, prefix := range []string{"sk_live_", "sk_test_"} {
		if random, ok := strings.CutPrefix(credential, prefix); ok && len(random) > 16 {
			// A few characters are shown on purpose, to tell keys apart.
			s[what+": most of it"] = random[8:]
		}
	}
	return credential
}

// wantHidden looks for each credential in a text.
func (s secrets) wantHidden(t *testing.T, where, text string) {
	t.Helper()
	for what, secret := range s {
		for form, looked := range map[string]string{
			"": secret, " in base64": base64.StdEncoding.EncodeToString([]byte(secret)), " escaped": url.QueryEscape(secret),
		} {
			if at := strings.Index(text, looked); at >= 0 {
				t.Errorf("%s holds the %s%s: ...%s...", where, what, form, text[max(0, at-160):min(len(text), at+40)])
			}
		}
	}
}

// Every kind of credential is sent in every way that is refused and some that are
// not, with the log at debug level; none of them is in any log, metric, trace,
// event or answer of the admin API.
func TestSecretsAreNowhere(t *testing.T) {
	forgetEvents()
	spans.Reset()
	used := secrets{"secret of the issuer": testSecret, "pepper": "a pepper for tests that is long enough"}
	redis, _ := redisServer(t)
	t.Setenv("IDENTITY_SECRET", used.add("secret of identity tokens", "an identity secret that is long enough for HS256"))
	var identity atomic.Pointer[string]
	up := newUpstream(t)
	up.answer(func(w http.ResponseWriter, r *http.Request) {
		if token := r.Header.Get("X-Gateway-Identity"); token != "" {
			identity.Store(&token)
		}
		if r.URL.Path == "/echo" {
			w.WriteHeader(http.StatusInternalServerError)
			fmt.Fprintf(w, "failed with Authorization: %s and X-API-Key: %s", r.Header.Get("Authorization"), r.Header.Get("X-Api-Key"))
		}
	})
	options := strings.Replace(listeningOptions("limiter redis "+redis+"\n tier tiny 1/1h\n foreign_keys"), "\n\tgateway {", `
	log default {
		output file $DIR/default.log
		level DEBUG
		`+hidden+`
	}
	gateway {`, 1)
	site := `
	log {
		output file $DIR/access.log
		` + hidden + `
	}
	test_tracing
	gateway_errors
	@usual not path /echo /shadow /slowed /bare
	gateway_auth @usual {
		failures off
		identity_token {
			secret {env.IDENTITY_SECRET}
			audience upstream
		}
	}
	gateway_auth /echo {
		forward_credentials
		failures off
	}
	gateway_auth /shadow {
		shadow
	}
	gateway_auth /slowed {
		failures 1/1h
	}
	gateway_roles /admin ADMIN
	gateway_limit
	reverse_proxy $UPSTREAM`
	c := start(t, options, site, "$UPSTREAM", up.addr())

	made := func(what, fields string) madeKey {
		key := createKey(t, c, fields)
		used.add(what, key.APIKey)
		return key
	}
	good := made("API key", `"owner":"u1"`)
	revoked := made("revoked key", `"owner":"u1"`)
	admin(t, c, http.MethodDelete, "/gateway/keys/"+revoked.ID, "")
	elsewhere := made("key of another address", `"owner":"u1","ip_allow":["192.0.2.1"]`)
	tiny := made("key over its limit", `"owner":"u3","tier":"tiny"`)
	rotated := admin(t, c, http.MethodPost, "/gateway/keys/"+made("rotated key", `"owner":"u4"`).ID+"/rotate", "")
	used.add("key of a rotation", strings.Split(strings.Split(rotated.Body, `"api_key":"`)[1], `"`)[0])

	signed := func(what string, changes ...any) string { return used.add(what, token(t, claims(changes...))) }
	otherSecret := used.add("secret of nobody", "another secret for tests that is long enough")
	forged, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims()).SignedString([]byte(otherSecret))
	if err != nil {
		t.Fatal(err)
	}
	if got := admin(t, c, http.MethodPost, "/gateway/revocations", `{"jti":"j1"}`); got.Status != http.StatusCreated {
		t.Fatal(got.Body)
	}
	now := time.Now().Unix()
	bearers := map[string]string{
		"token":                     signed("token"),
		"revoked token":             signed("revoked token", "jti", "j1"),
		"expired token":             signed("expired token", "iat", now-7200, "exp", now-3600),
		"token of the future":       signed("token of the future", "nbf", now+3600),
		"token of a long life":      signed("token of a long life", "exp", now+1e7),
		"token with a bad claim":    signed("token with a bad claim", "sub", 7),
		"token of a strange issuer": signed("token of a strange issuer", "aud", []int{1}),
		"forged token":              used.add("forged token", forged),
		"half a token":              used.add("half a token", strings.Join(strings.Split(forged, ".")[:2], ".")),
		"long token":                used.add("long token", strings.Repeat("longtoken", 1100)),
		"unknown key as bearer":     used.add("unknown key as bearer", "sk_live_0123456789abcdefghijABCDEFGHIJ01abcdef"),
		"opaque token":              used.add("opaque token", "an-opaque-token-of-another-system-0123456789"),
		"key as bearer":             good.APIKey,
	}
	keys := map[string]string{
		"key": good.APIKey, "revoked": revoked.APIKey, "elsewhere": elsewhere.APIKey, "tiny": tiny.APIKey,
		"typing error": used.add("key with a typing error", good.APIKey[:len(good.APIKey)-1]+"~"),
		"malformed":    used.add("malformed key", "sk_live_much_too_short_but_secret"),
		"foreign":      used.add("foreign key", "pk-0123456789-of-another-gateway"),
	}
	ids := map[string]bool{}
	send := func(path string, headers ...string) caddyharness.Response {
		t.Helper()
		got := c.Get(path, headers...)
		ids[got.Header.Get("X-Request-Id")] = true
		used.wantHidden(t, "the answer to "+strings.Split(path, "?")[0], got.Body)
		return got
	}
	refused := 0
	for _, path := range []string{"/", "/admin", "/echo", "/shadow", "/slowed", "/a/../b"} {
		for _, credential := range bearers {
			if send(path, "Authorization", "Bearer "+credential).Status >= 400 {
				refused++
			}
		}
		for _, credential := range keys {
			if send(path, "X-API-Key", credential).Status >= 400 {
				refused++
			}
		}
		send(path, "Authorization", "Bearer "+bearers["token"], "X-API-Key", good.APIKey)
		send(path, "Authorization", used.add("key under Basic", "Basic "+base64.StdEncoding.EncodeToString([]byte("user:"+good.APIKey))))
		send(path, "Authorization", bearers["token"])
		send(path, "Api-Key", good.APIKey)
		send(path + "?api_key=" + good.APIKey)
		send(path + "?access_token=" + url.QueryEscape(bearers["token"]))
	}
	if refused < 80 {
		t.Errorf("%d requests were refused, of some 120", refused)
	}

	used.add("identity token", *identity.Load())

	// What the admin API says of all that.
	for id := range ids {
		used.wantHidden(t, "a decision", admin(t, c, http.MethodGet, "/gateway/decisions/"+id, "").Body)
	}
	for _, credential := range append(slices.Collect(maps.Values(bearers)), slices.Collect(maps.Values(keys))...) {
		for _, field := range []string{"key", "token"} {
			used.wantHidden(t, "a dry run", admin(t, c, http.MethodPost, "/gateway/check", fmt.Sprintf(`{"url":%q,%q:%q}`, c.URL+"/", field, credential)).Body)
		}
		used.wantHidden(t, "an inspection", admin(t, c, http.MethodPost, "/gateway/tokens/inspect", fmt.Sprintf(`{"token":%q}`, credential)).Body)
	}
	for _, path := range []string{"/gateway/keys", "/gateway/keys/" + good.ID, "/gateway/revocations", "/gateway/health", "/gateway/decisions", "/gateway/shadow", "/metrics", "/config/"} {
		answer := admin(t, c, http.MethodGet, path, "")
		used.wantHidden(t, path, answer.Body)
	}

	// Events and spans.
	awaitEvents(t, "gateway.limit_exceeded", 1)
	for _, e := range awaitEvents(t, "gateway.key_rotated", 1) {
		used.wantHidden(t, e.Name(), fmt.Sprint(e.Data))
	}
	heard.mu.Lock()
	for _, e := range heard.events {
		used.wantHidden(t, e.Name(), fmt.Sprint(e.Data))
	}
	heard.mu.Unlock()
	ended := spans.Ended()
	if len(ended) < 100 {
		t.Errorf("%d spans", len(ended))
	}
	for _, span := range ended {
		used.wantHidden(t, "a span", fmt.Sprint(span.Name(), span.Attributes(), span.Events()))
	}

	// The logs, last, since they are written behind the answers. A line of the last
	// request is waited for.
	c.Get("/the-end")
	lineOf(t, c, "/the-end")
	for _, file := range []string{"default.log", "access.log"} {
		text, err := os.ReadFile(filepath.Join(c.Dir, file))
		if err != nil || len(text) < 10_000 {
			t.Fatalf("%s: %d bytes, %v", file, len(text), err)
		}
		used.wantHidden(t, file, string(text))
	}
}
