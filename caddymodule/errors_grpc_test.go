package caddymodule_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestErrorsOfGRPC: a gRPC client reads grpc-status, in an answer of status 200
// without a body (Trailers-Only), for all that the gateway itself says no to.
func TestErrorsOfGRPC(t *testing.T) {
	up := newUpstream(t)
	c := start(t, h2cOptions(), `
	gateway_errors {
		text 405 "Use 100 % of é"
	}
	handle /private/* {
		gateway_auth {
			failures off
		}
		reverse_proxy $UPSTREAM
	}
	handle /limited/* {
		gateway_limit {
			anonymous 1/1h
		}
		reverse_proxy $UPSTREAM
	}
	handle /down/* {
		reverse_proxy 127.0.0.1:1
	}
	handle /up/* {
		reverse_proxy $UPSTREAM
	}
	handle /bad/* {
		error "private text" 400
	}
	handle /method/* {
		error 405
	}`, "$UPSTREAM", up.addr())
	call := func(t *testing.T, client *http.Client, path, contentType string) (*http.Response, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.URL+path, strings.NewReader("\x00\x00\x00\x00\x00"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", contentType)
		r.Header.Set("Te", "trailers")
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = answer.Body.Close() }()
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer, string(body)
	}
	up.answerWith(http.StatusConflict, "application/json", `{"detail":"No such thing"}`)
	http2 := h2c(t)
	call(t, http2, "/limited/x", "application/grpc")
	for _, protocol := range []struct {
		name   string
		client *http.Client
	}{{"HTTP/2", http2}, {"HTTP/1", c.Client}} {
		for _, tc := range []struct {
			name, path, contentType string
			status, message         string
		}{
			{"no credential", "/private/x", "application/grpc", "16", "Could not validate credentials"},
			{"with a message format", "/private/x", "application/grpc+proto", "16", "Could not validate credentials"},
			{"gRPC-Web", "/private/x", "application/grpc-web+proto", "16", "Could not validate credentials"},
			{"gRPC-Web in text", "/private/x", "application/grpc-web-text", "16", "Could not validate credentials"},
			{"no route", "/shop.Orders/Get", "application/grpc", "12", "Not found"},
			{"upstream down", "/down/x", "application/grpc", "14", "Bad gateway"},
			{"an error of a handler", "/bad/x", "application/grpc", "3", "Bad Request"},
			{"a text that needs escapes", "/method/x", "application/grpc", "12", "Use 100 %25 of %C3%A9"},
			{"an upstream that speaks no gRPC", "/up/x", "application/grpc", "10", "No such thing"},
		} {
			t.Run(protocol.name+" "+tc.name, func(t *testing.T) {
				answer, body := call(t, protocol.client, tc.path, tc.contentType)
				h := answer.Header
				if answer.StatusCode != http.StatusOK || body != "" || h.Get("Content-Type") != tc.contentType {
					t.Errorf("got %d %s %q, want 200 %s and no body", answer.StatusCode, h.Get("Content-Type"), body, tc.contentType)
				}
				if h.Get("Grpc-Status") != tc.status || h.Get("Grpc-Message") != tc.message {
					t.Errorf("got status %q, message %q, want %s, %q", h.Get("Grpc-Status"), h.Get("Grpc-Message"), tc.status, tc.message)
				}
				if h.Get("X-Request-Id") == "" {
					t.Error("no X-Request-Id")
				}
				if tc.status == "16" && h.Get("Www-Authenticate") == "" {
					t.Error("no WWW-Authenticate")
				}
			})
		}
		t.Run(protocol.name+" over the limit", func(t *testing.T) {
			answer, _ := call(t, protocol.client, "/limited/x", "application/grpc")
			if answer.Header.Get("Grpc-Status") != "8" || answer.Header.Get("Retry-After") == "" || !strings.HasPrefix(answer.Header.Get("Grpc-Message"), "Rate limit exceeded.") {
				t.Errorf("got %v", answer.Header)
			}
		})
		t.Run(protocol.name+" another content type", func(t *testing.T) {
			answer, body := call(t, protocol.client, "/private/x", "application/json")
			if answer.StatusCode != http.StatusUnauthorized || answer.Header.Get("Grpc-Status") != "" || body != `{"detail":"Could not validate credentials"}` {
				t.Errorf("got %d %v %s", answer.StatusCode, answer.Header, body)
			}
		})
	}
	t.Run("an upstream's own errors pass", func(t *testing.T) {
		up.answer(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/grpc")
			w.Header().Set("Trailer", "Grpc-Status, Grpc-Message")
			w.WriteHeader(http.StatusOK)
			w.Header().Set("Grpc-Status", "5")
			w.Header().Set("Grpc-Message", "no such order")
		})
		answer, _ := call(t, c.Client, "/up/x", "application/grpc")
		if answer.Trailer.Get("Grpc-Status") != "5" || answer.Trailer.Get("Grpc-Message") != "no such order" {
			t.Errorf("got header %v, trailer %v", answer.Header, answer.Trailer)
		}
	})
}
