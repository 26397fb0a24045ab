package caddymodule_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ainative/portcullis/caddymodule/internal/caddyharness"
)

// rawUpstream is an upstream that reads requests and answers by hand. It returns
// its address.
func rawUpstream(t testing.TB, serve func(net.Conn, *bufio.Reader)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				serve(conn, bufio.NewReader(conn))
			}()
		}
	}()
	return l.Addr().String()
}

// Of all upgrades only WebSocket reaches the upstream: after a switch the gateway
// would see no request any more.
func TestForeignUpgradesDoNotPass(t *testing.T) {
	seen := make(chan http.Header, 10)
	up := rawUpstream(t, func(conn net.Conn, in *bufio.Reader) {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		seen <- r.Header
		if r.Header.Get("Upgrade") == "" {
			fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
			return
		}
		fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", r.Header.Get("Upgrade"))
		_, _ = io.Copy(conn, in)
	})
	for name, site := range map[string]string{
		"with errors": "gateway_errors\n gateway_auth /private\n reverse_proxy $UPSTREAM",
		"without":     "gateway_auth /private\n reverse_proxy $UPSTREAM",
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t, gatewayOptions(""), site, "$UPSTREAM", up)
			for _, header := range []string{
				"Connection: Upgrade, HTTP2-Settings\nUpgrade: h2c\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\n",
				"Connection: Upgrade\nUpgrade: H2C\n", "Connection: Upgrade\nUpgrade: websocket, h2c\n", "Connection: Upgrade\nUpgrade: TLS/1.0\n",
				"Connection: Upgrade\nUpgrade: websocket\nUpgrade: h2c\n", "connection: keep-alive, upgrade\nupgrade:\th2c\n",
			} {
				if got := ask(t, c, "GET /open HTTP/1.1\nHost: 127.0.0.1\n"+header+"\n"); got != 200 {
					t.Errorf("%q: got %d, want the request to go on without the upgrade", header, got)
				}
				if h := <-seen; h.Get("Upgrade") != "" || h.Get("Http2-Settings") != "" {
					t.Errorf("%q: the upstream saw %v", header, h)
				}
			}
			if got := ask(t, c, "POST /open HTTP/1.1\nHost: 127.0.0.1\nContent-Length: 0\nConnection: Upgrade\nUpgrade: websocket\n\n"); got != 200 {
				t.Errorf("a WebSocket by POST: got %d", got)
			}
			<-seen
			s := dial(t, c)
			s.send("GET /open HTTP/1.1\nHost: 127.0.0.1\nConnection: Upgrade\nUpgrade: WebSocket\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\nSec-WebSocket-Version: 13\n\n")
			if r, err := http.ReadResponse(s.in, nil); err != nil || r.StatusCode != http.StatusSwitchingProtocols {
				t.Fatalf("a WebSocket: got %+v, %v", r, err)
			}
			<-seen
			s.send("echo")
			echo := make([]byte, 4)
			if _, err := io.ReadFull(s.in, echo); err != nil || string(echo) != "echo" {
				t.Errorf("a WebSocket: got %q, %v back", echo, err)
			}
		})
	}
}

func TestUpgradesByName(t *testing.T) {
	up := rawUpstream(t, func(conn net.Conn, in *bufio.Reader) {
		if r, err := http.ReadRequest(in); err == nil {
			fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", r.Header.Get("Upgrade"))
		}
	})
	c := start(t, gatewayOptions(""), "gateway_site {\n upgrades spdy/3.1\n }\n reverse_proxy $UPSTREAM", "$UPSTREAM", up)
	if got := ask(t, c, "POST /exec HTTP/1.1\nHost: 127.0.0.1\nContent-Length: 0\nConnection: Upgrade\nUpgrade: SPDY/3.1\n\n"); got != 101 {
		t.Errorf("got %d, want 101", got)
	}
	if err := c.Reload(gatewayOptions("") + "http://127.0.0.1:$PORT {\n gateway_site {\n upgrades h2c\n }\n respond ok\n}\n"); err == nil || !strings.Contains(err.Error(), "no policy reads") {
		t.Errorf("upgrades h2c: got %v, want it refused", err)
	}
}

func TestUpgradeThatWasNotAskedFor(t *testing.T) {
	up := rawUpstream(t, func(conn net.Conn, in *bufio.Reader) {
		if _, err := http.ReadRequest(in); err == nil {
			fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
			_, _ = io.Copy(io.Discard, in)
		}
	})
	for name, site := range map[string]string{
		"with errors": "gateway_errors\n gateway_auth /private\n reverse_proxy $UPSTREAM",
		"without":     "gateway_auth /private\n reverse_proxy $UPSTREAM",
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t, gatewayOptions(""), site, "$UPSTREAM", up)
			s := dial(t, c)
			s.send("GET /open HTTP/1.1\nHost: 127.0.0.1\n\n")
			if r := s.read(); r == nil || r.StatusCode != http.StatusBadGateway {
				t.Errorf("got %+v, want 502", r)
			}
		})
	}
}

// What is left of a request's body is never read as the next request.
func TestRestOfABodyIsNoRequest(t *testing.T) {
	up := newUpstream(t)
	unread := rawUpstream(t, func(conn net.Conn, in *bufio.Reader) {
		if _, err := http.ReadRequest(in); err == nil {
			fmt.Fprint(conn, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		}
	})
	smuggled := strings.Repeat("GET /smuggled HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Pad: 1\r\n\r\n", 400)
	for name, tc := range map[string]struct {
		site, path string
		status     int
	}{
		"the site's bound":               {"gateway_errors\n gateway_auth /private\n request_body {\n max_size 10KB\n }\n reverse_proxy $UPSTREAM", "/open", 413},
		"the site's bound, no format":    {"gateway_auth /private\n request_body {\n max_size 10KB\n }\n reverse_proxy $UPSTREAM", "/open", 413},
		"an upstream that does not read": {"gateway_errors\n gateway_auth /private\n reverse_proxy $UNREAD", "/open", 413},
		"our refusal":                    {"gateway_errors\n gateway_auth /private\n reverse_proxy $UPSTREAM", "/private", 401},
		"the guard's refusal":            {"gateway_errors\n gateway_auth /private\n reverse_proxy $UPSTREAM", "/a%2fb", 400},
		"another handler":                {"gateway_errors\n gateway_auth /private\n respond 403", "/open", 403},
		"another handler that is fine":   {"gateway_errors\n gateway_auth /private\n respond ok", "/open", 200},
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t, gatewayOptions(""), tc.site, "$UPSTREAM", up.addr(), "$UNREAD", unread)
			for _, at := range []int{0, 9_999, 10_000, 10_001, 65_536, 262_143, 262_144, 262_145, 272_143, 272_144, 272_145, 272_146, 600_000} {
				for _, chunked := range []bool{true, false} {
					body := strings.Repeat("a", at) + smuggled
					up.forget()
					s := dial(t, c)
					if chunked {
						s.send(fmt.Sprintf("POST %s HTTP/1.1\nHost: 127.0.0.1\nTransfer-Encoding: chunked\n\n%x\n", tc.path, len(body)))
					} else {
						s.send(fmt.Sprintf("POST %s HTTP/1.1\nHost: 127.0.0.1\nContent-Length: %d\n\n", tc.path, len(body)))
					}
					sent := make(chan struct{})
					go func() {
						defer close(sent)
						_, _ = io.WriteString(s.conn, body)
						if chunked {
							_, _ = io.WriteString(s.conn, "\r\n0\r\n\r\n")
						}
					}()
					first := s.read()
					if first != nil && first.StatusCode != tc.status && !(tc.status == 413 && first.StatusCode == http.StatusBadGateway) {
						t.Errorf("%d bytes, chunked %t: got %d, want %d", at, chunked, first.StatusCode, tc.status)
					}
					answers := 0
					if first != nil && !first.Close {
						// Then the next request is the one that follows the body.
						<-sent
						s.send("GET /next HTTP/1.1\nHost: 127.0.0.1\nConnection: close\n\n")
						answers = 1
					}
					for extra := s.read(); extra != nil; extra = s.read() {
						answers--
					}
					if answers != 0 {
						t.Fatalf("%d bytes, chunked %t: got %d answers too many", at, chunked, -answers)
					}
					if r := up.last(); r != nil && r.URL.Path == "/smuggled" {
						t.Fatalf("%d bytes, chunked %t: the upstream got %s", at, chunked, r.URL)
					}
				}
			}
		})
	}
}

// A client that waits for a go-ahead gets its refusal at once, and no go-ahead.
func TestExpectIsRefusedAtOnce(t *testing.T) {
	up := newUpstream(t)
	// It wants the body: one that answers without may do so before there is a go-ahead.
	up.answer(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusOK)
	})
	for name, site := range map[string]string{
		"with errors": "gateway_errors\n gateway_auth /private\n reverse_proxy $UPSTREAM",
		"without":     "gateway_auth /private\n reverse_proxy $UPSTREAM",
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t, gatewayOptions(""), site, "$UPSTREAM", up.addr())
			for path, want := range map[string]int{"/private": 401, "/a%2fb": 400} {
				s := dial(t, c)
				s.send("POST " + path + " HTTP/1.1\nHost: 127.0.0.1\nContent-Length: 10\nExpect: 100-continue\n\n")
				// Nothing is sent: the answer is to come without it.
				if r := s.read(); r == nil || r.StatusCode != want || !r.Close {
					t.Errorf("%s: got %+v, want %d and the connection closed", path, r, want)
				}
			}
			s := dial(t, c)
			s.send("POST /open HTTP/1.1\nHost: 127.0.0.1\nContent-Length: 10\nExpect: 100-continue\n\n")
			if line, err := s.in.ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
				t.Fatalf("got %q, %v, want a go-ahead", line, err)
			}
			if _, err := s.in.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
			s.send("0123456789")
			r := s.read()
			for r != nil && r.StatusCode == http.StatusContinue {
				// The upstream's own, which the proxy passes on.
				r = s.read()
			}
			if r == nil || r.StatusCode != http.StatusOK || r.Close {
				t.Errorf("got %+v, want 200 and the connection kept", r)
			}
		})
	}
}

// Identity headers do not pass as trailers of the request, announced or not.
func TestIdentityInTrailers(t *testing.T) {
	trailers := make(chan http.Header, 1)
	up := newUpstream(t)
	up.answer(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		trailers <- r.Trailer
	})
	c := start(t, gatewayOptions(""), "gateway_auth /private\n reverse_proxy $UPSTREAM", "$UPSTREAM", up.addr())
	forged := "X-User-Role: ADMIN\nX-User_Id: admin\nx-user-roles: ADMIN\nX-Request-Id: 1\nX-Checksum: 7\nX.User.Tier: pro\n"
	for _, announced := range []string{"X-User-Role, X-Checksum", "X-Checksum", "X-User-Role, X-User_Id, x-user-roles, X-Request-Id, X-Checksum"} {
		if got := ask(t, c, "POST /open HTTP/1.1\nHost: 127.0.0.1\nTransfer-Encoding: chunked\nTrailer: "+announced+"\n\n1\na\n0\n"+forged+"\n"); got != 200 {
			t.Fatalf("announcing %s: got %d", announced, got)
		}
		got := <-trailers
		if len(got) != 1 || got.Get("X-Checksum") != "7" {
			t.Errorf("announcing %s: the upstream got the trailers %v, want X-Checksum alone", announced, got)
		}
	}
}

// Without gateway_errors, handle_errors can't answer a refusal with the page that
// it protects.
func TestErrorRoutesDoNotServeWhatIsRefused(t *testing.T) {
	up := newUpstream(t)
	up.answer(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "the secret") })
	for name, routes := range map[string]string{
		"files":          "root * $DIR\n file_server",
		"nested":         "handle {\n route {\n root * $DIR\n file_server\n }\n }",
		"a proxy":        "reverse_proxy $UPSTREAM",
		"a proxy, later": "@a expression `{err.status_code} == 401`\n handle @a {\n reverse_proxy $UPSTREAM\n }",
		"another root":   "rewrite * /sub{uri}\n reverse_proxy $UPSTREAM",
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t, gatewayOptions(""), "root * $DIR\n gateway_auth\n file_server\n handle_errors {\n"+routes+"\n }", "$UPSTREAM", up.addr())
			writeFile(t, c, "secret.txt", "the secret")
			got := c.Get("/secret.txt")
			if got.Status != 401 || strings.Contains(got.Body, "secret") {
				t.Errorf("got %d %s", got.Status, got.Body)
			}
			wantError(t, got, 401, "Could not validate credentials")
			if got := c.Get("/none.txt", "Authorization", bearer(t)); name == "a proxy" && got.Body != "the secret" {
				t.Errorf("an error that is no refusal: got %d %s", got.Status, got.Body)
			}
		})
	}
	t.Run("a page for the error", func(t *testing.T) {
		c := start(t, gatewayOptions(""), "root * $DIR\n gateway_auth\n file_server\n handle_errors {\n rewrite * /{err.status_code}.html\n file_server\n }")
		writeFile(t, c, "401.html", "log in first")
		if got := c.Get("/secret.txt"); got.Status != 401 || got.Body != "log in first" {
			t.Errorf("got %d %s, want the page for 401", got.Status, got.Body)
		}
	})
}

// writeFile puts a file into the harness's directory.
func writeFile(t testing.TB, c *caddyharness.Caddy, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(c.Dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Without gateway_errors, the text of a refusal that handle_errors may show is the
// public one.
func TestErrorMessageIsPublic(t *testing.T) {
	c := start(t, gatewayOptions(""), "gateway_auth\n gateway_limit {\n limit 1/1h\n }\n respond ok\n handle_errors {\n respond \"{err.message}\"\n }")
	expired := bearer(t, "iat", 1_600_000_000, "exp", 1_600_000_100)
	if got := c.Get("/", "Authorization", expired); got.Status != 401 || got.Body != "Could not validate credentials" {
		t.Errorf("got %d %s", got.Status, got.Body)
	}
	good := bearer(t)
	c.Get("/", "Authorization", good)
	if got := c.Get("/", "Authorization", good); got.Status != 429 || !strings.HasPrefix(got.Body, "Rate limit exceeded. Try again in 3") {
		t.Errorf("got %d %s", got.Status, got.Body)
	}
}
