package caddymodule_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

// The upstream can prove by the public key that a request came through the gate.
func TestIdentityToken(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	up := newUpstream(t)
	c := start(t, gatewayOptions(""), `
	gateway_errors
	gateway_auth {
		identity_token {
			private_key `+file+`
			audience orders
			keys_path /.well-known/gateway.json
		}
	}
	reverse_proxy $UPSTREAM`, "$UPSTREAM", up.addr())
	if got := c.Get("/", "Authorization", bearer(t), "X-Gateway-Identity", "forged"); got.Status != 200 {
		t.Fatalf("got %d %s", got.Status, got.Body)
	}
	sent := up.last().Header.Values("X-Gateway-Identity")
	if len(sent) != 1 {
		t.Fatalf("got %q, want one token", sent)
	}
	keys := c.Get("/.well-known/gateway.json")
	var set struct{ Keys []struct{ X string } }
	if err := json.Unmarshal([]byte(keys.Body), &set); err != nil || len(set.Keys) != 1 {
		t.Fatalf("got %d %s, want the public key", keys.Status, keys.Body)
	}
	x, _ := base64.RawURLEncoding.DecodeString(set.Keys[0].X)
	if !public.Equal(ed25519.PublicKey(x)) {
		t.Fatal("another key is served")
	}
	parsed, err := jwt.Parse(sent[0], func(*jwt.Token) (any, error) { return ed25519.PublicKey(x), nil },
		jwt.WithValidMethods([]string{"EdDSA"}), jwt.WithAudience("orders"), jwt.WithExpirationRequired())
	if err != nil {
		t.Fatal(err)
	}
	if subject, _ := parsed.Claims.GetSubject(); subject != "u1" {
		t.Errorf("got subject %q, want u1", subject)
	}
}

func TestImport(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions("foreign_keys"), protected, "$UPSTREAM", up.addr())
	const old, lost = "legacy:8f7d6c5b4a39281706f5e4d3c2b1a09f", "another-legacy-key-0123456789"
	hash := sha256.Sum256([]byte(lost))
	file := filepath.Join(t.TempDir(), "keys.csv")
	csv := "key,hash,owner,role\n" + old + ",,u1,DEVELOPER\n," + hex.EncodeToString(hash[:]) + ",u2,\n"
	if err := os.WriteFile(file, []byte(csv), 0o600); err != nil {
		t.Fatal(err)
	}
	out, errOut, err := command(t, "gateway", "--address", c.Admin, "key", "import", file)
	if err != nil || out != "2 keys imported.\n" {
		t.Fatalf("got %v %q %s", err, out, errOut)
	}
	for key, owner := range map[string]string{old: "u1", lost: "u2"} {
		for _, headers := range [][]string{{"X-API-Key", key}, {"Authorization", "Bearer " + key}} {
			if got := c.Get("/", headers...); got.Status != 200 || up.last().Header.Get("X-User-Id") != owner {
				t.Errorf("%s: got %d for %q, want 200 for %q", headers[0], got.Status, up.last().Header.Get("X-User-Id"), owner)
			}
		}
	}
	if _, errOut, err := command(t, "gateway", "--address", c.Admin, "key", "import", file); err == nil || strings.Contains(errOut, old) {
		t.Errorf("importing twice: got %v %s", err, errOut)
	}
}

func TestImportNeedsForeignKeys(t *testing.T) {
	c := start(t, gatewayOptions(""), "respond hi")
	got := admin(t, c, http.MethodPost, "/gateway/keys/import", "key,owner\nlegacy-key-0123456789,u1\n")
	if got.Status != 422 || !strings.Contains(got.Body, "add `foreign_keys`") {
		t.Errorf("got %d %s, want what to do", got.Status, got.Body)
	}
}

func TestTokenInspect(t *testing.T) {
	c := start(t, gatewayOptions(""), "respond hi")
	for name, tc := range map[string]struct{ token, want string }{
		"good":    {token(t, claims()), "verdict accepted"},
		"expired": {token(t, claims("iat", 1_600_000_000, "exp", 1_600_000_100)), "refused: token_expired"},
		"forged":  {token(t, claims())[:100] + "AAAA", "refused: "},
	} {
		t.Run(name, func(t *testing.T) {
			out, errOut, err := command(t, "gateway", "--address", c.Admin, "token", "inspect", tc.token)
			if err != nil || !strings.Contains(out, tc.want) {
				t.Errorf("got %v %s %s, want %q", err, out, errOut, tc.want)
			}
			if signature := tc.token[strings.LastIndexByte(tc.token, '.')+1:]; strings.Contains(out, signature) {
				t.Error("the signature is shown")
			}
		})
	}
	if _, errOut, err := command(t, "gateway", "--address", c.Admin, "token", "inspect", "hello"); err == nil || !strings.Contains(errOut, "three parts") {
		t.Errorf("no token: got %v %s", err, errOut)
	}
}

// A signing key that got out is no good any more, cached tokens included.
func TestRevokeSigningKey(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions(""), protected, "$UPSTREAM", up.addr())
	named := func(kid string) string {
		signed := jwt.NewWithClaims(jwt.SigningMethodHS256, claims())
		signed.Header["kid"] = kid
		text, err := signed.SignedString([]byte(testSecret))
		if err != nil {
			t.Fatal(err)
		}
		return "Bearer " + text
	}
	lost, kept := named("lost"), named("kept")
	want := func(when string, token string, status int) {
		t.Helper()
		if got := c.Get("/", "Authorization", token); got.Status != status {
			t.Errorf("%s: got %d %s, want %d", when, got.Status, got.Body, status)
		}
	}
	want("before", lost, 200)
	out, errOut, err := command(t, "gateway", "--address", c.Admin, "--json", "token", "revoke", "--kid", "lost", "--issuer", "main")
	var rev struct {
		ID, Kind, Value string
		ExpiresAt       *string `json:"expires_at"`
	}
	if err != nil || json.Unmarshal([]byte(out), &rev) != nil || rev.Kind != "kid" || rev.Value != "lost" || rev.ExpiresAt != nil {
		t.Fatalf("got %v %s %s, want a revocation of the kid that never ends", err, out, errOut)
	}
	want("after", lost, 401)
	want("another key", kept, 200)
	want("no kid", bearer(t), 200)
	for _, body := range []string{`{"kid":"a","jti":"b"}`, `{"kid":"a","subject":"b"}`, `{"kid":"a","issued_before":"2026-01-01T00:00:00Z"}`} {
		if got := admin(t, c, http.MethodPost, "/gateway/revocations", body); got.Status != 422 {
			t.Errorf("%s: got %d %s, want 422", body, got.Status, got.Body)
		}
	}
	if got := admin(t, c, http.MethodDelete, "/gateway/revocations/"+rev.ID, ""); got.Status != 200 {
		t.Fatalf("got %d %s", got.Status, got.Body)
	}
	want("taken back", lost, 200)
}

// `any` says that it does not matter.
func TestIssuerOptsOut(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions("issuer partner {\n secret {env.TEST_SECRET}\n iss partner\n audience any\n }"), protected, "$UPSTREAM", up.addr())
	if got := c.Get("/", "Authorization", bearer(t, "iss", "partner", "aud", "whoever")); got.Status != 200 {
		t.Errorf("audience any: got %d %s, want 200", got.Status, got.Body)
	}
	for block, want := range map[string]string{
		"secret {env.TEST_SECRET}\n audience any api":           "audience any stands alone",
		"discovery https://login.example.com\n iss any":         "leave iss out",
		"secret {env.TEST_SECRET}\n iss any\n audience any":     "both have no iss", // like main
		"secret {env.TEST_SECRET}\n iss other\n audience any a": "stands alone",
	} {
		err := c.Reload(gatewayOptions("issuer second {\n"+block+"\n}") + "\nhttp://127.0.0.1:$PORT {\n" + protected + "\n}\n")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want an error with %q", block, err, want)
		}
	}
}

// Caddy's own authentication handler can ask the gateway.
func TestProvider(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions("issuer dead {\n jwks http://127.0.0.1:1/keys\n iss dead\n }"),
		"gateway_errors\n gateway_roles USER\n reverse_proxy $UPSTREAM", "$UPSTREAM", up.addr())
	key := createKey(t, c, `"owner":"u2"`).APIKey
	config := admin(t, c, http.MethodGet, "/config/", "").Body
	load := func(provider string) int {
		changed := strings.Replace(config, `{"any_of":["USER"],"handler":"gateway_roles"}`,
			`{"handler":"authentication","providers":{"gateway":`+provider+`}},{"any_of":["USER"],"handler":"gateway_roles"}`, 1)
		if changed == config {
			t.Fatalf("nothing to change in %s", config)
		}
		return admin(t, c, http.MethodPost, "/load", changed).Status
	}
	for _, unknown := range []string{`{"optional":true}`, `{"shadow":true}`} {
		if status := load(unknown); status != 400 {
			t.Errorf("%s: got %d, want 400", unknown, status)
		}
	}
	if status := load(`{}`); status != 200 {
		t.Fatalf("got %d", status)
	}
	c.Client.CloseIdleConnections()
	if got := c.Get("/", "Authorization", bearer(t), "X-User-Id", "root"); got.Status != 200 || up.last().Header.Get("X-User-Id") != "u1" {
		t.Errorf("got %d for %q", got.Status, up.last().Header.Get("X-User-Id"))
	}
	if got := c.Get("/", "X-API-Key", key); got.Status != 200 || up.last().Header.Get("X-User-Id") != "u2" || up.last().Header.Get("X-API-Key") != "" {
		t.Errorf("got %d, upstream saw %v", got.Status, up.last().Header)
	}
	up.forget()
	wantError(t, c.Get("/"), http.StatusUnauthorized, "Could not validate credentials")
	wantError(t, c.Get("/", "X-API-Key", key+"x"), http.StatusUnauthorized, "Invalid API key")
	wantError(t, c.Get("/a/..%2fb", "X-API-Key", key), http.StatusBadRequest, "Bad Request")
	got := c.Get("/", "Authorization", "Bearer abc")
	wantError(t, got, http.StatusUnauthorized, "Could not validate credentials")
	if !strings.Contains(got.Header.Get("WWW-Authenticate"), "invalid_token") {
		t.Errorf("got challenge %q", got.Header.Get("WWW-Authenticate"))
	}
	// What could not be checked is no 401 here either.
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	unchecked, err := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims("iss", "dead")).SignedString(private)
	if err != nil {
		t.Fatal(err)
	}
	got = c.Get("/", "Authorization", "Bearer "+unchecked)
	if got.Status != http.StatusServiceUnavailable || got.Header.Get("Retry-After") == "" || detail(t, got.Body) != "Service unavailable" {
		t.Errorf("got %d %v %s, want 503 with Retry-After", got.Status, got.Header, got.Body)
	}
	if up.count() != 0 {
		t.Errorf("the upstream was called %d times", up.count())
	}
}
