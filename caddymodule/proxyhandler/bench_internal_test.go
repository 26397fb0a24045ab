package proxyhandler

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// BenchmarkFastWay is a request to an upstream that allocates nothing. What Caddy's
// server makes for each request is made outside of the measure where it can be.
func BenchmarkFastWay(b *testing.B) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = listener.Close() })
	response := []byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 200\r\n\r\n" + strings.Repeat("x", 200))
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				for reader := bufio.NewReader(c); ; {
					line, err := reader.ReadSlice('\n')
					if err != nil {
						return
					}
					if len(line) == 2 {
						_, _ = c.Write(response)
					}
				}
			}()
		}
	}()
	ctx, err := caddy.ProvisionContext(&caddy.Config{Admin: &caddy.AdminConfig{Disabled: true}})
	if err != nil {
		b.Fatal(err)
	}
	h := &Handler{Handler: reverseproxy.Handler{Upstreams: reverseproxy.UpstreamPool{{Dial: listener.Addr().String()}}}}
	if err := h.Provision(ctx); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = h.Cleanup() })
	if h.fast == nil {
		b.Fatal(h.reasons)
	}
	r, err := http.NewRequest(http.MethodGet, "http://example.com/v1/items/1", http.NoBody)
	if err != nil {
		b.Fatal(err)
	}
	r.RemoteAddr = "192.0.2.1:1234"
	r.Header = http.Header{"Accept": {"application/json"}, "Authorization": {"Bearer " + strings.Repeat("x", 290)}}
	w := &discard{header: http.Header{}}
	vars := map[string]any{}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		clear(vars)
		request, cancel := context.WithCancel(context.Background())
		request = context.WithValue(request, caddy.ReplacerCtxKey, caddy.NewEmptyReplacer())
		request = context.WithValue(request, caddyhttp.VarsCtxKey, vars)
		if err := h.ServeHTTP(w, r.WithContext(request), nil); err != nil {
			b.Fatal(err)
		}
		cancel()
	}
	if w.bytes != 200*b.N {
		b.Errorf("got %d bytes, want %d", w.bytes, 200*b.N)
	}
}

// discard is a client that only counts.
type discard struct {
	header http.Header
	bytes  int
}

func (d *discard) Header() http.Header { return d.header }
func (d *discard) WriteHeader(int)     {}
func (d *discard) Write(p []byte) (int, error) {
	d.bytes += len(p)
	return len(p), nil
}
