package command

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ainative/portcullis/caddymodule/adminapi"
)

// answering is a client of an admin endpoint that gives one answer, and where the
// client prints.
func answering(t *testing.T, status int, body string) (*client, *bytes.Buffer) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	out := new(bytes.Buffer)
	return &client{address: strings.TrimPrefix(server.URL, "http://"), out: &printer{w: out}, notes: &printer{w: io.Discard}}, out
}

func TestHealth(t *testing.T) {
	for _, tc := range []struct {
		name   string
		status int
		body   string
		want   string
		fails  error
	}{
		{"ok", 200, `{"status":"ok","store":{"name":"sqlite"},"limiter":{"name":"memory"},"issuers":[]}`, "ok: sqlite, 0 revocations\nlimiter memory\n", nil},
		{
			"the store is gone", 503,
			`{"status":"failing","detail":"store failing: dial","problems":[{"part":"store","status":"failing","why":"dial \u001b[2J","since":"2026-01-01T00:00:00Z"}],"store":{"name":"postgres","error":"dial \u001b[2J"},"limiter":{"name":"redis","redis":{"target":"r:1","breaker":"open","bound":"B","gateways":2}},"issuers":[{"name":"main","source":"jwks","usable":false,"error":"404"}]}`,
			"failing: postgres, 0 revocations\n" + `store failing since 2026-01-01T00:00:00Z: "dial \x1b[2J"` + "\nlimiter redis at r:1: breaker open, B, 2 gateways\nissuer main (jwks): usable false, 0 keys, error 404\n",
			errUnhealthy,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, out := answering(t, tc.status, tc.body)
			if err := c.health(); !errors.Is(err, tc.fails) || out.String() != tc.want {
				t.Errorf("got %v and %q, want %v and %q", err, out, tc.fails, tc.want)
			}
			c, out = answering(t, tc.status, tc.body)
			c.json = true
			if err := c.health(); !errors.Is(err, tc.fails) || !strings.Contains(out.String(), `"issuers": [`) {
				t.Errorf("as JSON: got %v and %q", err, out)
			}
		})
	}
	c, out := answering(t, 503, `{"detail":"the running configuration has no gateway"}`)
	if err := c.health(); err == nil || err.Error() != "the running configuration has no gateway" || out.Len() != 0 {
		t.Errorf("without a gateway: got %v and %q", err, out)
	}
}

// With --json an answer is printed with all that it has, whatever version of the
// command asks.
func TestShowPrintsJSONAsItCame(t *testing.T) {
	c, out := answering(t, 200, `{"id":"k1","owner":"\u003cu1\u003e","later":true}`)
	c.json = true
	if err := show(c, "GET", "/", nil, func(adminapi.Key) { t.Error("told too") }); err != nil {
		t.Fatal(err)
	}
	if want := "{\n  \"id\": \"k1\",\n  \"owner\": \"<u1>\",\n  \"later\": true\n}\n"; out.String() != want {
		t.Errorf("got %s, want %s", out, want)
	}
}

func TestShowFails(t *testing.T) {
	for _, tc := range []struct {
		status     int
		body, want string
	}{
		{404, `{"detail":"Not found"}`, "Not found"},
		{422, `{"detail":[{"loc":["body","role"],"msg":"unknown role"},{"loc":["body","tier"],"msg":"unknown tier"}]}`, "role: unknown role\ntier: unknown tier"},
		{403, `{"error":"host not allowed"}`, "the admin endpoint at %s refused: host not allowed"},
		{200, `<html>`, "reading the answer of the admin endpoint at %s: invalid character '<' looking for beginning of value"},
	} {
		c, _ := answering(t, tc.status, tc.body)
		want := tc.want
		if strings.Contains(want, "%s") {
			want = fmt.Sprintf(want, c.address)
		}
		err := show(c, "GET", "/", nil, func(adminapi.Key) { t.Error("told") })
		if err == nil || err.Error() != want {
			t.Errorf("%d %s: got %v, want %s", tc.status, tc.body, err, want)
		}
	}
	nobody := &client{address: "127.0.0.1:1"}
	if _, err := nobody.ask("GET", "/", nil); err == nil || !strings.Contains(err.Error(), "no Caddy answers at 127.0.0.1:1") {
		t.Errorf("got %v", err)
	}
}
