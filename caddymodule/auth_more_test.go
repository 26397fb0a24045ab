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

// Caddy's own authentication handler can ask the gateway.
func TestProvider(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions(""), "gateway_errors\n gateway_roles USER\n reverse_proxy $UPSTREAM", "$UPSTREAM", up.addr())
	config := admin(t, c, http.MethodGet, "/config/", "").Body
	changed := strings.Replace(config, `{"any_of":["USER"],"handler":"gateway_roles"}`,
		`{"handler":"authentication","providers":{"gateway":{}}},{"any_of":["USER"],"handler":"gateway_roles"}`, 1)
	if changed == config {
		t.Fatalf("nothing to change in %s", config)
	}
	if got := admin(t, c, http.MethodPost, "/load", changed); got.Status != 200 {
		t.Fatalf("got %d %s", got.Status, got.Body)
	}
	c.Client.CloseIdleConnections()
	if got := c.Get("/", "Authorization", bearer(t), "X-User-Id", "root"); got.Status != 200 || up.last().Header.Get("X-User-Id") != "u1" {
		t.Errorf("got %d for %q", got.Status, up.last().Header.Get("X-User-Id"))
	}
	got := c.Get("/", "Authorization", "Bearer abc")
	wantError(t, got, http.StatusUnauthorized, "Could not validate credentials")
	if !strings.Contains(got.Header.Get("WWW-Authenticate"), "invalid_token") {
		t.Errorf("got challenge %q", got.Header.Get("WWW-Authenticate"))
	}
}
