package caddymodule_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"
)

// wantHarmless checks that a terminal shows text as it is: no control character but
// the newlines between lines, nothing that sets the direction, nothing invisible.
func wantHarmless(t *testing.T, what, text string) {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Errorf("%s: is not UTF-8: %q", what, text)
	}
	for i, r := range text {
		if r != '\n' && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) {
			t.Errorf("%s: %U at %d of %q", what, r, i, text)
			return
		}
	}
}

// A stranger writes into the operator's terminal: paths, names and claims with
// escape sequences, newlines, and marks that turn the direction of text or hide it.
func TestCommandsPrintNothingHostile(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions("tier free 1/1h"), `
	gateway_errors
	gateway_auth /v1* {
		failures off
	}
	gateway_auth /shadow* {
		shadow
		failures off
	}
	gateway_roles /v1/admin* ADMIN
	gateway_limit
	rewrite /old* /new{uri}
	reverse_proxy $UPSTREAM`, "$UPSTREAM", up.addr())
	gateway := func(args ...string) (string, string) {
		t.Helper()
		out, errOut, _ := command(t, append([]string{"gateway", "--address", c.Admin}, args...)...)
		return out, errOut
	}

	pieces := []string{
		"%0a", "%0d", "%09", "%00", "%1b%5b31m", "%1b%5d0;x%07", "%7f", "%c2%9b2J", "%9b2J", "%ff", "%e2%80%ae", "%e2%81%a6", "%e2%80%8b", "%e2%80%8f",
		"%ef%bb%bf", "%e2%80%a8", "%d8%9c", "%c2%ad", "%e3%85%a4", "%ef%b8%8f", "%cd%8f", "%20%20forged", "%f3%a0%81%81",
	}
	for _, piece := range pieces {
		for _, place := range []string{"/v1/a", "/shadow/a", "/old/a", "/v1/admin/"} {
			c.Get(place+piece+"b?q"+piece, "Authorization", bearer(t, "sub", "u\u202e1", "jti", "j"+piece))
			c.Get(place+piece+"b", "Authorization", "x\u202e\u200b", "X-Forwarded-For", "\u009b2J")
		}
	}
	// Operators paste names from elsewhere.
	strange := "a\u202eb\u200bc\u2066\ufeff\u3164"
	for _, args := range [][]string{
		{"key", "create", "--owner", strange, "--name", strange, "--json"},
		{"limit", "set", strange, "5/1h"},
		{"limit", "show", strange},
		{"limit", "reset", strange},
		{"token", "revoke", "--subject", strange, "--note", strange},
		{"user", "create", "--email", "a@example.com", "--full-name", strange},
	} {
		out, errOut := gateway(args...)
		wantHarmless(t, strings.Join(args[:2], " "), out+errOut)
	}
	unsigned, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims("sub", strange)).SignedString([]byte("another secret of thirty-two bytes or more"))
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, args := range [][]string{
		{"tail", "--once", "--last", "1000"},
		{"tail", "--once", "--last", "1000", "--path", "/v1/a\x1b"},
		{"shadow-report"},
		{"audit", "--limit", "1000"},
		{"key", "list"},
		{"key", "show", strange},
		{"limit", "list"},
		{"user", "list"},
		{"user", "show", "a@example.com"},
		{"token", "revocations"},
		{"token", "inspect", unsigned},
		{"health"},
		{"check", "--as", "owner=" + strange, "GET", c.URL + "/v1/%1b%5b31m%e2%80%ae"},
		{"check", "GET", c.URL + "/v1/%0aRefused:%20no"},
	} {
		for _, format := range [][]string{nil, {"--json"}} {
			out, errOut := gateway(append(args, format...)...)
			wantHarmless(t, strings.Join(args, " "), out+errOut)
			seen += len(out)
		}
	}
	var records []struct {
		RequestID string `json:"request_id"`
	}
	if err := json.Unmarshal([]byte(admin(t, c, "GET", "/gateway/decisions?limit=1000", "").Body), &records); err != nil || len(records) < len(pieces) {
		t.Fatalf("got %d records, %v", len(records), err)
	}
	explain := []string{"explain"}
	for _, r := range records {
		explain = append(explain, r.RequestID)
	}
	out, errOut := gateway(explain...)
	wantHarmless(t, "explain", out+errOut)
	if seen == 0 || !strings.Contains(out, `\u202e`) || !strings.Contains(out, `\x1b`) {
		t.Errorf("got %d bytes, and nothing quoted in %s", seen, out)
	}
}

// People send credentials in the wrong place. What explains the refusal must not
// show them: it is read by others, and kept.
func TestMisplacedCredentialsAreNotShown(t *testing.T) {
	up := newUpstream(t)
	options := strings.Replace(gatewayOptions(""), "persist_config off", "persist_config off\n\tlog {\n\t\toutput file $DIR/all.log\n\t\tlevel DEBUG\n\t}", 1)
	c := start(t, options, `
	test_tracing
	gateway_errors
	gateway_auth /v1* {
		failures off
	}
	gateway_auth /shadow* {
		shadow
		failures off
	}
	gateway_limit
	respond /shadow/error* 500
	reverse_proxy $UPSTREAM`, "$UPSTREAM", up.addr())
	key := createKey(t, c, `"owner":"u1"`).APIKey
	token := token(t, claims())
	basic := base64.StdEncoding.EncodeToString([]byte("user:correct horse"))
	secrets := map[string]string{"key": key[12:], "claims": strings.Split(token, ".")[1], "signature": strings.Split(token, ".")[2], "basic": basic, "word": "hunter2"}

	var ids []string
	spans.Reset()
	for _, path := range []string{"/v1/x", "/shadow/x", "/shadow/error"} {
		for _, headers := range [][]string{
			{"Authorization", key},
			{"Authorization", token},
			{"Authorization", key + " x"},
			{"Authorization", "hunter2"},
			{"Authorization", "hunter2 x"},
			{"Authorization", "Basic " + basic},
			{"Authorization", basic},
			{"Authorization", "Bearer: " + key},
			{"Authorization", "Bearer hunter2 hunter2"},
			{"Authorization", "Bearer hunter2"},
			{"Authorization", "Token hunter2"},
			{"X-API-Key", "hunter2"},
			{"X-API-Key", token + "x"},
			{"X-API-Key", key[:40]},
			{"Api-Key", key},
			{"Api-Key", "hunter2"},
			{"X-Api-Token", token},
			{"X-Auth-Token", "Bearer " + token},
			{"Token", "hunter2"},
		} {
			ids = append(ids, c.Get(path, headers...).Header.Get("X-Request-Id"))
		}
		for _, rest := range []string{
			"?api_key=" + key, "?access_token=" + token, "?token=hunter2", "/" + key, "/" + token, "/" + token[:60], ";api_key=hunter2", "%3Faccess_token=hunter2",
			"/" + strings.Repeat("a", 230) + key, "/_" + key + "/edit",
		} {
			ids = append(ids, c.Get(path+rest).Header.Get("X-Request-Id"))
		}
	}

	wantHidden := func(what, text string) {
		t.Helper()
		if text == "" {
			t.Errorf("%s: is empty", what)
		}
		for name, secret := range secrets {
			if at := strings.Index(text, secret); at >= 0 {
				t.Errorf("%s: shows the %s in %q", what, name, text[max(0, at-80):min(len(text), at+80)])
			}
		}
	}
	for what, args := range map[string][]string{
		"explain": append([]string{"explain"}, ids...), "explain as JSON": append([]string{"explain", "--json"}, ids...),
		"tail": {"tail", "--once", "--last", "1000"}, "shadow-report": {"shadow-report"},
	} {
		out, errOut, err := command(t, append([]string{"gateway", "--address", c.Admin}, args...)...)
		if err != nil {
			t.Errorf("%s: %v %s", what, err, errOut)
		}
		wantHidden(what, out)
	}
	wantHidden("the admin API", admin(t, c, "GET", "/gateway/decisions?limit=1000", "").Body)

	// Caddy's own lines have the request, as the page on observability says.
	logged, err := os.ReadFile(filepath.Join(c.Dir, "all.log"))
	if err != nil {
		t.Fatal(err)
	}
	var ours strings.Builder
	for line := range strings.Lines(string(logged)) {
		var entry struct {
			Logger string `json:"logger"`
		}
		if err := json.Unmarshal([]byte(line), &entry); err == nil && strings.Contains(entry.Logger, "gateway") && entry.Logger != "admin.api" {
			ours.WriteString(line)
		}
	}
	wantHidden("the log", ours.String())
	endedSpan(t)
	for _, span := range spans.Ended() {
		wantHidden("a span", fmt.Sprint(span.Attributes(), span.Events(), span.Status()))
	}
}
