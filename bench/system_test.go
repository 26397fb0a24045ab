package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

func TestCaddyfile(t *testing.T) {
	tests := map[string]struct {
		data        caddyfileData
		want, never []string
	}{
		"bare": {
			caddyfileData{Admin: "127.0.0.1:1", Port: "2", Last: "reverse_proxy 127.0.0.1:3"},
			[]string{"http://:2 {", "reverse_proxy 127.0.0.1:3"},
			[]string{"gateway", "exclude"},
		},
		"gateway, tuned": {
			caddyfileData{Admin: "127.0.0.1:1", Port: "2", Last: "reverse_proxy 127.0.0.1:3", Store: "/s/gateway.db", Gateway: true, Tuned: true},
			[]string{"store sqlite /s/gateway.db", "exclude http.handlers.reverse_proxy", "\tgateway_limit\n", "gateway_roles USER"},
			[]string{"limit 1/1h"},
		},
		"gateway that refuses": {
			caddyfileData{Admin: "127.0.0.1:1", Port: "2", Last: "reverse_proxy 127.0.0.1:3", Store: "/s/gateway.db", Gateway: true, Limit: "1/1h"},
			[]string{"gateway_limit {\n\t\tlimit 1/1h\n\t}"},
			[]string{"exclude"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := tt.data.render()
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range tt.want {
				if !strings.Contains(string(got), want) {
					t.Errorf("no %q in:\n%s", want, got)
				}
			}
			for _, never := range tt.never {
				if strings.Contains(string(got), never) {
					t.Errorf("%q in:\n%s", never, got)
				}
			}
		})
	}
}

func TestLastDirective(t *testing.T) {
	tests := map[string]string{"": "reverse_proxy a:1", gatewayProxy: "gateway_proxy a:1", respond: "respond 200"}
	for last, want := range tests {
		if got := (system{last: last}).lastDirective("a:1"); got != want {
			t.Errorf("%q: got %q, want %q", last, got, want)
		}
	}
}

func TestUpstreamAnswersOnOneConnection(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() { _ = serveUpstream(t.Context(), listener) }()

	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	reader := bufio.NewReader(conn)
	for range 2 {
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := len(body), 200; got != want {
			t.Errorf("body of %d bytes, want %d", got, want)
		}
	}
}

func TestEnvironmentOfStockIsStock(t *testing.T) {
	t.Setenv("GOGC", "77")
	a := &arena{secret: []byte("s")}
	tests := map[settings]string{stock: "", tuned: "GOGC=1000"}
	for s, want := range tests {
		t.Run(string(s), func(t *testing.T) {
			got := ""
			for _, v := range a.environment(t.TempDir(), s) {
				if strings.HasPrefix(v, "GOGC=") {
					got = v
				}
			}
			if got != want {
				t.Errorf("environment has %q, want %q", got, want)
			}
		})
	}
}

func TestCheckAnswers(t *testing.T) {
	tests := map[string]struct {
		kind    kind
		refused int64
		fail    bool
	}{
		"allowed, all passed":   {allowed, 0, false},
		"allowed, one refused":  {allowed, 1, true},
		"refused, all refused":  {refused, 10, false},
		"refused, one passed":   {refused, 9, true},
		"bare, upstream failed": {bare, 3, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := &contender{system: system{name: name, kind: tt.kind}}
			if err := c.checkAnswers(loadResult{Requests: 10, Refused: tt.refused}); (err != nil) != tt.fail {
				t.Errorf("checkAnswers() = %v, want failure %v", err, tt.fail)
			}
		})
	}
}
