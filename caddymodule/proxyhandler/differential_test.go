package proxyhandler_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/ainative/portcullis/caddymodule"
	"github.com/ainative/portcullis/caddymodule/internal/caddyharness"
)

// behaviour is a way in which an upstream answers.
type behaviour struct {
	name string
	// response is written as it is, in pieces with a pause where it has a "|".
	response string
	// cut closes the connection behind it.
	cut bool
	// early answers before the request's body is read.
	early bool
	// strict names why gateway_proxy refuses with 502 what reverse_proxy passes on,
	// or passes on cut.
	strict string
}

func packed(text string) string {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return out.String()
}

var behaviours = func() []behaviour {
	const ok = "HTTP/1.1 200 OK\r\n"
	zipped := packed(strings.Repeat("hello ", 3000))
	long := strings.Repeat("0123456789", 20_000)
	chunks := func(text string, size int) string {
		var out strings.Builder
		for text != "" {
			n := min(size, len(text))
			fmt.Fprintf(&out, "%x\r\n%s\r\n", n, text[:n])
			text = text[n:]
		}
		return out.String() + "0\r\n"
	}
	return []behaviour{
		{name: "length", response: ok + "Content-Length: 5\r\nContent-Type: text/plain\r\n\r\nhello"},
		{name: "nothing", response: ok + "Content-Length: 0\r\n\r\n"},
		{name: "long", response: ok + "Content-Length: 200000\r\n\r\n" + long},
		{name: "long in chunks", response: ok + "Transfer-Encoding: chunked\r\n\r\n" + chunks(long, 5000) + "\r\n"},
		{name: "chunks", response: ok + "Transfer-Encoding: chunked\r\n\r\n" + chunks("hello world", 4) + "\r\n"},
		{name: "chunks slowly", response: ok + "Transfer-Encoding: chunked\r\n\r\n5|\r\nhel|lo\r\n|0\r\n|\r\n"},
		{name: "header slowly", response: "HTTP/1|.1 200 O|K\r\nContent-Le|ngth: 5\r\n\r|\nhe|llo"},
		{name: "announced trailer", response: ok + "Transfer-Encoding: chunked\r\nTrailer: X-Sum, X-Other\r\n\r\n" + chunks("hello", 9) + "X-Sum: 1\r\nX-Other: 2\r\n\r\n"},
		{name: "announced trailer that does not come", response: ok + "Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n" + chunks("hello", 9) + "\r\n"},
		{name: "unannounced trailer", response: ok + "Transfer-Encoding: chunked\r\n\r\n" + chunks("hello", 9) + "X-Sum: 1\r\nX-Sum: 2\r\n\r\n"},
		{name: "until close", response: ok + "Content-Type: text/plain\r\n\r\nhello| world", cut: true},
		{name: "HTTP/1.0", response: "HTTP/1.0 200 Fine\r\nContent-Length: 5\r\n\r\nhello", cut: true},
		{name: "Connection: close", response: ok + "Connection: close\r\nContent-Length: 5\r\n\r\nhello", cut: true},
		{name: "204", response: "HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n"},
		{name: "304", response: "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n"},
		{name: "404", response: "HTTP/1.1 404 Nope\r\nContent-Length: 4\r\nWWW-Authenticate: Basic\r\n\r\nnope"},
		{name: "500", response: "HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\noops"},
		{name: "redirect", response: "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"},
		{name: "informational", response: "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nKeep-Alive: x\r\n\r\n|" + ok + "Content-Length: 5\r\nLink: </b>\r\n\r\nhello"},
		{name: "continue", response: "HTTP/1.1 100 Continue\r\n\r\n|" + ok + "Content-Length: 5\r\n\r\nhello"},
		{name: "event stream", response: ok + "Content-Type: text/event-stream; charset=utf-8\r\nContent-Length: 19\r\n\r\ndata: 1\n\n|data: 22\n\n"},
		{name: "incremental", response: ok + "Incremental: ?1\r\nContent-Length: 10\r\n\r\nhello|world"},
		{name: "packed", response: ok + "Content-Encoding: gzip\r\nContent-Length: " + strconv.Itoa(len(zipped)) + "\r\nVary: Accept-Encoding\r\n\r\n" + zipped},
		{name: "packed in chunks", response: ok + "Content-Encoding: GZIP\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(zipped, 11) + "\r\n"},
		{name: "packed, and empty", response: ok + "Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		{name: "not gzip although it says so", response: ok + "Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello"},
		{name: "hop by hop", response: ok + "Keep-Alive: timeout=5\r\nProxy-Authenticate: x\r\nUpgrade: h2c\r\nAlt-Svc: h3\r\nTe: x\r\nProxy-Connection: x\r\nContent-Length: 5\r\n\r\nhello"},
		{name: "Connection names fields", response: ok + "Connection: X-Secret, x-other\r\nX-Secret: 1\r\nX-Other: 2\r\nX-Kept: 3\r\nContent-Length: 5\r\n\r\nhello"},
		{name: "Connection names the length", response: ok + "Connection: Content-Length\r\nContent-Length: 5\r\n\r\nhello"},
		{name: "fields of proxies", response: ok + "Server: nginx\r\nVia: 1.1 other\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nContent-Length: 5\r\n\r\nhello"},
		{name: "many values", response: ok + "Set-Cookie: a=1\r\nset-cookie: b=2\r\nX-A: 1\r\nX-A:\r\nX-A: 3\r\nContent-Length: 5\r\n\r\nhello"},
		{name: "the same length twice", response: ok + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"},
		{name: "large header", response: ok + "X-Large: " + strings.Repeat("x", 30_000) + "\r\nContent-Length: 5\r\n\r\nhello"},
		{name: "header that is too large", response: ok + "X-Large: " + strings.Repeat("x", 120_000) + "\r\nContent-Length: 5\r\n\r\nhello", cut: true},
		{name: "bytes above ASCII", response: ok + "X-Name: \xc3\xa9\r\nContent-Length: 5\r\n\r\nhello"},
		{name: "early", response: "HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig", early: true},
		{name: "nothing at all", cut: true},
		{name: "cut in the status", response: "HTTP/1.1 2", cut: true},
		{name: "cut in the header", response: ok + "X-A: ", cut: true},
		{name: "cut in the body", response: ok + "Content-Length: 50\r\n\r\nhello", cut: true},
		{name: "cut in a long body", response: ok + "Content-Length: 200001\r\n\r\n" + long, cut: true},
		{name: "cut in the chunks", response: ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nhe", cut: true},
		{name: "cut before the last chunk", response: ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", cut: true},
		{name: "bad chunk later", response: ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n|xyz\r\n", cut: true},
		{name: "no HTTP", response: "SSH-2.0-OpenSSH\r\n\r\n", cut: true},
		{name: "two lengths", response: ok + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", cut: true},
		{name: "bad length", response: ok + "Content-Length: -5\r\n\r\nhello", cut: true},
		{name: "unknown coding", response: ok + "Transfer-Encoding: xyz\r\n\r\nhello", cut: true},
		{name: "control character", response: ok + "X-A: a\x01b\r\nContent-Length: 5\r\n\r\nhello", cut: true},
		{
			name: "bad field name", response: ok + "X A: b\r\nContent-Length: 5\r\n\r\nhello", cut: true,
			strict: "RFC 9110, section 5.1: it is no name",
		},

		{
			name: "length and chunks", response: ok + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", cut: true,
			strict: "RFC 9112, section 6.3: it may be an attempt at response splitting",
		},
		{
			name: "bare line feeds", response: "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", cut: true,
			strict: "RFC 9112, section 2.2: another reader may see another message",
		},
		{
			name: "folded line", response: ok + "X-A: a\r\n b\r\nContent-Length: 5\r\n\r\nhello", cut: true,
			strict: "RFC 9112, section 5.2: a proxy may refuse it",
		},
		{
			name: "chunks with HTTP/1.0", response: "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", cut: true,
			strict: "RFC 9112, section 6.1: the framing is faulty",
		},
		{
			name: "first chunk bad", response: ok + "Transfer-Encoding: chunked\r\n\r\nhello\r\n", cut: true,
			strict: "the client can still be told",
		},
		{
			name: "HTTP/2 in the status line", response: "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", cut: true,
			strict: "the version is not one that was asked for",
		},
		{
			name: "101 that nobody asked for", response: "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", cut: true,
			strict: "reverse_proxy answers 200 without a body",
		},
		{name: "leading zeros and a sign", response: ok + "Content-Length: 05\r\n\r\nhello"},
	}
}()

// seen is a request as the upstream saw it.
type seen struct {
	line, framing, header, body, trailer string
}

// scripted is an upstream whose behaviours are chosen by the path: /number/...
type scripted struct {
	mu    sync.Mutex
	first map[string]*seen // by request: the first time it was sent
}

// askHeader names the request for scripted.
const askHeader = "X-Ask"

func (u *scripted) take(name string) *seen {
	u.mu.Lock()
	defer u.mu.Unlock()
	s := u.first[name]
	delete(u.first, name)
	return s
}

func (u *scripted) serve(t testing.TB, network, address string) net.Addr {
	t.Helper()
	listener, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go u.talk(c)
		}
	}()
	return listener.Addr()
}

func (u *scripted) talk(c net.Conn) {
	defer func() { _ = c.Close() }()
	reader := bufio.NewReaderSize(c, 64<<10)
	for {
		r, err := http.ReadRequest(reader)
		if err != nil {
			return
		}
		number, err := strconv.Atoi(strings.Split(strings.TrimPrefix(r.URL.Path, "/"), "/")[0])
		if err != nil {
			return
		}
		b := behaviours[number]
		name := r.Header.Get(askHeader)
		r.Header.Del(askHeader)
		s := &seen{
			line:    r.Method + " " + r.RequestURI + " " + r.Proto + " " + r.Host,
			framing: fmt.Sprint(r.ContentLength, r.TransferEncoding),
			header:  sorted(r.Header),
		}
		if !b.early {
			body, err := io.ReadAll(r.Body)
			s.body, s.trailer = string(body), sorted(r.Trailer)
			if err != nil {
				s.body += " " + err.Error()
			}
		}
		u.mu.Lock()
		if u.first[name] == nil {
			u.first[name] = s
		}
		u.mu.Unlock()
		for i, piece := range strings.Split(b.response, "|") {
			if i > 0 {
				runtime.Gosched() // so that most pieces are read one by one; no result depends on it
			}
			if r.Method == http.MethodHead && i == 0 {
				// Up to the end of the header.
				if head, _, found := strings.Cut(b.response, "\r\n\r\n"); found && !strings.HasPrefix(head, "HTTP/1.1 1") {
					_, _ = io.WriteString(c, strings.ReplaceAll(head, "|", "")+"\r\n\r\n")
					break
				}
			}
			_, _ = io.WriteString(c, piece)
		}
		if b.early {
			_, _ = io.Copy(io.Discard, r.Body)
			return
		}
		if b.cut || b.strict != "" {
			return
		}
	}
}

func sorted(h http.Header) string {
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(h)) {
		fmt.Fprintf(&out, "%s: %q\n", name, h[name])
	}
	return out.String()
}

// got is a response as the client saw it.
type got struct {
	informational string
	status        int
	header        http.Header
	body          string
	trailer       string
	cut           bool
	way           string
	took          time.Duration
}

// ask sends raw bytes and reads the response.
func ask(t testing.TB, address, raw, method string) (out got) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	go func() { _, _ = io.WriteString(c, raw) }() // an early response may leave some of it unread
	reader := bufio.NewReaderSize(c, 256<<10)
	defer func(start time.Time) { out.took = time.Since(start) }(time.Now())
	for {
		r, err := http.ReadResponse(reader, &http.Request{Method: method})
		if err != nil {
			out.cut = true
			return out
		}
		if r.StatusCode < 200 {
			r.Header.Del("X-Way")
			out.informational += fmt.Sprintln(r.StatusCode, sorted(r.Header))
			continue
		}
		body, err := io.ReadAll(r.Body)
		out.status, out.header, out.body, out.trailer, out.cut = r.StatusCode, r.Header, string(body), sorted(r.Trailer), err != nil
		out.way = out.header.Get("X-Way")
		out.header.Del("X-Way")
		out.header.Del("Date")
		return out
	}
}

// generate makes a request for a behaviour.
func generate(random *rand.Rand, number int) (raw, method, kind string) {
	pick := func(from ...string) string { return from[random.IntN(len(from))] }
	method = pick("GET", "GET", "GET", "HEAD", "POST", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")
	version := pick("1.1", "1.1", "1.1", "1.1", "1.1", "1.0")
	var out strings.Builder
	fmt.Fprintf(&out, "%s /%d%s HTTP/%s\r\nHost: example.com\r\n", method, number,
		pick("", "/", "/a/b?c=d", "/a%2Fb", "/a%20b?x=%zz", "//double", "/é", "/?", "/a;b=c", "/.%2e/x"), version)
	for range random.IntN(7) {
		out.WriteString(pick(
			"User-Agent: test/1.0\r\n", "User-Agent: a\r\nUser-Agent: b\r\n", "User-Agent:\r\n",
			"Accept-Encoding: gzip, br\r\n", "Accept-Encoding:\r\n", "Accept-Encoding: identity\r\n", "Range: bytes=0-3\r\n",
			"X-Forwarded-For: 1.2.3.4\r\n", "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-For: 5.6.7.8\r\n", "X-Forwarded-Proto: https\r\n",
			"X-Forwarded-Host: evil.example\r\n", "Forwarded: for=1.2.3.4\r\n", "Via: 1.0 fred\r\n", "Cookie: a=b\r\nCookie: c=d\r\n",
			"Connection: keep-alive\r\n", "Connection: close\r\n", "Connection: X-Gone, keep-alive\r\nX-Gone: 1\r\n",
			"Connection: X-Forwarded-For\r\n", "Connection: TE\r\nTE: trailers\r\n", "Connection: Host, Via, Accept-Encoding\r\n",
			"TE: trailers\r\n", "TE: gzip, trailers;q=0.5\r\n", "TE: gzip\r\n", "Keep-Alive: 300\r\n", "Proxy-Authorization: Basic x\r\n",
			"Proxy-Connection: keep-alive\r\n", "Upgrade: h2c\r\n", "Alt-Svc: x\r\n", "Trailer: X-None\r\n",
			"X-Many: 1\r\nX-Many: 2\r\n", "X-Empty:\r\n", "X-Space:   a b  \r\n", "x-lower: 1\r\n", "Early-Data: 1\r\n", "Incremental: ?1\r\n",
			"Authorization: Bearer x\r\n", "Content-Type: application/json\r\n", "X-Name: \xc3\xa9\r\n",
		))
	}
	body := ""
	switch kind = pick("none", "none", "small", "large", "chunks", "trailer", "expect"); {
	case kind == "none" || version == "1.0" && kind != "small":
		kind = "none"
		if method == "POST" && version == "1.0" {
			out.WriteString("Content-Length: 0\r\n")
		}
	case kind == "small":
		body = "hello=world"
		out.WriteString("Content-Length: 11\r\n")
	case kind == "expect":
		body = strings.Repeat("y", 100)
		out.WriteString("Expect: 100-continue\r\nContent-Length: 100\r\n")
	case kind == "large":
		body = strings.Repeat("x", 100_000)
		out.WriteString("Content-Length: 100000\r\n")
	case kind == "chunks":
		body = "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
		out.WriteString("Transfer-Encoding: chunked\r\n")
	case kind == "trailer":
		body = "5\r\nhello\r\n0\r\nX-End: 1\r\nX-Unannounced: 2\r\n\r\n"
		out.WriteString("Transfer-Encoding: chunked\r\nTrailer: X-End\r\n")
	}
	return out.String() + "\r\n" + body, method, kind
}

// sites are the options under which both directives are compared.
var sites = []struct{ name, options string }{
	{"plain", ""},
	{"headers", `
		header_up X-Up "{http.request.method} {http.reverse_proxy.upstream.port}"
		header_up -Cookie
		header_up Host up.example
		header_up X-Many 1 one
		header_down X-Down "{http.reverse_proxy.upstream.hostport}"
		header_down -X-Kept
		header_down +Via gone
		header_down X-A 1 one`},
	{"trusted", `
		trusted_proxies 127.0.0.1
		flush_interval -1
		lb_policy header X-Many`},
	{"transport", `
		transport http {
			max_response_header 100KB
			compression off
			read_timeout 10s
			write_timeout 10s
			response_header_timeout 10s
			max_conns_per_host 3
			keepalive 10s
			keepalive_idle_conns_per_host 2
		}`},
	{"no keepalive", `
		transport http {
			keepalive off
		}`},
	{"retries", `
		lb_retries 1
		lb_try_interval 1ms
		lb_policy cookie`},
	{"unix socket", "unix"},
}

// differences that are meant. All else must be the same.
//
//   - The order of header fields, to the upstream and to the client, is not kept.
//   - Where the whole body was there, a short response without a length may leave
//     with one: both framings tell the client the same, and a flush is saved. With
//     reverse_proxy a flush that comes too late does the same.
//   - net/http guesses a type for a response without one, unless the header was
//     flushed before the body came. With reverse_proxy that is a race.
//   - What can't be sent again is lost, by either, when the upstream closes the
//     connection in the very moment. Here it does so often; it is counted.
//   - Behaviours with `strict` are refused with 502.
//   - `Connection: user-agent` removes the client's User-Agent; net/http then adds
//     its own. (Not generated.)
func TestSameAsReverseProxy(t *testing.T) {
	rounds := 6
	if text := os.Getenv("PORTCULLIS_DIFFERENTIAL_ROUNDS"); text != "" {
		var err error
		if rounds, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	u := &scripted{first: map[string]*seen{}}
	tcp := u.serve(t, "tcp", "127.0.0.1:0").String()
	socket := filepath.Join(t.TempDir(), "upstream.sock")
	u.serve(t, "unix", socket)

	config := caddyharness.Options("\tlog {\n\t\toutput discard\n\t}")
	var ports []int
	for _, site := range sites {
		to, options := tcp, site.options
		if options == "unix" {
			to, options = "unix/"+socket, ""
		}
		for _, directive := range []string{"reverse_proxy", "gateway_proxy"} {
			port := caddyharness.FreePort(t)
			for slices.Contains(ports, port) {
				port = caddyharness.FreePort(t)
			}
			ports = append(ports, port)
			config += fmt.Sprintf(`
http://:%d {
	bind 127.0.0.1
	gateway_site {
		path_policy off
	}
	header {
		defer
		X-Way {http.gateway.proxy.way}
		X-Seen "{http.reverse_proxy.upstream.address} {http.reverse_proxy.upstream.host} {http.reverse_proxy.upstream.max_requests} {http.reverse_proxy.status_code} {http.reverse_proxy.status_text} {http.reverse_proxy.header.Set-Cookie}"
	}
	%s %s {%s
	}
	handle_errors {
		header X-Code "{err.status_code} {http.reverse_proxy.retries}"
	}
}
`, port, directive, to, options)
		}
	}
	caddyharness.Start(t, config+"http://:$PORT {\n\trespond ok\n}\n")

	for i, site := range sites {
		t.Run(site.name, func(t *testing.T) {
			seed := uint64(time.Now().UnixNano())
			t.Logf("seed %d", seed)
			random := rand.New(rand.NewPCG(seed, 1))
			fast, lost := 0, 0
			for round := range rounds {
				for number, b := range behaviours {
					raw, method, kind := generate(random, number)
					line, rest, _ := strings.Cut(raw, "\r\n")
					one := func(j int) (got, *seen) {
						name := fmt.Sprintf("%s %d %d %d", site.name, round, number, j)
						answer := ask(t, "127.0.0.1:"+strconv.Itoa(ports[2*i+j]), line+"\r\n"+askHeader+": "+name+"\r\n"+rest, method)
						return answer, u.take(name)
					}
					want, wantSeen := one(0)
					got, gotSeen := one(1)
					if gotSeen == nil && got.status == http.StatusBadGateway {
						lost++
						continue
					}
					if (kind == "chunks" || kind == "trailer") && slices.Contains([]string{"GET", "HEAD", "DELETE", "OPTIONS"}, method) {
						got.way = "caddy"
					}
					if got.way == "fast" {
						fast++
					}
					if got.took > want.took+5*time.Second {
						t.Errorf("%s: took %v, with reverse_proxy %v\nrequest:\n%.600s", b.name, got.took, want.took, raw)
					}
					if difference := compare(b, site.name, method, kind, want, got, wantSeen, gotSeen); difference != "" {
						t.Errorf("%s: %s\nrequest:\n%.600s", b.name, difference, raw)
					}
					if t.Failed() && testing.Short() {
						return
					}
				}
			}
			if all := rounds * len(behaviours); fast < all/2 {
				t.Errorf("%d of %d requests took the fast way", fast, all)
			} else if lost > all/20 {
				t.Errorf("%d of %d requests were lost with a connection that the upstream closed", lost, all)
			}
		})
	}
}

// compareSeen tells what differs for the upstream.
func compareSeen(want, got *seen) string {
	if want == nil || got == nil {
		if want != got {
			return fmt.Sprintf("the upstream saw %v, with reverse_proxy %v", got, want)
		}
		return ""
	}
	for _, pair := range [][3]string{
		{"request line", got.line, want.line},
		{"framing", got.framing, want.framing},
		{"header", got.header, want.header},
		{"body", got.body, want.body},
		{"trailer", got.trailer, want.trailer},
	} {
		if pair[1] != pair[2] {
			return fmt.Sprintf("the upstream saw the %s (%d bytes)\n%.1000s\nwith reverse_proxy (%d bytes)\n%.1000s", pair[0], len(pair[1]), tail(pair[1]), len(pair[2]), tail(pair[2]))
		}
	}
	return ""
}

func tail(text string) string { return text[max(0, len(text)-900):] }

// compare tells what differs, "" if nothing does that is not meant.
func compare(b behaviour, site, method, kind string, want, got got, wantSeen, gotSeen *seen) string {
	if wantSeen == nil && want.status == http.StatusBadGateway {
		// On a connection that the upstream was about to close, with what can't be sent
		// again. gateway_proxy looks at a connection before it writes to it.
		return ""
	}
	if site == "retries" && method == http.MethodGet && wantSeen != nil && gotSeen != nil &&
		(wantSeen.body == "" || gotSeen.body == "" && got.way == "caddy") {
		// When a connection breaks, Caddy's handler tries a GET again without the body
		// that it has read. The fast way does not try it again.
		wantSeen.body, wantSeen.trailer = gotSeen.body, gotSeen.trailer
	}
	if difference := compareSeen(wantSeen, gotSeen); difference != "" {
		return difference
	}
	if kind != "none" && site == "retries" && got.status == http.StatusBadGateway && want.status == got.status {
		return "" // a request of which the body was read is not tried again
	}
	if got.way == "caddy" && want.status == 502 && got.status == 502 {
		return ""
	}
	if b.strict != "" && got.way != "caddy" {
		if got.status == 502 {
			return ""
		}
		if method == http.MethodHead && got.status == want.status {
			return "" // what is malformed in a body does not come
		}
		return fmt.Sprintf("got %d, want 502 because %s", got.status, b.strict)
	}
	if b.early && (want.status == 502 || want.cut || got.cut) {
		return "" // a race in either: the connection may be reset before the response was read
	}
	if got.informational != want.informational {
		if kind == "expect" {
			return "" // net/http sends a 100 of its own when the body is read, sooner or later
		}
		return fmt.Sprintf("got informational %q, with reverse_proxy %q", got.informational, want.informational)
	}
	if got.status != want.status || got.body != want.body || got.trailer != want.trailer || got.cut != want.cut {
		return fmt.Sprintf("got status %d, %d bytes %.100q, trailer %q, cut %v; with reverse_proxy %d, %d bytes %.100q, trailer %q, cut %v",
			got.status, len(got.body), got.body, got.trailer, got.cut, want.status, len(want.body), want.body, want.trailer, want.cut)
	}
	if length := strconv.Itoa(len(got.body)); got.header["Content-Length"] == nil != (want.header["Content-Length"] == nil) &&
		got.header.Get("Content-Length")+want.header.Get("Content-Length") == length {
		got.header.Del("Content-Length")
		want.header.Del("Content-Length")
	}
	for _, h := range []http.Header{got.header, want.header} {
		// To a client with HTTP/1.0 net/http says so by the framing that it chose.
		if c := h.Get("Connection"); c == "keep-alive" || c == "close" {
			h.Del("Connection")
		}
		if names := strings.Split(h.Get("Trailer"), ", "); len(names) > 1 {
			slices.Sort(names)
			h.Set("Trailer", strings.Join(names, ", "))
		}
	}
	if !strings.Contains(b.response, "Content-Type") {
		got.header.Del("Content-Type")
		want.header.Del("Content-Type")
	}
	if sorted(got.header) != sorted(want.header) {
		return fmt.Sprintf("got header\n%s\nwith reverse_proxy\n%s", sorted(got.header), sorted(want.header))
	}
	return ""
}
