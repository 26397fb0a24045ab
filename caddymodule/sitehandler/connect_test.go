package sitehandler

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func TestAcceptExtendedConnect(t *testing.T) {
	for _, tc := range []struct {
		name     string
		method   string
		proto    string
		major    int
		protocol string
		accepted bool
	}{
		{"a WebSocket over HTTP/2", http.MethodConnect, "HTTP/2.0", 2, "websocket", true},
		{"a WebSocket over HTTP/3", http.MethodConnect, "websocket", 3, "", true},
		{"another protocol over HTTP/2", http.MethodConnect, "HTTP/2.0", 2, "connect-udp", false},
		{"another protocol over HTTP/3", http.MethodConnect, "connect-udp", 3, "", false},
		{"a tunnel", http.MethodConnect, "HTTP/2.0", 2, "", false},
		{"a header of that name over HTTP/1.1", http.MethodConnect, "HTTP/1.1", 1, "websocket", false},
		{"a GET", http.MethodGet, "HTTP/2.0", 2, "websocket", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			vars := map[string]any{}
			stream := io.NopCloser(strings.NewReader("frames"))
			r := (&http.Request{Method: tc.method, Proto: tc.proto, ProtoMajor: tc.major, Header: http.Header{}, Body: stream}).
				WithContext(context.WithValue(t.Context(), caddyhttp.VarsCtxKey, vars))
			if tc.protocol != "" {
				r.Header[":protocol"] = []string{tc.protocol}
			}
			acceptExtendedConnect(r)
			_, kept := vars["extended_connect_websocket_body"]
			if got := r.Header.Get("Upgrade") == "websocket"; got != tc.accepted || kept != tc.accepted {
				t.Fatalf("accepted: %t, stream kept: %t, want %t", got, kept, tc.accepted)
			}
			if !tc.accepted {
				if r.Method != tc.method {
					t.Errorf("the method became %s", r.Method)
				}
				return
			}
			if r.Method != http.MethodGet || r.Body != http.NoBody || r.Header.Get("Sec-Websocket-Key") == "" || r.Header.Get(":protocol") != "" {
				t.Errorf("got %s with %v", r.Method, r.Header)
			}
		})
	}
}
