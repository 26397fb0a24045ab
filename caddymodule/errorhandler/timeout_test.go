package errorhandler

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// TestErrorBodyIsWaitedForAWhile measures, on a clock that only moves when all
// wait, how long an error body is held back.
func TestErrorBodyIsWaitedForAWhile(t *testing.T) {
	const gone = `{"message":"No such order"}`
	// aborts ends as reverse_proxy does when its request is canceled.
	aborts := func(r *http.Request) error {
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	}
	for _, tc := range []struct {
		name string
		e    Errors
		next func(w http.ResponseWriter, r *http.Request) error
		want string
		took time.Duration
	}{
		{
			"whole at once",
			Errors{},
			func(w http.ResponseWriter, _ *http.Request) error {
				_, _ = io.WriteString(w, gone)
				return nil
			}, `{"detail":"No such order"}`, 0,
		},
		{"no byte for a second", Errors{}, func(_ http.ResponseWriter, r *http.Request) error { return aborts(r) }, `{"detail":"Not found"}`, time.Second},
		{
			"a part, then no byte for a second",
			Errors{},
			func(w http.ResponseWriter, r *http.Request) error {
				time.Sleep(700 * time.Millisecond)
				_, _ = io.WriteString(w, gone)
				return aborts(r)
			}, `{"detail":"Not found"}`, 1700 * time.Millisecond,
		},
		{
			"an error instead of a panic",
			Errors{},
			func(_ http.ResponseWriter, r *http.Request) error {
				<-r.Context().Done()
				return errors.New("private text")
			}, `{"detail":"Not found"}`, time.Second,
		},
		{
			"slow, but within the time",
			Errors{},
			func(w http.ResponseWriter, _ *http.Request) error {
				for _, part := range strings.SplitAfter(gone, " ") {
					time.Sleep(900 * time.Millisecond)
					_, _ = io.WriteString(w, part)
				}
				return nil
			}, `{"detail":"No such order"}`, 2700 * time.Millisecond,
		},
		{
			"a byte every now and then, without end",
			Errors{},
			func(w http.ResponseWriter, r *http.Request) error {
				for r.Context().Err() == nil {
					_, _ = io.WriteString(w, "x")
					select {
					case <-time.After(500 * time.Millisecond):
					case <-r.Context().Done():
					}
				}
				return aborts(r)
			}, `{"detail":"Not found"}`, 5 * time.Second,
		},
		{
			"other times",
			Errors{BodyIdleTimeout: caddy.Duration(10 * time.Second), BodyTimeout: caddy.Duration(3 * time.Second)},
			func(_ http.ResponseWriter, r *http.Request) error { return aborts(r) }, `{"detail":"Not found"}`, 3 * time.Second,
		},
		{
			"a long idle time alone",
			Errors{BodyIdleTimeout: caddy.Duration(30 * time.Second)},
			func(_ http.ResponseWriter, r *http.Request) error { return aborts(r) }, `{"detail":"Not found"}`, 30 * time.Second,
		},
		{
			"too large, and without end",
			Errors{MaxBody: 4},
			func(w http.ResponseWriter, r *http.Request) error {
				_, _ = io.WriteString(w, gone)
				return aborts(r)
			}, `{"detail":"Not found"}`, time.Second,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
				defer cancel()
				e := tc.e
				if err := e.Provision(ctx); err != nil {
					t.Fatal(err)
				}
				defer func() { _ = e.Cleanup() }()
				vars := map[string]any{caddyhttp.ClientIPVarKey: "192.0.2.1", caddyhttp.TrustedProxyVarKey: false}
				// HTTP/2, or HTTP/1 with a body: the context is ours.
				r := httptest.NewRequest(http.MethodPost, "/v1/things", strings.NewReader("x"))
				r = r.WithContext(context.WithValue(t.Context(), caddyhttp.VarsCtxKey, vars))
				w := httptest.NewRecorder()
				begun := time.Now()
				err := e.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
					w.WriteHeader(http.StatusNotFound)
					return tc.next(w, r)
				}))
				if err != nil || w.Code != http.StatusNotFound || w.Body.String() != tc.want {
					t.Errorf("got %d %s, error %v, want 404 %s", w.Code, w.Body, err, tc.want)
				}
				if took := time.Since(begun); took != tc.took {
					t.Errorf("answered after %s, want %s", took, tc.took)
				}
			})
		})
	}
	t.Run("no timer below 400", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
			defer cancel()
			var e Errors
			if err := e.Provision(ctx); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = e.Cleanup() }()
			r := httptest.NewRequest(http.MethodPost, "/v1/things", strings.NewReader("x"))
			w := httptest.NewRecorder()
			err := e.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
				for range 3 {
					fmt.Fprint(w, "x")
					time.Sleep(time.Hour)
				}
				return r.Context().Err()
			}))
			if err != nil || w.Body.String() != "xxx" {
				t.Errorf("got %q, error %v", w.Body, err)
			}
		})
	})
}
