package caddymodule_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/ainative/portcullis/caddymodule/internal/caddyharness"
)

// h2Options is gatewayOptions for a server that speaks HTTP/2 without TLS.
func h2Options() string {
	return strings.Replace(gatewayOptions(roomy), "\tgateway {", "\tservers {\n\t\tprotocols h1 h2c\n\t}\n\tgateway {", 1)
}

// h2Session is a connection on which HTTP/2 frames are sent as a test wants them.
type h2Session struct {
	t       testing.TB
	framer  *http2.Framer
	encoded bytes.Buffer
	encoder *hpack.Encoder
	stream  uint32
	// extendedConnect says whether the server takes RFC 8441's CONNECT.
	extendedConnect bool
}

func dialH2(t testing.TB, c *caddyharness.Caddy) *h2Session {
	t.Helper()
	conn := dial(t, c).conn
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	s := &h2Session{t: t, framer: http2.NewFramer(conn, conn), stream: 1}
	s.encoder = hpack.NewEncoder(&s.encoded)
	s.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if err := s.framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *h2Session) block(fields []string) []byte {
	s.encoded.Reset()
	for i := 0; i < len(fields); i += 2 {
		if err := s.encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}); err != nil {
			s.t.Fatal(err)
		}
	}
	return s.encoded.Bytes()
}

// ask sends a request, with trailers where those are not nil, and returns the
// status of the answer, 0 where the stream or the connection was ended instead.
func (s *h2Session) ask(fields, trailers []string) int {
	s.t.Helper()
	id := s.stream
	s.stream += 2
	fail := func(err error) {
		if err != nil {
			s.t.Logf("sending: %v", err)
		}
	}
	fail(s.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: s.block(fields), EndHeaders: true, EndStream: trailers == nil}))
	if trailers != nil {
		fail(s.framer.WriteData(id, false, []byte("body")))
		fail(s.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: s.block(trailers), EndHeaders: true, EndStream: true}))
	}
	for {
		frame, err := s.framer.ReadFrame()
		if err != nil {
			return 0
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				if value, ok := f.Value(http2.SettingEnableConnectProtocol); ok && value == 1 {
					s.extendedConnect = true
				}
				fail(s.framer.WriteSettingsAck())
			}
		case *http2.RSTStreamFrame:
			if f.StreamID == id {
				return 0
			}
		case *http2.GoAwayFrame:
			return 0
		case *http2.MetaHeadersFrame:
			if f.StreamID == id {
				status := 0
				for _, digit := range f.PseudoValue("status") {
					status = status*10 + int(digit-'0')
				}
				return status
			}
		}
	}
}

// get are the fields of a GET, and more.
func get2(path string, more ...string) []string {
	return append([]string{":method", "GET", ":scheme", "http", ":authority", "127.0.0.1", ":path", path}, more...)
}

// What holds over HTTP/1.1 holds over HTTP/2, whose paths, headers and trailers
// come another way.
func TestGuardOverHTTP2(t *testing.T) {
	up := newUpstream(t)
	var trailers http.Header
	up.answer(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		trailers = r.Trailer
	})
	c := start(t, h2Options(), taught, "$UPSTREAM", up.addr())
	token := bearer(t)

	t.Run("paths", func(t *testing.T) {
		if got := dialH2(t, c).ask(get2("/healthz"), nil); got != 200 || up.count() != 1 {
			t.Fatalf("a plain request: got %d", got)
		}
		for _, path := range []string{
			"/v1/admin/../../healthz", "/v1/admin/users/..%2f..%2f..%2fhealthz", "/v1/admin;x/users", "/v1%2fadmin", "//v1/admin", "/v1%5cadmin", `/v1\admin`,
			"/v1/%2561dmin", "/v1/admin%00", "/v1/admin.", "*", "", "v1/admin", "healthz/../v1/admin", "/healthz;", "http://127.0.0.1/healthz/../v1/admin", "/healthz#/../v1/admin", "http:v1/admin",
		} {
			up.forget()
			got := dialH2(t, c).ask(get2(path, "authorization", token), nil)
			if up.count() != 0 || got != 0 && got != 400 {
				t.Errorf("%q: got %d, and %d requests upstream", path, got, up.count())
			}
		}
	})
	t.Run("the empty path", func(t *testing.T) {
		up.forget()
		if got := dialH2(t, c).ask(get2("http://127.0.0.1"), nil); got != 401 && got != 0 || up.count() != 0 {
			t.Errorf("got %d, and %d requests upstream", got, up.count())
		}
	})
	t.Run("methods", func(t *testing.T) {
		for name, fields := range map[string][]string{
			"small letters":         {":method", "get", ":scheme", "http", ":authority", "127.0.0.1", ":path", "/healthz"},
			"CONNECT":               {":method", "CONNECT", ":authority", "127.0.0.1:80"},
			"CONNECT with a path":   {":method", "CONNECT", ":scheme", "http", ":authority", "127.0.0.1", ":path", "/healthz"},
			"CONNECT to another":    {":method", "CONNECT", ":protocol", "connect-udp", ":scheme", "http", ":authority", "127.0.0.1", ":path", "/healthz"},
			"a protocol with a GET": {":method", "GET", ":protocol", "websocket", ":scheme", "http", ":authority", "127.0.0.1", ":path", "/healthz"},
		} {
			up.forget()
			if got := dialH2(t, c).ask(fields, nil); got != 0 && got != 400 || up.count() != 0 {
				t.Errorf("%s: got %d, and %d requests upstream", name, got, up.count())
			}
		}
	})
	t.Run("a WebSocket is judged as the GET that it becomes", func(t *testing.T) {
		s := dialH2(t, c)
		if got := s.ask(get2("/healthz"), nil); got != 200 {
			t.Fatalf("a plain request: got %d", got)
		}
		t.Logf("the server offers extended CONNECT: %t", s.extendedConnect)
		for path, want := range map[string]int{"/v1/items": 401, "/v1/admin/../../healthz": 400} {
			up.forget()
			got := s.ask([]string{":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":authority", "127.0.0.1", ":path", path, "sec-websocket-version", "13"}, nil)
			// A server that does not offer RFC 8441 refuses the stream.
			if !s.extendedConnect {
				want = 0
			}
			if got != want || up.count() != 0 {
				t.Errorf("%s: got %d, want %d, and %d requests upstream", path, got, want, up.count())
			}
			if got == 0 {
				s = dialH2(t, c)
			}
		}
	})
	t.Run("forged headers and trailers", func(t *testing.T) {
		up.forget()
		fields := []string{
			":method", "POST", ":scheme", "http", ":authority", "127.0.0.1", ":path", "/healthz", "x-user-id", "admin", "x_user_role", "ADMIN", "x-user.roles", "ADMIN",
			"x-original-url", "/v1/admin", "x-http-method-override", "DELETE", "trailer", "x-user-role, x-checksum",
		}
		got := dialH2(t, c).ask(fields, []string{"x-user-role", "ADMIN", "x_user_id", "admin", "x-checksum", "7"})
		r := up.last()
		if got != 200 || r == nil {
			t.Fatalf("got %d", got)
		}
		for name := range r.Header {
			if fold := strings.NewReplacer("-", "", "_", "", ".", "").Replace(strings.ToLower(name)); strings.HasPrefix(fold, "xuser") || strings.Contains(fold, "override") || fold == "xoriginalurl" {
				t.Errorf("the upstream saw %s", name)
			}
		}
		for name := range trailers {
			if name != "X-Checksum" {
				t.Errorf("the upstream saw the trailer %s", name)
			}
		}
	})
}
