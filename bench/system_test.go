package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"text/template"
)

func TestConfigurations(t *testing.T) {
	const upstream = "127.0.0.1:3"
	tests := map[string]struct {
		from        *template.Template
		data        configData
		want, never []string
	}{
		"bare": {
			caddyfile,
			configData{Admin: "127.0.0.1:1", Port: "2", Last: "reverse_proxy " + upstream},
			[]string{"http://:2 {", "reverse_proxy " + upstream},
			[]string{"gateway", "exclude", "tls"},
		},
		"gateway, tuned": {
			caddyfile,
			configData{Admin: "127.0.0.1:1", Port: "2", Last: "reverse_proxy " + upstream, Store: "/s/gateway.db", Gateway: true, Tuned: true},
			[]string{"store sqlite /s/gateway.db", "exclude http.handlers.reverse_proxy", "\tgateway_limit\n", "gateway_roles USER"},
			[]string{"limit 1/1h"},
		},
		"gateway that refuses": {
			caddyfile,
			configData{Admin: "127.0.0.1:1", Port: "2", Last: "reverse_proxy " + upstream, Store: "/s/gateway.db", Gateway: true, Limit: "1/1h"},
			[]string{"gateway_limit {\n\t\tlimit 1/1h\n\t}"},
			[]string{"exclude"},
		},
		"Caddy with TLS": {
			caddyfile,
			configData{Port: "2", Last: "reverse_proxy " + upstream, Certificate: "/c.pem"},
			[]string{"https://127.0.0.1:2 {", "tls /c.pem /c.pem"},
			[]string{"http://"},
		},
		"nginx": {
			nginxConf,
			configData{Dir: "/d", Port: "2", Upstream: upstream},
			[]string{"listen 127.0.0.1:2;", "server " + upstream + ";", "pid /d/nginx.pid;"},
			[]string{"ssl"},
		},
		"nginx with TLS": {
			nginxConf,
			configData{Dir: "/d", Port: "2", Upstream: upstream, Certificate: "/c.pem"},
			[]string{"listen 127.0.0.1:2 ssl http2;", "ssl_certificate_key /c.pem;"},
			nil,
		},
		"HAProxy": {
			haproxyCfg,
			configData{Port: "2", Upstream: upstream, Secret: "s"},
			[]string{"bind 127.0.0.1:2\n", "server app " + upstream},
			[]string{"jwt_verify", "ssl"},
		},
		"HAProxy with policies": {
			haproxyCfg,
			configData{Port: "2", Upstream: upstream, Secret: "s", Policies: true},
			[]string{`jwt_verify(txn.alg,"s") 1`, "deny_status 429", "deny_status 403"},
			[]string{"ssl"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := tt.data.render(tt.from)
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

func TestChoose(t *testing.T) {
	all := allSystems()
	tests := map[string]struct {
		patterns []string
		want     string
	}{
		"one":           {[]string{"get/jwt"}, "get/reverse_proxy get/jwt"},
		"two workloads": {[]string{"get/429", "post/nginx"}, "get/reverse_proxy get/429 post/reverse_proxy post/nginx"},
		"a workload":    {[]string{"h2/*"}, "h2/reverse_proxy h2/gateway_proxy h2/jwt h2/nginx h2/haproxy"},
		"the measure":   {[]string{"large/reverse_proxy"}, "large/reverse_proxy"},
		"all":           {nil, rowNames(all)},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			chosen, err := choose(all, tt.patterns)
			if err != nil {
				t.Fatal(err)
			}
			if got := rowNames(chosen); got != tt.want {
				t.Errorf("choose() = %s, want %s", got, tt.want)
			}
		})
	}
	for _, pattern := range []string{"get", "jwt", "get/[", ""} {
		if chosen, err := choose(all, []string{pattern}); err == nil {
			t.Errorf("choose(%q) = %s, want an error", pattern, rowNames(chosen))
		}
	}
}

// The first system of each workload is what the others are held against.
func TestSystems(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range allSystems() {
		first := !seen[s.workload.id]
		if got := s.kind == bare && s.program == caddy && s.last == ""; got != first {
			t.Errorf("%s is bare reverse_proxy: %v, want %v", s.row(), got, first)
		}
		if seen[s.row()] {
			t.Errorf("%s is there twice", s.row())
		}
		seen[s.workload.id], seen[s.row()] = true, true
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
	for _, w := range workloads {
		body := strings.Repeat("x", w.body)
		if _, err := fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: x\r\ncontent-length: %d\r\n\r\n%s", w.method, w.path, w.body, body); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != w.size || !json.Valid(got) {
			t.Errorf("%s: %d bytes, want %d of JSON", w.id, len(got), w.size)
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
