package errorhandler

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// A request that passes costs no allocation of its own.
func TestErrorsAllocateNothing(t *testing.T) {
	handler := new(Errors)
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	defer cancel()
	if err := handler.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = handler.Cleanup() })
	next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		w.WriteHeader(http.StatusOK)
		return nil
	})
	vars := map[string]any{caddyhttp.ClientIPVarKey: "192.0.2.1", caddyhttp.TrustedProxyVarKey: false}
	r := httptest.NewRequest(http.MethodGet, "/v1/things", nil)
	r = r.WithContext(context.WithValue(r.Context(), caddyhttp.VarsCtxKey, vars))
	w := &idleWriter{http.Header{}}
	got := testing.AllocsPerRun(1000, func() {
		delete(vars, "gateway.exchange")
		if err := handler.ServeHTTP(w, r, next); err != nil {
			t.Fatal(err)
		}
	})
	if got > 0 {
		t.Errorf("got %v allocations for a request that passes, want none", got)
	}
}

type idleWriter struct{ header http.Header }

func (w *idleWriter) Header() http.Header         { return w.header }
func (w *idleWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w *idleWriter) WriteHeader(int)             {}
