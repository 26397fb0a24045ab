package httpclient_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins/httpclient"
)

// peer is the upstream's end of one connection.
type peer struct {
	net.Conn
	*bufio.Reader
	number int // of the connection, from 1
}

func (p *peer) Read(b []byte) (int, error) { return p.Reader.Read(b) }

// head reads a request up to the blank line. It returns "" when the client has
// closed the connection.
func (p *peer) head() string {
	var text strings.Builder
	for {
		line, err := p.ReadString('\n')
		if err != nil {
			return ""
		}
		text.WriteString(line)
		if line == "\r\n" {
			return text.String()
		}
	}
}

func (p *peer) say(text string) { _, _ = io.WriteString(p.Conn, text) }

// closed waits until the client has closed the connection.
func (p *peer) closed() bool {
	_ = p.SetReadDeadline(time.Now().Add(10 * time.Second))
	_, err := io.Copy(io.Discard, p.Reader)
	timeout, ok := err.(net.Error) //nolint:errorlint // as net returns it
	return !ok || !timeout.Timeout()
}

// upstream is a server of raw bytes.
type upstream struct {
	address string
	mu      sync.Mutex
	dialed  int
}

// serve answers each connection by a call of talk, and closes it behind that.
func serve(t testing.TB, talk func(*peer)) *upstream {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	t.Cleanup(func() {
		_ = listener.Close()
		running.Wait()
	})
	u := &upstream{address: listener.Addr().String()}
	running.Go(func() {
		for number := 1; ; number++ {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer func() { _ = c.Close() }()
				talk(&peer{c, bufio.NewReader(c), number})
			})
		}
	})
	return u
}

// pool makes a pool to the upstream that counts connections.
func (u *upstream) pool(t testing.TB, config httpclient.Config) *httpclient.Pool {
	t.Helper()
	config.Dial = func(ctx context.Context) (net.Conn, error) {
		u.mu.Lock()
		u.dialed++
		u.mu.Unlock()
		return new(net.Dialer).DialContext(ctx, "tcp", u.address)
	}
	if config.MaxIdle == 0 {
		config.MaxIdle = 8
	}
	p := httpclient.NewPool(config)
	// Cleanup runs last first: the upstream waits for the end of its connections.
	t.Cleanup(p.Close)
	return p
}

func (u *upstream) dials() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.dialed
}

// answer is a response that was read to its end.
type answer struct {
	status  int
	fields  []httpclient.Field
	body    string
	trailer string
	err     error // of Do
	bodyErr error // of Next
}

type ask struct {
	method, uri string
	fields      []string // name, value
	body        io.Reader
	length      int64
}

// do carries out a request, GET / if nothing else is said.
func do(ctx context.Context, p *httpclient.Pool, a ask) (got answer) {
	x := httpclient.NewExchange()
	defer x.Free()
	if a.method == "" {
		a.method = "GET"
	}
	if a.uri == "" {
		a.uri = "/"
	}
	x.Start(a.method, a.uri, "example.com")
	for i := 0; i < len(a.fields); i += 2 {
		x.Field(a.fields[i], a.fields[i+1])
	}
	if a.body != nil {
		x.Body(a.body, a.length, nil, nil)
	}
	if got.err = x.Do(ctx, p, nil); got.err != nil {
		return got
	}
	got.status = x.Status
	got.fields = append(got.fields, x.Fields...)
	var body strings.Builder
	for {
		piece, err := x.Next()
		body.Write(piece)
		if err == io.EOF { //nolint:errorlint // Next returns it as it is
			break
		}
		if err != nil {
			got.bodyErr = err
			break
		}
	}
	got.body = body.String()
	for name, values := range x.Trailer {
		got.trailer += name + "=" + strings.Join(values, ",") + ";"
	}
	x.Finish()
	return got
}

func get(t testing.TB, p *httpclient.Pool) answer {
	t.Helper()
	return do(t.Context(), p, ask{})
}
