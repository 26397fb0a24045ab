package caddymodule_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ainative/portcullis/plugins/problem"
)

// Every error of the collection leaves the gateway as the translator, whose own
// tests hold it to the collection's expectations, says that it must.
func TestErrorsCollection(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions(""), "gateway_errors\n reverse_proxy $UPSTREAM", "$UPSTREAM", up.addr())
	translator, err := problem.New(problem.Config{})
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Open("../plugins/problem/testdata/error_bodies.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var tc struct {
			ID          string
			Status      int
			ContentType *string `json:"content_type"`
			Headers     map[string]string
			Body        string
		}
		if err := json.Unmarshal(lines.Bytes(), &tc); err != nil {
			t.Fatal(err)
		}
		t.Run(tc.ID, func(t *testing.T) {
			sent := http.Header{}
			for name, value := range tc.Headers {
				sent.Set(name, value)
			}
			if tc.ContentType != nil {
				sent.Set("Content-Type", *tc.ContentType)
			}
			up.answer(func(w http.ResponseWriter, _ *http.Request) {
				h := w.Header()
				h["Content-Type"] = nil
				for name, values := range sent {
					if !strings.EqualFold(name, "Connection") && !strings.EqualFold(name, "Transfer-Encoding") && !strings.EqualFold(name, "Content-Length") {
						h[name] = values
					}
				}
				w.WriteHeader(tc.Status)
				fmt.Fprint(w, tc.Body)
			})
			got := c.Get("/")
			if tc.Status < 400 {
				if got.Status != tc.Status || got.Body != tc.Body {
					t.Errorf("got %d %q, want it untouched", got.Status, got.Body)
				}
				return
			}
			p, pass := translator.Translate(problem.Response{Status: tc.Status, Header: sent, Body: []byte(tc.Body), Method: http.MethodGet})
			want := tc.Body
			if !pass {
				_, body := translator.Render(p, problem.FormatFastAPI, problem.Env{RequestID: got.Header.Get("X-Request-Id")})
				want = string(body)
			}
			if got.Status != p.Status || got.Body != want {
				t.Errorf("got %d %s\nwant %d %s", got.Status, got.Body, p.Status, want)
			}
			if contentType := got.Header.Get("Content-Type"); !strings.HasPrefix(contentType, "application/json") {
				t.Errorf("got Content-Type %q", contentType)
			}
			if (tc.Status == 429 || tc.Status == 503) && got.Header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
		})
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
}

// An error body of any size costs max_body and a constant.
func TestHugeErrorBody(t *testing.T) {
	const size = 256 << 20
	up := newUpstream(t)
	c := start(t, gatewayOptions(""), "gateway_errors {\n max_body 64KiB\n }\n reverse_proxy $UPSTREAM", "$UPSTREAM", up.addr())
	var sent atomic.Int64
	var before, now runtime.MemStats
	var most uint64
	up.answer(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"message":"`)
		chunk := []byte(strings.Repeat("x", 1<<20))
		for sent.Load() < size {
			n, err := w.Write(chunk)
			if err != nil {
				return
			}
			if sent.Add(int64(n))%(32<<20) == 0 {
				runtime.GC()
				runtime.ReadMemStats(&now)
				most = max(most, now.HeapAlloc)
			}
		}
		_, _ = io.WriteString(w, `"}`)
	})
	runtime.GC()
	runtime.ReadMemStats(&before)
	wantError(t, c.Get("/"), http.StatusBadRequest, "Bad Request")
	if sent.Load() < size {
		t.Errorf("got %d bytes of the body read, want all: it is drained", sent.Load())
	}
	if grown := int64(most) - int64(before.HeapAlloc); grown > 8<<20 {
		t.Errorf("the heap grew by %d KiB for a body of %d MiB", grown>>10, size>>20)
	}
}
