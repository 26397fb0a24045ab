package caddymodule_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// However an error body travels, its message arrives.
func TestErrorsTransport(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions(""), "gateway_errors\n reverse_proxy $UPSTREAM {\n flush_interval -1\n }", "$UPSTREAM", up.addr())
	const message = `{"message":"Already taken"}`
	pack := func(f func(io.Writer) io.WriteCloser) []byte {
		var b bytes.Buffer
		z := f(&b)
		_, _ = io.WriteString(z, message)
		_ = z.Close()
		return b.Bytes()
	}
	for name, body := range map[string][]byte{
		"gzip":    pack(func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }),
		"deflate": pack(func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }),
		"br":      pack(func(w io.Writer) io.WriteCloser { return brotli.NewWriter(w) }),
		"zstd": pack(func(w io.Writer) io.WriteCloser {
			z, err := zstd.NewWriter(w)
			if err != nil {
				t.Fatal(err)
			}
			return z
		}),
	} {
		t.Run(name, func(t *testing.T) {
			up.answer(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.Header().Set("Content-Encoding", name)
				w.WriteHeader(http.StatusConflict)
				_, _ = w.Write(body)
			})
			got := c.Get("/", "Accept-Encoding", name)
			wantError(t, got, http.StatusConflict, "Already taken")
			if got.Header.Get("Content-Encoding") != "" {
				t.Error("Content-Encoding is left")
			}
		})
	}
	for name, reply := range map[string]http.HandlerFunc{
		"chunked and flushed early": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusConflict)
			for _, r := range message {
				fmt.Fprint(w, string(r))
				_ = http.NewResponseController(w).Flush()
			}
		},
		"early hints first": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusConflict)
			fmt.Fprint(w, message)
		},
		"trailers": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "X-Checksum")
			w.WriteHeader(http.StatusConflict)
			fmt.Fprint(w, message)
			w.Header().Set("X-Checksum", "1")
		},
		"no content type": func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = nil
			w.WriteHeader(http.StatusConflict)
			fmt.Fprint(w, message)
		},
		"wrong content type": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "image/png")
			w.WriteHeader(http.StatusConflict)
			fmt.Fprint(w, message)
		},
		"wrong charset": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json; charset=klingon")
			w.WriteHeader(http.StatusConflict)
			fmt.Fprint(w, message)
		},
		"UTF-16": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json; charset=utf-16le")
			w.WriteHeader(http.StatusConflict)
			for _, r := range message {
				_, _ = w.Write([]byte{byte(r), 0})
			}
		},
		"byte order mark": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusConflict)
			fmt.Fprint(w, "\ufeff"+message)
		},
		"range and entity headers": func(w http.ResponseWriter, _ *http.Request) {
			h := w.Header()
			h.Set("Content-Range", "bytes 0-1/2")
			h.Set("Last-Modified", "Mon, 02 Jan 2006 15:04:05 GMT")
			h.Set("Digest", "sha-256=x")
			w.WriteHeader(http.StatusConflict)
			fmt.Fprint(w, message)
		},
		"gzip in name only": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.WriteHeader(http.StatusConflict)
			fmt.Fprint(w, message)
		},
		"raw deflate": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "deflate")
			w.WriteHeader(http.StatusConflict)
			z, _ := flate.NewWriter(w, flate.BestSpeed)
			fmt.Fprint(z, message)
			_ = z.Close()
		},
		"encoded twice": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip, br")
			w.WriteHeader(http.StatusConflict)
			outer := brotli.NewWriter(w)
			inner := gzip.NewWriter(outer)
			fmt.Fprint(inner, message)
			_ = inner.Close()
			_ = outer.Close()
		},
		"latin1": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain; charset=iso-8859-1")
			w.WriteHeader(http.StatusConflict)
			_, _ = w.Write([]byte("Already taken\xa0"))
		},
		"validators of a conditional request": func(w http.ResponseWriter, _ *http.Request) {
			h := w.Header()
			h.Set("Etag", `"x"`)
			h.Set("Content-Md5", "x")
			h.Set("Content-Language", "de")
			w.WriteHeader(http.StatusConflict)
			fmt.Fprint(w, message)
		},
	} {
		t.Run(name, func(t *testing.T) {
			up.answer(reply)
			// A client that names codings keeps the proxy from decoding for it.
			got := c.Get("/", "Accept-Encoding", "identity")
			wantError(t, got, http.StatusConflict, "Already taken")
			for _, gone := range []string{"Content-Range", "Content-Encoding", "Last-Modified", "Digest", "Trailer", "Etag", "Content-Md5", "Content-Language"} {
				if got.Header.Get(gone) != "" {
					t.Errorf("%s is left", gone)
				}
			}
		})
	}
	for name, open := range map[string]func(io.Writer) io.WriteCloser{
		"gzip":    func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) },
		"deflate": func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) },
		"br":      func(w io.Writer) io.WriteCloser { return brotli.NewWriterLevel(w, 1) },
		"zstd": func(w io.Writer) io.WriteCloser {
			z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
			if err != nil {
				t.Fatal(err)
			}
			return z
		},
	} {
		t.Run(name+" bomb", func(t *testing.T) {
			var bomb bytes.Buffer
			z := open(&bomb)
			zeros := make([]byte, 1<<20)
			for range 32 {
				_, _ = z.Write(zeros)
			}
			_ = z.Close()
			up.answer(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Encoding", name)
				w.WriteHeader(http.StatusConflict)
				_, _ = w.Write(bomb.Bytes())
			})
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			wantError(t, c.Get("/", "Accept-Encoding", name), http.StatusConflict, "Conflict")
			runtime.ReadMemStats(&after)
			if grown := after.TotalAlloc - before.TotalAlloc; grown > 24<<20 {
				t.Errorf("%d KiB that decode to 32 MiB cost %d MiB", bomb.Len()>>10, grown>>20)
			}
		})
	}
	for name, tc := range map[string]struct {
		status      int
		header      string
		value, body string
	}{
		"204":                     {204, "X-A", "b", ""},
		"206":                     {206, "Content-Range", "bytes 0-1/9", "ab"},
		"304":                     {304, "Etag", `"x"`, ""},
		"GraphQL errors on 200":   {200, "Content-Type", "application/json", `{"errors":[{"message":"m"}]}`},
		"gRPC error":              {200, "Content-Type", "application/grpc", ""},
		"event stream of a 4xx":   {400, "Content-Type", "text/event-stream", "data: x\n\n"},
		"gRPC refused by a proxy": {415, "Content-Type", "application/grpc", ""},
		"incremental of a 4xx":    {400, "Incremental", "?1", "piece"},
		"redirect":                {307, "Location", "/elsewhere", "moved"},
	} {
		t.Run(name+" is not touched", func(t *testing.T) {
			up.answer(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set(tc.header, tc.value)
				w.WriteHeader(tc.status)
				fmt.Fprint(w, tc.body)
			})
			got := c.Get("/")
			if got.Status != tc.status || got.Body != tc.body || got.Header.Get(tc.header) != tc.value {
				t.Errorf("got %d %s %q, want %d %s %q", got.Status, got.Header.Get(tc.header), got.Body, tc.status, tc.value, tc.body)
			}
			if got.Header.Get("X-Request-Id") == "" {
				t.Error("no X-Request-Id")
			}
		})
	}
}
