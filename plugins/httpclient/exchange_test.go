package httpclient_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins/httpclient"
)

func TestWritesRequests(t *testing.T) {
	trailer := http.Header{"X-Sum": {"7"}, "Content-Length": {"9"}, "X-Bad": {"a\nb"}}
	tests := []struct {
		name  string
		build func(*httpclient.Exchange)
		want  string
	}{
		{"plain", func(x *httpclient.Exchange) {
			x.Start("GET", "/a?b=c", "example.com:8080")
			x.Field("X-A", " one\t")
			x.Field("x-a", "two")
		}, "GET /a?b=c HTTP/1.1\r\nHost: example.com:8080\r\nX-A: one\r\nx-a: two\r\n\r\n"},
		{
			"zone", func(x *httpclient.Exchange) { x.Start("GET", "/", "[fe80::1%25eth0]:80") },
			"GET / HTTP/1.1\r\nHost: [fe80::1]:80\r\n\r\n",
		},
		{
			"host above ASCII", func(x *httpclient.Exchange) { x.Start("GET", "/", "bücher.example") },
			"GET / HTTP/1.1\r\nHost: xn--bcher-kva.example\r\n\r\n",
		},
		{"small body", func(x *httpclient.Exchange) {
			x.Start("POST", "/", "a")
			x.Body(strings.NewReader("hello and more"), 5, nil, nil)
		}, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"},
		{"no body", func(x *httpclient.Exchange) {
			x.Start("POST", "/", "a")
			x.Body(nil, 0, nil, nil)
		}, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"},
		{"chunks", func(x *httpclient.Exchange) {
			x.Start("POST", "/", "a")
			x.Body(io.MultiReader(strings.NewReader("hello"), strings.NewReader(strings.Repeat("x", 16))), -1, nil, nil)
		}, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n10\r\nxxxxxxxxxxxxxxxx\r\n0\r\n\r\n"},
		{"trailer without what frames or breaks", func(x *httpclient.Exchange) {
			x.Start("POST", "/", "a")
			x.Body(strings.NewReader("hello"), -1, http.Header{"X-Sum": nil, "Content-Length": nil, "X-Bad": nil}, func() http.Header { return trailer })
		}, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Bad,X-Sum\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 7\r\n\r\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := make(chan string, 1)
			u := serve(t, func(p *peer) {
				_ = p.SetReadDeadline(time.Now().Add(10 * time.Second))
				b := make([]byte, len(test.want))
				_, _ = io.ReadFull(p.Reader, b)
				got <- string(b)
				p.say(ok + "Content-Length: 0\r\n\r\n")
				if more, _ := io.ReadAll(p.Reader); len(more) > 0 {
					t.Errorf("got %q behind the request", more)
				}
			})
			x := httpclient.NewExchange()
			defer x.Free()
			test.build(x)
			if err := x.Do(t.Context(), u.pool(t, httpclient.Config{}), nil); err != nil {
				t.Fatal(err)
			}
			if got := <-got; got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			x.Finish()
		})
	}
}

// What would be read as more than one request, or as another, is not sent.
func TestRefusesRequests(t *testing.T) {
	tests := []struct {
		name                            string
		method, uri, host, field, value string
	}{
		{"space in the method", "GET /x", "/", "a", "X", "y"},
		{"empty method", "", "/", "a", "X", "y"},
		{"line feed in the path", "GET", "/a\nb", "a", "X", "y"},
		{"space in the path", "GET", "/a b", "a", "X", "y"},
		{"empty path", "GET", "", "a", "X", "y"},
		{"line feed in the host", "GET", "/", "a\nb", "X", "y"},
		{"space in the host", "GET", "/", "a b", "X", "y"},
		{"line feed in a value", "GET", "/", "a", "X", "y\r\nZ: q"},
		{"NUL in a value", "GET", "/", "a", "X", "y\x00"},
		{"colon in a name", "GET", "/", "a", "X:", "y"},
		{"space in a name", "GET", "/", "a", "X y", "z"},
		{"empty name", "GET", "/", "a", "", "z"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			u := serve(t, func(*peer) {})
			x := httpclient.NewExchange()
			defer x.Free()
			x.Start(test.method, test.uri, test.host)
			x.Field(test.field, test.value)
			err := x.Do(t.Context(), u.pool(t, httpclient.Config{}), nil)
			if !errors.Is(err, httpclient.ErrRequest) || u.dials() != 0 {
				t.Errorf("got %v and %d connections, want %v and none", err, u.dials(), httpclient.ErrRequest)
			}
		})
	}
}

// An upstream that closes an idle connection costs no request, of any method.
func TestIdleConnectionClosedByUpstream(t *testing.T) {
	for _, method := range []string{"GET", "POST"} {
		t.Run(method, func(t *testing.T) {
			var served atomic.Int32
			closed := make(chan struct{}, 8)
			u := serve(t, func(p *peer) {
				head := p.head()
				if strings.HasPrefix(head, "POST") {
					_, _ = io.CopyN(io.Discard, p, 5)
				}
				served.Add(1)
				p.say(ok + "Content-Length: 2\r\n\r\nok")
				_ = p.Close()
				closed <- struct{}{}
			})
			p := u.pool(t, httpclient.Config{})
			for range 3 {
				a := ask{method: method}
				if method == "POST" {
					a.body, a.length = strings.NewReader("hello"), 5
				}
				if got := do(t.Context(), p, a); got.err != nil || got.body != "ok" {
					t.Fatalf("got %q, %v", got.body, got.err)
				}
				<-closed
			}
			if served.Load() != 3 {
				t.Errorf("the upstream saw %d requests, want 3", served.Load())
			}
		})
	}
}

// What an upstream says unasked is not taken for the response to the next request.
func TestUnaskedResponseIsNotUsed(t *testing.T) {
	said := make(chan struct{})
	u := serve(t, func(p *peer) {
		p.head()
		p.say(ok + "Content-Length: 4\r\n\r\nmine")
		if p.number == 1 {
			<-said
			p.say(ok + "Content-Length: 6\r\n\r\npoison")
			said <- struct{}{}
			p.closed()
		}
	})
	p := u.pool(t, httpclient.Config{})
	if got := get(t, p); got.body != "mine" {
		t.Fatalf("got %q, %v", got.body, got.err)
	}
	said <- struct{}{}
	<-said
	if got := get(t, p); got.body != "mine" || u.dials() != 2 {
		t.Errorf("got %q, %v over %d connections, want mine over 2", got.body, got.err, u.dials())
	}
}

// A connection that breaks when the request is on the wire: sent again is what may
// be processed twice, and only if the connection was used before.
func TestBrokenConnection(t *testing.T) {
	tests := []struct {
		name, method string
		body         string
		warm         bool // the connection was used before
		partly       bool // the upstream sends a part of a response
		again        bool
	}{
		{"GET on a used connection", "GET", "", true, false, true},
		{"HEAD on a used connection", "HEAD", "", true, false, true},
		{"GET on a new connection", "GET", "", false, false, false},
		{"GET with a part of a response", "GET", "", true, true, false},
		{"GET with a body", "GET", "hello", true, false, false},
		{"POST", "POST", "hello", true, false, false},
		{"POST without a body", "POST", "", true, false, false},
		{"DELETE", "DELETE", "", true, false, false},
		{"PUT", "PUT", "", true, false, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var seen atomic.Int32
			u := serve(t, func(p *peer) {
				if test.warm && p.number == 1 {
					p.head()
					p.say(ok + "Content-Length: 0\r\n\r\n")
				}
				if p.head() == "" {
					return
				}
				_, _ = io.CopyN(io.Discard, p, int64(len(test.body)))
				seen.Add(1)
				if p.number == 1 {
					if test.partly {
						p.say("HTTP/1.1 2")
					}
					return
				}
				p.say(ok + "Content-Length: 0\r\n\r\n")
				p.closed()
			})
			p := u.pool(t, httpclient.Config{})
			if test.warm {
				if got := get(t, p); got.err != nil {
					t.Fatal(got.err)
				}
			}
			a := ask{method: test.method}
			if test.body != "" {
				a.body, a.length = strings.NewReader(test.body), int64(len(test.body))
			}
			got := do(t.Context(), p, a)
			if (got.err == nil) != test.again {
				t.Errorf("got %v, want sent again %v", got.err, test.again)
			}
			if want := map[bool]int32{true: 2, false: 1}[test.again]; seen.Load() != want {
				t.Errorf("the upstream saw it %d times, want %d", seen.Load(), want)
			}
		})
	}
}

// An upstream that answers while it reads must not wait for a client that writes.
func TestEchoesLargeBodies(t *testing.T) {
	const size = 24 << 20
	for _, test := range []struct {
		name   string
		length int64
	}{{"known length", size}, {"chunks", -1}} {
		t.Run(test.name, func(t *testing.T) {
			server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_ = http.NewResponseController(w).EnableFullDuplex()
				w.WriteHeader(http.StatusOK)
				_, _ = io.Copy(w, r.Body)
			})}
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			go func() { _ = server.Serve(listener) }()
			t.Cleanup(func() { _ = server.Close() })
			u := &upstream{address: listener.Addr().String()}
			p := u.pool(t, httpclient.Config{})
			body := bytes.Repeat([]byte("0123456789abcdef"), size/16)
			for range 2 {
				got := do(t.Context(), p, ask{method: "POST", body: bytes.NewReader(body), length: test.length})
				if got.err != nil || got.bodyErr != nil || got.body != string(body) {
					t.Fatalf("got %d bytes, %v, %v", len(got.body), got.err, got.bodyErr)
				}
			}
			if u.dials() != 1 {
				t.Errorf("got %d connections, want 1", u.dials())
			}
		})
	}
}

// An upstream may refuse a body that it has not read.
func TestEarlyResponse(t *testing.T) {
	tests := []struct {
		name   string
		closes bool
	}{{"keeps the connection", false}, {"closes the connection", true}}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			u := serve(t, func(p *peer) {
				p.head()
				p.say("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
				if test.closes {
					_ = p.Conn.(*net.TCPConn).CloseWrite()
				}
				p.closed()
			})
			p := u.pool(t, httpclient.Config{})
			blocked, done := io.Pipe()
			t.Cleanup(func() { _ = done.Close() })
			got := do(t.Context(), p, ask{method: "POST", body: io.MultiReader(strings.NewReader("start"), blocked), length: 1 << 20})
			if got.err != nil || got.status != 413 || got.body != "big" {
				t.Errorf("got %d %q, %v", got.status, got.body, got.err)
			}
			if p.Idle() != 0 {
				t.Error("a connection with half a request on it was kept")
			}
		})
	}
}

// A body that can't be read to its end must not reach the upstream as a whole one.
func TestBodyThatBreaks(t *testing.T) {
	broken := errors.New("the client has gone")
	tests := []struct {
		name   string
		body   io.Reader
		length int64
		want   error
	}{
		{"small", io.MultiReader(strings.NewReader("hel"), errorReader{broken}), 5, broken},
		{"small and short", strings.NewReader("hel"), 5, io.ErrUnexpectedEOF},
		{"large", io.MultiReader(strings.NewReader("hel"), errorReader{broken}), 1 << 20, broken},
		{"large and short", strings.NewReader("hel"), 1 << 20, io.ErrUnexpectedEOF},
		{"chunks", io.MultiReader(strings.NewReader("hel"), errorReader{broken}), -1, broken},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			read := make(chan string, 1)
			u := serve(t, func(p *peer) {
				p.head()
				body, _ := io.ReadAll(p.Reader)
				read <- string(body)
			})
			got := do(t.Context(), u.pool(t, httpclient.Config{}), ask{method: "POST", body: test.body, length: test.length})
			if !errors.Is(got.err, test.want) {
				t.Errorf("got %v, want %v", got.err, test.want)
			}
			if u.dials() == 0 {
				return
			}
			if got := <-read; strings.Contains(got, "0\r\n\r\n") || len(got) > 20 {
				t.Errorf("the upstream read %q", got)
			}
		})
	}
}

type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }

func TestTimeouts(t *testing.T) {
	late := func(p *peer) {
		p.head()
		p.closed()
	}
	tests := []struct {
		name    string
		config  httpclient.Config
		length  int64
		timeout bool // as net.Error has it
	}{
		{"header", httpclient.Config{HeaderTimeout: 20 * time.Millisecond}, 0, true},
		{"header, small body", httpclient.Config{HeaderTimeout: 20 * time.Millisecond}, 10, true},
		{"header, streamed body", httpclient.Config{HeaderTimeout: 20 * time.Millisecond}, 100_000, true},
		{"read", httpclient.Config{ReadTimeout: 20 * time.Millisecond}, 0, true},
		{"header before read", httpclient.Config{HeaderTimeout: 20 * time.Millisecond, ReadTimeout: time.Minute}, 0, true},
		{"read before header", httpclient.Config{HeaderTimeout: time.Minute, ReadTimeout: 20 * time.Millisecond}, 0, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			u := serve(t, late)
			a := ask{method: "POST"}
			if test.length > 0 {
				a.body, a.length = bytes.NewReader(make([]byte, test.length)), test.length
			}
			got := do(t.Context(), u.pool(t, test.config), a)
			timeout, ok := got.err.(net.Error) //nolint:errorlint // asked as Caddy asks
			if got.err == nil || (ok && timeout.Timeout()) != test.timeout {
				t.Errorf("got %v (%T), want a timeout of net.Error: %v", got.err, got.err, test.timeout)
			}
		})
	}
	t.Run("read, within the header", func(t *testing.T) {
		u := serve(t, func(p *peer) {
			p.head()
			p.say("HTTP/1.1 200 OK\r\n")
			p.closed()
		})
		got := get(t, u.pool(t, httpclient.Config{ReadTimeout: 20 * time.Millisecond}))
		timeout, ok := got.err.(net.Error) //nolint:errorlint // asked as Caddy asks
		if !errors.Is(got.err, os.ErrDeadlineExceeded) || ok && timeout.Timeout() {
			t.Errorf("got %v (%T), want a broken connection", got.err, got.err)
		}
	})
	// The limit is for each request anew, and none is left for the body.
	t.Run("once the header came", func(t *testing.T) {
		u := serve(t, func(p *peer) {
			for p.head() != "" {
				p.say(ok + "Content-Length: 2\r\n\r\nok")
			}
		})
		const limit = time.Hour
		var dialed *timedConn
		p := httpclient.NewPool(httpclient.Config{HeaderTimeout: limit, MaxIdle: 1, Dial: func(ctx context.Context) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, "tcp", u.address)
			if err != nil {
				return nil, err
			}
			dialed = &timedConn{TCPConn: c.(*net.TCPConn)}
			return dialed, nil
		}})
		t.Cleanup(p.Close)
		for range 3 {
			before := time.Now()
			if got := get(t, p); got.body != "ok" {
				t.Fatalf("got %q, %v, %v", got.body, got.err, got.bodyErr)
			}
			if limits := dialed.take(); len(limits) < 2 || limits[0].Before(before.Add(limit)) || !limits[len(limits)-1].IsZero() {
				t.Errorf("got deadlines %v, want one an hour from %v first and none at last", limits, before)
			}
		}
	})
}

// timedConn remembers its read deadlines.
type timedConn struct {
	*net.TCPConn
	mu     sync.Mutex
	limits []time.Time
}

func (c *timedConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	c.limits = append(c.limits, t)
	c.mu.Unlock()
	return c.TCPConn.SetReadDeadline(t)
}

// take returns the deadlines that were set since it was called last.
func (c *timedConn) take() []time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	limits := c.limits
	c.limits = nil
	return limits
}

func TestCancel(t *testing.T) {
	cause := errors.New("the client has gone")
	tests := []struct {
		name string
		talk func(p *peer, cancel func())
		body bool // fails in the body
	}{
		{"before the header", func(p *peer, cancel func()) { cancel() }, false},
		{"in the header", func(p *peer, cancel func()) { p.say("HTTP/1.1 200 OK\r\nX:"); cancel() }, false},
		{"in the body", func(p *peer, cancel func()) { p.say(ok + "Content-Length: 9\r\n\r\nhello"); cancel() }, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			read := make(chan struct{})
			closed := make(chan bool, 1)
			u := serve(t, func(p *peer) {
				p.head()
				test.talk(p, func() {
					if test.body {
						<-read // the header, by the client
					}
					cancel(cause)
				})
				closed <- p.closed()
			})
			p := u.pool(t, httpclient.Config{})
			x := httpclient.NewExchange()
			defer x.Free()
			x.Start("GET", "/", "a")
			err := x.Do(ctx, p, nil)
			if test.body {
				if err != nil {
					t.Fatal(err)
				}
				close(read)
				for err == nil {
					_, err = x.Next()
				}
				err = httpclient.Failure(ctx, err)
			}
			if !errors.Is(err, cause) {
				t.Errorf("got %v, want %v", err, cause)
			}
			if !<-closed {
				t.Error("the upstream's connection stayed open")
			}
		})
	}
	t.Run("after the end", func(t *testing.T) {
		u := serve(t, func(p *peer) {
			for p.head() != "" {
				p.say(ok + "Content-Length: 0\r\n\r\n")
			}
		})
		p := u.pool(t, httpclient.Config{})
		for range 3 {
			ctx, cancel := context.WithCancel(t.Context())
			if got := do(ctx, p, ask{}); got.err != nil {
				t.Fatal(got.err)
			}
			cancel()
		}
		if u.dials() != 1 {
			t.Errorf("got %d connections, want 1: the end of a request closed the connection", u.dials())
		}
	})
}

func TestMaxConns(t *testing.T) {
	var now, most atomic.Int32
	u := serve(t, func(p *peer) {
		for p.head() != "" {
			most.Store(max(most.Load(), now.Add(1)))
			p.say(ok + "Content-Length: 2\r\n\r\no")
			now.Add(-1)
			p.say("k")
		}
	})
	p := u.pool(t, httpclient.Config{MaxConns: 2})
	var all sync.WaitGroup
	for range 40 {
		all.Go(func() {
			if got := get(t, p); got.body != "ok" {
				t.Errorf("got %q, %v", got.body, got.err)
			}
		})
	}
	all.Wait()
	if most.Load() > 2 || u.dials() > 2 {
		t.Errorf("got %d at a time over %d connections, want at most 2", most.Load(), u.dials())
	}
	t.Run("a request that waits goes with its client", func(t *testing.T) {
		inside, leave := make(chan struct{}), make(chan struct{})
		u := serve(t, func(p *peer) {
			p.head()
			close(inside)
			<-leave
		})
		p := u.pool(t, httpclient.Config{MaxConns: 1})
		all.Go(func() { get(t, p) })
		<-inside
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if got := do(ctx, p, ask{}); !errors.Is(got.err, context.Canceled) {
			t.Errorf("got %v, want %v", got.err, context.Canceled)
		}
		close(leave)
		all.Wait()
	})
}

func TestIdleConnections(t *testing.T) {
	talk := func(gone chan<- struct{}) func(*peer) {
		return func(p *peer) {
			for p.head() != "" {
				p.say(ok + "Content-Length: 0\r\n\r\n")
			}
			gone <- struct{}{}
		}
	}
	t.Run("are closed after a time", func(t *testing.T) {
		gone := make(chan struct{}, 1)
		u := serve(t, talk(gone))
		p := u.pool(t, httpclient.Config{IdleTimeout: 20 * time.Millisecond})
		get(t, p)
		<-gone
		if p.Idle() != 0 {
			t.Errorf("got %d, want none", p.Idle())
		}
	})
	t.Run("are closed with the pool", func(t *testing.T) {
		gone := make(chan struct{}, 1)
		u := serve(t, talk(gone))
		p := u.pool(t, httpclient.Config{})
		get(t, p)
		p.Close()
		<-gone
		get(t, p) // a request in flight while the configuration changes
		<-gone
		if p.Idle() != 0 {
			t.Errorf("got %d, want none", p.Idle())
		}
	})
	t.Run("are at most so many", func(t *testing.T) {
		gone := make(chan struct{}, 8)
		waiting, together := make(chan struct{}, 5), make(chan struct{})
		u := serve(t, func(p *peer) {
			for p.head() != "" {
				waiting <- struct{}{}
				<-together
				p.say(ok + "Content-Length: 0\r\n\r\n")
			}
			gone <- struct{}{}
		})
		p := u.pool(t, httpclient.Config{MaxIdle: 2})
		var all sync.WaitGroup
		for range 5 {
			all.Go(func() { get(t, p) })
		}
		for range 5 {
			<-waiting
		}
		close(together)
		all.Wait()
		for range 3 {
			<-gone
		}
		if p.Idle() != 2 {
			t.Errorf("got %d, want 2", p.Idle())
		}
	})
}

func TestReady(t *testing.T) {
	tests := []struct {
		name, response string
		want           bool
	}{
		{"nothing of the body", ok + "Content-Length: 5\r\n\r\n", false},
		{"a part of the body", ok + "Content-Length: 5\r\n\r\nhel", true},
		{"no body", ok + "Content-Length: 0\r\n\r\n", true},
		{"nothing of the chunks", ok + "Transfer-Encoding: chunked\r\n\r\n", false},
		{"a part of a size", ok + "Transfer-Encoding: chunked\r\n\r\n5", false},
		{"a size only", ok + "Transfer-Encoding: chunked\r\n\r\n5\r\n", false},
		{"a part of a chunk", ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nh", true},
		{"the last chunk", ok + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", true},
		{"the last chunk without its end", ok + "Transfer-Encoding: chunked\r\n\r\n0\r\n", false},
		{"until close", ok + "\r\n", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			u := serve(t, func(p *peer) {
				p.head()
				p.say(test.response)
				p.closed()
			})
			x := httpclient.NewExchange()
			defer x.Free()
			x.Start("GET", "/", "a")
			if err := x.Do(t.Context(), u.pool(t, httpclient.Config{}), nil); err != nil {
				t.Fatal(err)
			}
			if got := x.Ready(); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}
