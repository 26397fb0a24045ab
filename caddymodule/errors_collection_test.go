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
// tests hold it to the collection's expectations, says that it must. ALL_BODIES
// takes the whole of the second collection instead of each 16th body.
func TestErrorsCollection(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions(""), "gateway_errors\n reverse_proxy $UPSTREAM", "$UPSTREAM", up.addr())
	translator, err := problem.New(problem.Config{})
	if err != nil {
		t.Fatal(err)
	}
	var files []io.Reader
	for _, name := range []string{"error_bodies.jsonl", "more_bodies.jsonl"} {
		file, err := os.Open("../plugins/problem/testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		files = append(files, file)
	}
	every := 16
	if os.Getenv("ALL_BODIES") != "" {
		every = 1
	}
	lines := bufio.NewScanner(io.MultiReader(files...))
	lines.Buffer(nil, 1<<20)
	for n := 0; lines.Scan(); n++ {
		if n > 149 && n%every != 0 {
			// The translator's own tests have them all.
			continue
		}
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

// An error body of any size costs max_body and a constant, in memory and in time:
// the client has its answer at once, and an end that does not come is given up.
func TestHugeErrorBody(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions(""), "gateway_errors {\n max_body 64KiB\n }\n reverse_proxy $UPSTREAM", "$UPSTREAM", up.addr())
	chunk := []byte(strings.Repeat("x", 1<<20))
	for _, tc := range []struct {
		name string
		size int64
		// drained says that all of it is read, so that the connection can be used again.
		drained bool
	}{
		{"16 MiB", 16 << 20, true},
		{"1 GiB", 1 << 30, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var sent atomic.Int64
			var before, now runtime.MemStats
			var most uint64
			done := make(chan struct{})
			up.answer(func(w http.ResponseWriter, _ *http.Request) {
				defer close(done)
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusBadRequest)
				fmt.Fprint(w, `{"message":"`)
				for sent.Load() < tc.size {
					n, err := w.Write(chunk)
					if err != nil {
						return
					}
					if sent.Add(int64(n))%(16<<20) == 0 {
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
			<-done
			if all := sent.Load() == tc.size; all != tc.drained {
				t.Errorf("got %d MiB of %s read", sent.Load()>>20, tc.name)
			}
			if sent.Load() > 128<<20 {
				t.Errorf("got %d MiB read, want it given up by then", sent.Load()>>20)
			}
			if grown := int64(most) - int64(before.HeapAlloc); grown > 8<<20 {
				t.Errorf("the heap grew by %d KiB for a body of %s", grown>>10, tc.name)
			}
			// The client's connection is good for more.
			up.answer(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusConflict)
				fmt.Fprint(w, `{"message":"Already taken"}`)
			})
			wantError(t, c.Get("/"), http.StatusConflict, "Already taken")
		})
	}
}

// The answer to a body that is too large does not wait for its end.
func TestEndlessErrorBody(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions(""), "gateway_errors {\n max_body 64KiB\n }\n reverse_proxy $UPSTREAM", "$UPSTREAM", up.addr())
	answered := make(chan struct{})
	up.answer(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprint(w, strings.Repeat("x", 128<<10))
		_ = http.NewResponseController(w).Flush()
		<-answered
	})
	got := c.Get("/")
	close(answered)
	wantError(t, got, http.StatusServiceUnavailable, "Service unavailable")
}
