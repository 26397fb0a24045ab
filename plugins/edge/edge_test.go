package edge

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

func TestCheckMethod(t *testing.T) {
	for method, refused := range map[string]bool{
		"GET": false, "DELETE": false, "M-SEARCH": false, "PROPFIND": false, "get": true, "Delete": true, "GETa": true, "GETz": true, "GET`": false, "GET{": false, "CONNECT": true,
	} {
		if d := CheckMethod(method); (d != nil) != refused {
			t.Errorf("%s: got %+v, want refused %t", method, d, refused)
		}
	}
}

func TestStripOverrides(t *testing.T) {
	h := http.Header{
		"X-Original-Url": {"/admin"}, "X_Original_URL": {"/admin"}, "x.rewrite.url": {"/admin"}, "X-HTTP-Method-Override": {"DELETE"},
		"X-Http-Method": {"PUT"}, "X-METHOD-OVERRIDE": {"PUT"}, "X-Forwarded-Prefix": {"/x"}, "X-Forwarded-Uri": {"/admin"},
		"X-Forwarded-For": {"1.2.3.4"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"a"}, "Accept": {"*/*"}, "X-Methodical": {"kept"},
		"X-A-Very-Long-Name-That-Does-Not-Fit-Into-The-Buffer": {"kept"},
	}
	StripOverrides(h)
	var left []string
	for name := range h {
		left = append(left, name)
	}
	slices.Sort(left)
	want := []string{"Accept", "X-A-Very-Long-Name-That-Does-Not-Fit-Into-The-Buffer", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Methodical"}
	if !slices.Equal(left, want) {
		t.Errorf("left %q, want %q", left, want)
	}
}

func TestFold(t *testing.T) {
	for name, want := range map[string]string{"AZaz09": "azaz09", "X-Y_Z.9": "xyz9", "@[`{/:": "", "X-Http-Method-Overrides": ""} {
		if got := string(fold(make([]byte, 0, longestOverride), name)); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

func TestUpgradesStrip(t *testing.T) {
	const key = "dGhlIHNhbXBsZSBub25jZQ=="
	cases := []struct {
		name     string
		upgrades Upgrades
		method   string
		header   http.Header
		passes   bool
		left     string // of Connection
	}{
		{"a WebSocket", nil, "GET", http.Header{"Connection": {"keep-alive, Upgrade"}, "Upgrade": {"WebSocket"}, "Sec-Websocket-Key": {key}, "Sec-Websocket-Version": {"13"}}, true, "keep-alive, Upgrade"},
		{"h2c", nil, "GET", http.Header{"Connection": {"Upgrade, HTTP2-Settings"}, "Upgrade": {"h2c"}, "Http2-Settings": {"AAMAAABk"}}, false, ""},
		{"no upgrade", nil, "GET", http.Header{"Connection": {"Upgrade"}}, false, "Upgrade"},
		{"the settings of h2c alone", nil, "GET", http.Header{"Connection": {"HTTP2-Settings, close"}, "Http2-Settings": {"AA"}}, false, "close"},
		{"h2c in capitals", nil, "GET", http.Header{"Connection": {"upgrade"}, "Upgrade": {"H2C"}}, false, ""},
		{"h2c beside a WebSocket", nil, "GET", http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket, h2c"}, "Sec-Websocket-Key": {key}, "Sec-Websocket-Version": {"13"}}, false, ""},
		{"two lines", nil, "GET", http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket", "h2c"}, "Sec-Websocket-Key": {key}, "Sec-Websocket-Version": {"13"}}, false, ""},
		{"a WebSocket with the settings of h2c", nil, "GET", http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Http2-Settings": {"AA"}, "Sec-Websocket-Key": {key}, "Sec-Websocket-Version": {"13"}}, false, ""},
		{"not announced in Connection", nil, "GET", http.Header{"Connection": {"close"}, "Upgrade": {"websocket"}, "Sec-Websocket-Key": {key}, "Sec-Websocket-Version": {"13"}}, false, "close"},
		{"a WebSocket by POST", nil, "POST", http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Key": {key}, "Sec-Websocket-Version": {"13"}}, false, ""},
		{"a protocol by name", Upgrades{"spdy/3.1"}, "POST", http.Header{"Connection": {"Upgrade"}, "Upgrade": {"SPDY/3.1"}}, true, "Upgrade"},
		{"a WebSocket where others are named", Upgrades{"spdy/3.1"}, "GET", http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Key": {key}, "Sec-Websocket-Version": {"13"}}, false, ""},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			r := httptest.NewRequest(tc.method, "/", nil)
			r.Header = tc.header
			tc.upgrades.Strip(r)
			if _, left := r.Header["Upgrade"]; left != tc.passes {
				t.Errorf("Upgrade is there: %t, want %t", left, tc.passes)
			}
			if _, left := r.Header["Http2-Settings"]; left {
				t.Error("HTTP2-Settings is there")
			}
			if _, there := r.Header["Connection"]; there != (tc.left != "") {
				t.Errorf("Connection is there: %t", there)
			}
			if got := r.Header.Get("Connection"); got != tc.left {
				t.Errorf("Connection is %q, want %q", got, tc.left)
			}
		})
	}
}

// closer notes that it was closed.
type closer struct {
	io.Reader
	closed bool
}

func (c *closer) Close() error {
	c.closed = true
	return nil
}

func TestBody(t *testing.T) {
	src := &closer{Reader: strings.NewReader("text")}
	r := &http.Request{Body: src, Trailer: http.Header{"X-User-Role": nil}}
	stripped := 0
	b := NewBody(r, func(h http.Header) {
		stripped++
		delete(h, "X-User-Role")
	})
	if b.Begun() {
		t.Error("begun before anything was read")
	}
	// A server fills the trailers in at the end of the body.
	r.Trailer["X-User-Role"] = []string{"ADMIN"}
	part := make([]byte, 2)
	if n, err := b.Read(part); n != 2 || err != nil || stripped != 0 {
		t.Errorf("read %q, %v, and the trailers were stripped %d times before the end", part[:n], err, stripped)
	}
	text, err := io.ReadAll(b)
	if string(text) != "xt" || err != nil || !b.Begun() {
		t.Errorf("read %q, %v, begun %t", text, err, b.Begun())
	}
	if len(r.Trailer) != 0 {
		t.Errorf("trailers %v are left", r.Trailer)
	}
	if _, err := b.Read(part); !errors.Is(err, io.EOF) || stripped != 1 {
		t.Errorf("at the end: %v, stripped %d times", err, stripped)
	}
	if err := b.Close(); err != nil || src.closed {
		t.Errorf("closing gave %v and closed the server's body: %t", err, src.closed)
	}
	if _, err := b.Read(make([]byte, 1)); !errors.Is(err, http.ErrBodyReadAfterClose) {
		t.Errorf("reading after Close gave %v", err)
	}
}
