package caddymodule_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/ainative/portcullis/caddymodule/errorhandler"
	"github.com/ainative/portcullis/caddymodule/internal/caddyharness"
)

// discard is a response writer that costs nothing.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header                 { return d.header }
func (d *discard) Write(p []byte) (int, error)         { return len(p), nil }
func (d *discard) WriteHeader(int)                     {}
func (d *discard) ReadFrom(r io.Reader) (int64, error) { return io.Copy(io.Discard, r) }

// BenchmarkErrors measures what gateway_errors adds to a response: the same
// handler with it and without.
func BenchmarkErrors(b *testing.B) {
	handler := new(errorhandler.Errors)
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	defer cancel()
	if err := handler.Provision(ctx); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = handler.Cleanup() })
	body := bytes.Repeat([]byte("x"), 200)
	respond := func(status int) caddyhttp.Handler {
		return caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
			w.Header()["Content-Type"] = []string{"application/json"}
			w.WriteHeader(status)
			_, err := w.Write(body)
			return err
		})
	}
	for _, bc := range []struct {
		name    string
		handler caddyhttp.MiddlewareHandler
		next    caddyhttp.Handler
	}{
		{"200 without", nil, respond(200)},
		{"200", handler, respond(200)},
		{"404 of an upstream", handler, respond(404)},
		{"404 of the router", handler, caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })},
	} {
		b.Run(bc.name, func(b *testing.B) {
			r := httptest.NewRequest(http.MethodGet, "/v1/things", nil)
			r.Header.Set("Accept", "*/*")
			w := &discard{header: http.Header{}}
			// What Caddy's server has put there before.
			vars := map[string]any{caddyhttp.ClientIPVarKey: "192.0.2.1", caddyhttp.TrustedProxyVarKey: false, "start_time": time.Now()}
			r = r.WithContext(context.WithValue(r.Context(), caddyhttp.VarsCtxKey, vars))
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				delete(vars, "gateway.exchange")
				var err error
				if bc.handler == nil {
					err = bc.next.ServeHTTP(w, r)
				} else {
					err = bc.handler.ServeHTTP(w, r, bc.next)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// withAndWithout is a site that proxies twice: behind gateway_errors and bare.
func withAndWithout(b *testing.B, up *upstream) *caddyharness.Caddy {
	return start(b, gatewayOptions(""), `
	handle /with {
		gateway_errors
		reverse_proxy $UPSTREAM
	}
	handle /without {
		reverse_proxy $UPSTREAM
	}`, "$UPSTREAM", up.addr())
}

// BenchmarkProxied measures a small proxied response, bare and with
// gateway_errors: the difference is what the handler costs of all.
func BenchmarkProxied(b *testing.B) {
	up := newUpstream(b)
	// The same headers travel both times, so that the client and the upstream, which
	// run in this process too, have the same to do.
	const id = "00000000-0000-7000-8000-000000000000"
	up.answer(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Request-Id", id)
		_, _ = io.WriteString(w, strings.Repeat("x", 200))
	})
	c := withAndWithout(b, up)
	for _, path := range []string{"/without", "/with"} {
		b.Run(path[1:], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r, _ := http.NewRequest(http.MethodGet, c.URL+path, nil)
				r.Header.Set("X-Request-Id", id)
				answer, err := c.Client.Do(r)
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, answer.Body)
				_ = answer.Body.Close()
			}
		})
		up.forget()
	}
}

// BenchmarkStream measures a response of 10 MiB through a running site, bare and
// with gateway_errors.
func BenchmarkStream(b *testing.B) {
	up := newUpstream(b)
	chunk := bytes.Repeat([]byte("x"), 32<<10)
	up.answer(func(w http.ResponseWriter, _ *http.Request) {
		for range 320 {
			_, _ = w.Write(chunk)
		}
	})
	c := withAndWithout(b, up)
	for _, path := range []string{"/without", "/with"} {
		b.Run(path[1:], func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(10 << 20)
			for b.Loop() {
				answer, err := c.Client.Get(c.URL + path)
				if err != nil {
					b.Fatal(err)
				}
				n, err := io.Copy(io.Discard, answer.Body)
				_ = answer.Body.Close()
				if err != nil || n != 10<<20 {
					b.Fatalf("got %d bytes, %v", n, err)
				}
			}
		})
	}
}

// BenchmarkWebSocket measures the echo of 1 KiB over an upgraded connection, bare
// and with gateway_errors.
func BenchmarkWebSocket(b *testing.B) {
	up := newUpstream(b)
	up.answer(func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		defer conn.Close()
		fmt.Fprint(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_ = rw.Flush()
		_, _ = io.Copy(conn, rw)
	})
	c := withAndWithout(b, up)
	for _, path := range []string{"/without", "/with"} {
		b.Run(path[1:], func(b *testing.B) {
			conn, err := net.Dial("tcp", strings.TrimPrefix(c.URL, "http://"))
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", path)
			reader := bufio.NewReader(conn)
			answer, err := http.ReadResponse(reader, nil)
			if err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
				b.Fatalf("got %v, %v", answer, err)
			}
			message, echo := bytes.Repeat([]byte("x"), 1<<10), make([]byte, 1<<10)
			b.ReportAllocs()
			b.SetBytes(1 << 10)
			for b.Loop() {
				if _, err := conn.Write(message); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(reader, echo); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
