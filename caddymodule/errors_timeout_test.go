package caddymodule_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// h2cOptions is gatewayOptions with HTTP/2 without TLS beside HTTP/1.
func h2cOptions() string {
	return strings.Replace(gatewayOptions(""), "gateway {", "servers {\n protocols h1 h2c\n }\n gateway {", 1)
}

// h2c is a client that speaks HTTP/2 without TLS.
func h2c(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{Protocols: new(http.Protocols), DisableCompression: true}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 30 * time.Second}
}

// TestErrorBodyWithoutEnd: an upstream that sends a status and never ends the body
// keeps neither the status from the client nor its own connection.
func TestErrorBodyWithoutEnd(t *testing.T) {
	up := newUpstream(t)
	c := start(t, h2cOptions(), `
	gateway_errors {
		body_timeout 100ms 300ms
		max_body 4KiB
	}
	reverse_proxy $UPSTREAM {
		flush_interval -1
	}`, "$UPSTREAM", up.addr())
	var ended chan error
	silent := func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"detail":"half a`)
		_ = http.NewResponseController(w).Flush()
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
		ended <- r.Context().Err()
	}
	dripping := func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.Copy(io.Discard, r.Body)
		for r.Context().Err() == nil {
			fmt.Fprint(w, "x")
			_ = http.NewResponseController(w).Flush()
			select {
			case <-time.After(20 * time.Millisecond):
			case <-r.Context().Done():
			}
		}
		ended <- r.Context().Err()
	}
	large := func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, strings.Repeat("x", 8<<10))
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		ended <- r.Context().Err()
	}
	for name, reply := range map[string]http.HandlerFunc{"silent": silent, "dripping": dripping, "too large": large} {
		for _, client := range []struct {
			name   string
			client *http.Client
		}{{"HTTP/1", c.Client}, {"HTTP/2", h2c(t)}} {
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				t.Run(name+" "+client.name+" "+method, func(t *testing.T) {
					ended = make(chan error, 1)
					up.answer(reply)
					var body io.Reader
					if method == http.MethodPost {
						body = strings.NewReader("x")
					}
					r, err := http.NewRequestWithContext(t.Context(), method, c.URL+"/", body)
					if err != nil {
						t.Fatal(err)
					}
					answer, err := client.client.Do(r)
					if err != nil {
						t.Fatal(err)
					}
					got, err := io.ReadAll(answer.Body)
					_ = answer.Body.Close()
					if err != nil || answer.StatusCode != http.StatusNotFound || string(got) != `{"detail":"Not found"}` {
						t.Errorf("got %d %s, error %v", answer.StatusCode, got, err)
					}
					select {
					case err := <-ended:
						if !errors.Is(err, context.Canceled) {
							t.Errorf("the upstream's request ended with %v, want it canceled", err)
						}
					case <-time.After(20 * time.Second):
						t.Error("the upstream still waits for its client to go")
					}
					// The client's connection is of use as before.
					up.answer(nil)
					if answer, err := client.client.Get(c.URL + "/"); err != nil || answer.StatusCode != http.StatusOK {
						t.Errorf("the next request got %v, error %v", answer, err)
					} else {
						_ = answer.Body.Close()
					}
				})
			}
		}
	}
}
