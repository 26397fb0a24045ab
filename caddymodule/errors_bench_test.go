package caddymodule_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/ainative/portcullis/caddymodule"
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
	handler := new(caddymodule.Errors)
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	defer cancel()
	if err := handler.Provision(ctx); err != nil {
		b.Fatal(err)
	}
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
			vars := map[string]any{}
			r = r.WithContext(context.WithValue(r.Context(), caddyhttp.VarsCtxKey, vars))
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				clear(vars)
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

// BenchmarkStream measures a response of 10 MiB through a running site, with
// gateway_errors and without.
func BenchmarkStream(b *testing.B) {
	up := newUpstream(b)
	chunk := bytes.Repeat([]byte("x"), 32<<10)
	up.answer(func(w http.ResponseWriter, _ *http.Request) {
		for range 320 {
			_, _ = w.Write(chunk)
		}
	})
	c := start(b, gatewayOptions(""), `
	handle /with {
		gateway_errors
		reverse_proxy $UPSTREAM
	}
	reverse_proxy /without $UPSTREAM`, "$UPSTREAM", up.addr())
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
