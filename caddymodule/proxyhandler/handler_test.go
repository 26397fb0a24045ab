package proxyhandler_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/ainative/portcullis/caddymodule/internal/caddyharness"
)

// start runs a site with a gateway_proxy, or more; each way is shown in X-Way.
func start(t testing.TB, site string, vars ...string) *caddyharness.Caddy {
	t.Helper()
	return caddyharness.Start(t, siteText(site), vars...)
}

func siteText(site string) string {
	return caddyharness.Options("\tlog {\n\t\toutput discard\n\t}\n\tservers {\n\t\tprotocols h1 h2c\n\t}") + `
http://:$PORT {
	bind 127.0.0.1
	header {
		defer
		X-Way "{http.gateway.proxy.way}|{http.gateway.proxy.reason}"
	}
` + site + `
	handle_errors {
		header X-Way "{http.gateway.proxy.way}|{http.gateway.proxy.reason}"
		respond "{err.status_code}"
	}
}
`
}

// serveHTTP is an upstream; it returns its host:port.
func serveHTTP(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// Each feature that only Caddy's handler has keeps a site off the fast way, and
// says so.
func TestWaysOfSites(t *testing.T) {
	upstream := serveHTTP(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
	socket := filepath.Join(t.TempDir(), "up.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	transport := func(option string) string { return "transport http {\n" + option + "\n}" }
	tests := []struct{ name, to, options, reason string }{
		{"nothing", "", "", ""},
		{"unix socket", "unix/" + socket, "", ""},
		{"several upstreams", "$UP $UP", "", ""},
		{"round_robin", "", "lb_policy round_robin", ""},
		{"weighted_round_robin", "$UP $UP", "lb_policy weighted_round_robin 1 2", ""},
		{"first", "", "lb_policy first", ""},
		{"ip_hash", "", "lb_policy ip_hash", ""},
		{"client_ip_hash", "", "lb_policy client_ip_hash", ""},
		{"uri_hash", "", "lb_policy uri_hash", ""},
		{"query", "", "lb_policy query a", ""},
		{"header", "", "lb_policy header X-A", ""},
		{"cookie", "", "lb_policy cookie", ""},
		{"least_conn", "$UP $UP", "lb_policy least_conn", ""},
		{"random_choose", "$UP $UP", "lb_policy random_choose 2", ""},
		{"least_conn as fallback", "", "lb_policy header X-A {\nfallback least_conn\n}", ""},
		{"retries", "", "lb_retries 2\nlb_try_duration 1s", ""},
		{"active health checks", "", "health_uri /\nhealth_interval 1h", ""},
		{"header_up", "", "header_up X-A b", ""},
		{"header_up that removes", "", "header_up -Connection", ""},
		{"header_down", "", "header_down X-A b", ""},
		{"trusted_proxies", "", "trusted_proxies private_ranges", ""},
		{"flush at once", "", "flush_interval -1", ""},
		{"timeouts", "", transport("dial_timeout 1s\nresponse_header_timeout 1s\nread_timeout 5s\nwrite_timeout 5s\nmax_conns_per_host 5\nkeepalive 5s\nmax_response_header 8KB\nread_buffer 8KB\nlocal_address 127.0.0.1"), ""},
		{"no keepalive", "", transport("keepalive off"), ""},
		{"versions 1.1", "", transport("versions 1.1"), ""},

		{"passive health checks", "", "fail_duration 5s", "passive health checks"},
		{"unhealthy_request_count", "", "unhealthy_request_count 5", "passive health checks"},
		{"lb_retry_match", "", "lb_retries 1\nlb_retry_match method GET", "lb_retry_match"},
		{"dynamic", " ", "dynamic a localhost " + upstream[strings.LastIndex(upstream, ":")+1:], "dynamic"},
		{"placeholder", "{vars.up}", "", "placeholder in an upstream"},
		{"handle_response", "", "handle_response {\ncopy_response\n}", "handle_response or replace_status"},
		{"replace_status", "", "replace_status 200", "handle_response or replace_status"},
		{"request_buffers", "", "request_buffers 4KB", "request_buffers"},
		{"response_buffers", "", "response_buffers 4KB", "response_buffers"},
		{"flush_interval", "", "flush_interval 100ms", "flush_interval above 0"},
		{"rewrite", "", "rewrite /other", "rewrite or method"},
		{"method", "", "method POST", "rewrite or method"},
		{"verbose_logs", "", "verbose_logs", "verbose_logs"},
		{"header_up of Connection", "", "header_up Connection close", "header_up of a field that the client sets itself"},
		{"header_up of Upgrade", "", "header_up Upgrade {http.request.header.Upgrade}", "header_up of a field that the client sets itself"},
		{"expect_continue_timeout", "", transport("expect_continue_timeout 1s"), "expect_continue_timeout"},
		{"keepalive_idle_conns", "", transport("keepalive_idle_conns 5"), "keepalive_idle_conns"},
		{"two reasons", "", "response_buffers 4KB\nfail_duration 5s", "response_buffers, passive health checks"},
	}
	config := ""
	for i, test := range tests {
		to := test.to
		if to == "" {
			to = "$UP"
		}
		config += fmt.Sprintf("\thandle /%d {\n\t\tvars up %s\n\t\tgateway_proxy %s {\n%s\n}\n}\n", i, upstream, to, test.options)
	}
	c := start(t, config, "$UP", upstream)
	for i, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			want := "fast|"
			if test.reason != "" {
				want = "caddy|" + test.reason
			}
			got := c.Get("/" + strconv.Itoa(i))
			if got.Status != 200 || got.Body != "hello" || got.Header.Get("X-Way") != want {
				t.Errorf("got %d %q by %q, want 200 hello by %q", got.Status, got.Body, got.Header.Get("X-Way"), want)
			}
		})
	}
	t.Run("metric", func(t *testing.T) {
		metrics := c.Get("http://" + c.Admin + "/metrics").Body
		for _, way := range []string{"fast", "caddy"} {
			if !regexp.MustCompile(`caddy_gateway_proxy_requests_total\{way="` + way + `"\} [1-9]`).MatchString(metrics) {
				t.Errorf("no count of way %s in\n%.2000s", way, metrics)
			}
		}
	})
	t.Run("tls and h2c", func(t *testing.T) {
		for _, to := range []string{"https://localhost:1", "h2c://localhost:1"} {
			if err := c.Reload(siteText("gateway_proxy " + to)); err != nil {
				t.Fatal(err)
			}
			if got := c.Get("/"); got.Status != 502 || !strings.HasPrefix(got.Header.Get("X-Way"), "caddy|") {
				t.Errorf("%s: got %d by %q", to, got.Status, got.Header.Get("X-Way"))
			}
		}
	})
}

// The directive gives what reverse_proxy gives, under another name.
func TestAdaptsAsReverseProxy(t *testing.T) {
	options := ` /api/* localhost:1 unix//run/x.sock {
		lb_policy cookie lb secret
		lb_try_duration 5s
		health_uri /health
		fail_duration 3s
		header_up Host {upstream_hostport}
		header_down -Server
		@bad status 5xx
		handle_response @bad {
			respond "sorry" 503
		}
		transport http {
			read_timeout 5s
			tls_insecure_skip_verify
		}
	}`
	adapt := func(directive string) string {
		config, err := caddyharness.Adapt("http://localhost:1234 {\n\t" + directive + options + "\n}\n")
		if err != nil {
			t.Fatal(err)
		}
		return string(config)
	}
	got, want := adapt("gateway_proxy"), strings.ReplaceAll(adapt("reverse_proxy"), `"handler":"reverse_proxy"`, `"handler":"gateway_proxy"`)
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	var config caddy.Config
	if err := json.Unmarshal([]byte(got), &config); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"gateway_proxy localhost:1 {\n\tnonsense\n}", "gateway_proxy http://a https://b"} {
		if _, err := caddyharness.Adapt("http://localhost:1234 {\n" + bad + "\n}\n"); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

func TestErrors(t *testing.T) {
	closed := "127.0.0.1:" + strconv.Itoa(caddyharness.FreePort(t))
	silent := serveHTTP(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // else the server does not notice that the client goes
		<-r.Context().Done()
	})
	sick := serveHTTP(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	site := `
	handle /closed {
		PROXY $CLOSED
	}
	handle /header {
		PROXY $SILENT {
			transport http {
				response_header_timeout 20ms
			}
		}
	}
	handle /read {
		PROXY $SILENT {
			transport http {
				read_timeout 20ms
			}
		}
	}
	handle /dial {
		PROXY 192.0.2.1:80 {
			transport http {
				dial_timeout 20ms
			}
		}
	}
	handle /large {
		request_body {
			max_size 5
		}
		PROXY $SILENT
	}
	handle /bad {
		request_header X-Bad "{http.request.uri.query}
x"
		PROXY $SICK
	}
	handle /none {
		PROXY $SICK {
			health_uri /
			health_interval 1h
		}
	}
	handle {
		PROXY $SICK
	}`
	tests := []struct {
		path, body string
		want       int
	}{
		{"/closed", "", 502}, {"/header", "", 504}, {"/read", "", 504}, {"/dial", "", 502}, {"/large", "too large", 413}, {"/bad", "", 502}, {"/none", "", 503}, {"/", "", 500},
	}
	for _, directive := range []string{"reverse_proxy", "gateway_proxy"} {
		t.Run(directive, func(t *testing.T) {
			c := start(t, strings.ReplaceAll(site, "PROXY", directive), "$CLOSED", closed, "$SILENT", silent, "$SICK", sick)
			for _, test := range tests {
				var body io.Reader
				if test.body != "" {
					body = io.MultiReader(strings.NewReader(test.body)) // of a length that nobody knows
				}
				r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.URL+test.path, body)
				if err != nil {
					t.Fatal(err)
				}
				response, err := c.Client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				_ = response.Body.Close()
				got := caddyharness.Response{Status: response.StatusCode, Header: response.Header}
				// The health checker may not have looked yet.
				for deadline := time.Now().Add(10 * time.Second); test.path == "/none" && got.Status != test.want && time.Now().Before(deadline); {
					got = c.Get(test.path)
				}
				if got.Status != test.want {
					t.Errorf("%s: got %d, want %d", test.path, got.Status, test.want)
				}
				if way := got.Header.Get("X-Way"); directive == "gateway_proxy" && way != "fast|" {
					t.Errorf("%s took the way %q", test.path, way)
				}
			}
		})
	}
}

// A second upstream is tried when the first can't be reached.
func TestRetries(t *testing.T) {
	closed := "127.0.0.1:" + strconv.Itoa(caddyharness.FreePort(t))
	up := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = w.Write(body)
	})
	c := start(t, `
	header {
		defer
		X-Retries {http.reverse_proxy.upstream.hostport}
	}
	gateway_proxy $CLOSED $UP {
		lb_policy round_robin
		lb_retries 1
	}`, "$CLOSED", closed, "$UP", up)
	for range 4 {
		got := c.Do("POST", "/", "hello")
		if got.Status != 200 || got.Body != "hello" || got.Header.Get("X-Retries") != up || got.Header.Get("X-Way") != "fast|" {
			t.Errorf("got %d %q from %q by %q", got.Status, got.Body, got.Header.Get("X-Retries"), got.Header.Get("X-Way"))
		}
	}
}

// Both ways ask the same selection policy and the same health checker.
func TestWaysShareUpstreams(t *testing.T) {
	var sick atomic.Bool
	one := serveHTTP(t, func(w http.ResponseWriter, _ *http.Request) {
		if sick.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
		_, _ = io.WriteString(w, "one")
	})
	two := serveHTTP(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "two") })
	c := start(t, `
	gateway_proxy $ONE $TWO {
		lb_policy round_robin
		health_uri /
		health_interval 10ms
	}`, "$ONE", one, "$TWO", two)
	// An upgrade goes Caddy's way; the upstream answers it as a plain request.
	upgrade := []string{"Connection", "Upgrade", "Upgrade", "websocket"}
	var turns string
	for range 4 {
		turns += c.Get("/").Body + " " + c.Get("/", upgrade...).Body + " "
	}
	if want := strings.Repeat("two one ", 4); turns != want {
		t.Errorf("got %q, want %q: the ways do not take turns together", turns, want)
	}
	if way := c.Get("/", upgrade...).Header.Get("X-Way"); way != "caddy|upgrade" {
		t.Errorf("got way %q", way)
	}
	sick.Store(true)
	healthy := func() bool { return strings.Contains(c.Get("/").Body+c.Get("/").Body, "one") }
	for deadline := time.Now().Add(10 * time.Second); healthy() && time.Now().Before(deadline); {
		runtime.Gosched()
	}
	if healthy() {
		t.Error("the fast way uses an upstream that is down")
	}
}

// A client that goes is noticed: the upstream's request ends.
func TestClientGoes(t *testing.T) {
	entered, left := make(chan struct{}, 1), make(chan struct{}, 1)
	up := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/body" {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "data: 1\n\n")
			_ = http.NewResponseController(w).Flush()
		}
		entered <- struct{}{}
		<-r.Context().Done()
		left <- struct{}{}
	})
	log := filepath.Join(t.TempDir(), "access.log")
	c := start(t, "\tlog {\n\t\toutput file "+log+"\n\t}\n\tgateway_proxy $UP", "$UP", up)
	for _, path := range []string{"/header", "/body"} {
		ctx, cancel := context.WithCancel(t.Context())
		r, _ := http.NewRequestWithContext(ctx, http.MethodGet, c.URL+path, nil)
		go func() {
			<-entered
			cancel()
		}()
		if response, err := c.Client.Do(r); err == nil {
			_, _ = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
		}
		cancel()
		select {
		case <-left:
		case <-time.After(10 * time.Second):
			t.Fatalf("%s: the upstream's request goes on", path)
		}
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		text, _ := os.ReadFile(log)
		if bytes.Contains(text, []byte(`"status":499`)) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("no 499 in the access log:\n%s", text)
		}
		runtime.Gosched()
	}
}

// Events reach the client while the upstream waits for the next.
func TestEventStream(t *testing.T) {
	next := make(chan struct{})
	up := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/events" {
			w.Header().Set("Content-Type", "text/event-stream")
		}
		for i := range 3 {
			_, _ = fmt.Fprintf(w, "data: %d\n\n", i)
			_ = http.NewResponseController(w).Flush()
			<-next
		}
	})
	c := start(t, "\tgateway_proxy $UP", "$UP", up)
	for _, path := range []string{"/events", "/chunks"} {
		response, err := c.Client.Get(c.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		reader := bufio.NewReader(response.Body)
		for i := range 3 {
			line, err := reader.ReadString('\n')
			if want := fmt.Sprintf("data: %d\n", i); line != want {
				t.Fatalf("got %q, %v, want %q", line, err, want)
			}
			_, _ = reader.ReadString('\n')
			next <- struct{}{}
		}
		_ = response.Body.Close()
		if way := response.Header.Get("X-Way"); way != "fast|" {
			t.Errorf("got way %q", way)
		}
	}
}

// An upgrade is Caddy's.
func TestWebSocket(t *testing.T) {
	up := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", r.Header.Get("Upgrade"))
		w.WriteHeader(http.StatusSwitchingProtocols)
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.Copy(conn, buffered)
	})
	c := start(t, "\tgateway_proxy $UP", "$UP", up)
	conn, err := net.Dial("tcp", strings.TrimPrefix(c.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, nil)
	if err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("got %v, %v", response, err)
	}
	_, _ = io.WriteString(conn, "hello")
	echo := make([]byte, 5)
	if _, err := io.ReadFull(reader, echo); err != nil || string(echo) != "hello" {
		t.Errorf("got %q, %v", echo, err)
	}
}

// h2cClient speaks HTTP/2 without TLS.
func h2cClient(t testing.TB) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols, DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 20 * time.Second}
}

// A client with HTTP/2 takes the fast way too, trailers both ways included.
func TestHTTP2Client(t *testing.T) {
	up := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Trailer", "X-Sum")
		_, _ = fmt.Fprintf(w, "%s %s %s %s", r.Proto, r.Header.Get("Via"), body, r.Trailer.Get("X-End"))
		w.Header().Set("X-Sum", strconv.Itoa(len(body)))
	})
	c := start(t, "\tgateway_proxy $UP", "$UP", up)
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, c.URL, io.MultiReader(strings.NewReader("hello")))
	r.Trailer = http.Header{"X-End": {"end"}}
	response, err := h2cClient(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil || string(body) != "HTTP/1.1 2.0 Caddy hello end" || response.Trailer.Get("X-Sum") != "5" {
		t.Errorf("got %q, trailer %v, %v", body, response.Trailer, err)
	}
	if got, want := response.Header.Get("X-Way"), "fast|"; got != want || response.ProtoMajor != 2 {
		t.Errorf("got %s by way %q, want %q", response.Proto, got, want)
	}
}

// gRPC needs HTTP/2 to the upstream, which is Caddy's way: both directions stream
// at once and the status comes in the trailer.
func TestGRPC(t *testing.T) {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Protocols: protocols, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Trailer", "Grpc-Status")
		_ = http.NewResponseController(w).Flush()
		buffer := make([]byte, 5)
		for {
			n, err := r.Body.Read(buffer)
			_, _ = w.Write(buffer[:n])
			_ = http.NewResponseController(w).Flush()
			if err != nil {
				break
			}
		}
		w.Header().Set("Grpc-Status", "0")
	})}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	c := start(t, "\tgateway_proxy h2c://$UP", "$UP", listener.Addr().String())
	reader, writer := io.Pipe()
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, c.URL+"/svc/method", reader)
	r.Header.Set("Content-Type", "application/grpc")
	r.Header.Set("Te", "trailers")
	response, err := h2cClient(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	for _, message := range []string{"first", "other"} {
		_, _ = io.WriteString(writer, message)
		echo := make([]byte, 5)
		if _, err := io.ReadFull(response.Body, echo); err != nil || string(echo) != message {
			t.Fatalf("got %q, %v, want %q", echo, err, message)
		}
	}
	_ = writer.Close()
	if _, err := io.ReadAll(response.Body); err != nil || response.Trailer.Get("Grpc-Status") != "0" {
		t.Errorf("got trailer %v, %v", response.Trailer, err)
	}
}

// Placeholders tell of the last proxy that the request passed.
func TestPlaceholdersOfSeveralProxies(t *testing.T) {
	closed := "127.0.0.1:" + strconv.Itoa(caddyharness.FreePort(t))
	auth := serveHTTP(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Auth", "yes") })
	up := serveHTTP(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Add("X-Up", "a")
		w.Header().Add("X-Up", "b")
		w.WriteHeader(http.StatusCreated)
	})
	c := caddyharness.Start(t, caddyharness.Options("\tlog {\n\t\toutput discard\n\t}")+`
http://:$PORT {
	bind 127.0.0.1
	header {
		defer
		X-Seen "{http.gateway.proxy.way} {http.reverse_proxy.upstream.hostport} {http.reverse_proxy.status_code} {http.reverse_proxy.header.X-Up}"
	}
	@auth path /auth
	forward_auth @auth $AUTH {
		uri /
	}
	@broken path /broken
	gateway_proxy @broken $CLOSED
	gateway_proxy $UP
	handle_errors {
		header {
			defer
			X-Seen "{http.gateway.proxy.way} {http.reverse_proxy.upstream.hostport} {http.reverse_proxy.status_code} {http.reverse_proxy.header.X-Up}"
		}
		gateway_proxy $UP
	}
}
`, "$AUTH", auth, "$UP", up, "$CLOSED", closed)
	for _, path := range []string{"/", "/auth", "/broken"} {
		got := c.Get(path)
		if want := "fast " + up + " 201 a,b"; got.Header.Get("X-Seen") != want {
			t.Errorf("%s: got %q, want %q", path, got.Header.Get("X-Seen"), want)
		}
	}
}

// Neither goroutines nor connections are left behind by requests that are cut on
// either side. PORTCULLIS_CUT_REQUESTS sets how many are sent.
func TestLeavesNothingBehind(t *testing.T) {
	total := 3_000
	if text := os.Getenv("PORTCULLIS_CUT_REQUESTS"); text != "" {
		var err error
		if total, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	var open atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Query().Get("up") {
		case "cut":
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "short")
			panic(http.ErrAbortHandler)
		case "chunks":
			_, _ = io.WriteString(w, "one")
			_ = http.NewResponseController(w).Flush()
			_, _ = io.WriteString(w, "two")
		case "early":
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		case "wait":
			// net/http notices that the client has gone once the body was read.
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		default:
			_, _ = io.Copy(w, r.Body)
		}
	}))
	server.Config.ErrorLog = nil
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			open.Add(1)
		case http.StateClosed, http.StateHijacked:
			open.Add(-1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	c := start(t, "\tgateway_proxy $UP", "$UP", strings.TrimPrefix(server.URL, "http://"))

	run := func(n int) {
		var all sync.WaitGroup
		for worker := range 16 {
			all.Go(func() {
				for i := worker; i < n; i += 16 {
					ctx, cancel := context.WithCancel(t.Context())
					up := []string{"", "cut", "chunks", "early", ""}[i%5]
					goes := i%7 == 0 // the client, before the answer or after it
					if goes && i%5 == 4 {
						up = "wait" // for that
					}
					var body io.Reader
					if i%3 == 0 {
						body = bytes.NewReader(make([]byte, []int{100, 50_000}[i%2]))
					}
					r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL+"/?up="+up, body)
					if err != nil {
						t.Error(err)
					}
					if goes {
						time.AfterFunc(time.Duration(i%10)*time.Millisecond/2, cancel)
					}
					response, err := c.Client.Do(r)
					if err == nil {
						_, err = io.Copy(io.Discard, response.Body)
						_ = response.Body.Close()
						if response.StatusCode >= 500 && response.StatusCode != http.StatusBadGateway {
							t.Errorf("got %d", response.StatusCode)
						}
					}
					if err != nil && up != "cut" && !goes && !errors.Is(err, context.Canceled) {
						t.Logf("%s: %v", up, err)
					}
					cancel()
				}
			})
		}
		all.Wait()
		c.Client.CloseIdleConnections()
	}
	// What is kept on purpose is there after a first run.
	run(500)
	settle := func(limit int) int {
		caddyharness.Eventually(t, "the end of goroutines", func() bool { return runtime.NumGoroutine() <= limit })
		return runtime.NumGoroutine()
	}
	before := settle(0x7fffffff)
	run(total)
	// The upstream runs in this process: its connections, at most 32 idle ones, have
	// a goroutine each.
	settle(before + 40)
	if n := open.Load(); n > 32 {
		t.Errorf("got %d connections to the upstream, want at most 32 idle ones", n)
	}
	if err := c.Reload(siteText("\trespond ok")); err != nil {
		t.Fatal(err)
	}
	caddyharness.Eventually(t, "the end of connections after a reload", func() bool { return open.Load() == 0 })
}
