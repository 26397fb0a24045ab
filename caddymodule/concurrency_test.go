package caddymodule_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
)

// A place is given back on every way out of a request.
func TestConcurrencyIsReleased(t *testing.T) {
	up := newUpstream(t)
	entered, leave := make(chan struct{}, 1), make(chan struct{})
	up.answer(func(w http.ResponseWriter, r *http.Request) {
		hijack := func() net.Conn {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
			}
			return conn
		}
		switch r.URL.Path {
		case "/busy":
			entered <- struct{}{}
			<-leave
		case "/cut":
			// The proxy panics to cut the client off too.
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, "half")
			_ = http.NewResponseController(w).Flush()
			_ = hijack().Close()
		case "/gone":
			_ = hijack().Close()
		case "/slow":
			entered <- struct{}{}
			select {
			case <-leave:
			case <-r.Context().Done():
			}
		case "/upgrade":
			conn := hijack()
			fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
			line, _ := bufio.NewReader(conn).ReadString('\n')
			fmt.Fprint(conn, line)
			_ = conn.Close()
		case "/500":
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	for name, errors := range map[string]string{"with errors": "gateway_errors", "without": ""} {
		t.Run(name, func(t *testing.T) {
			c := start(t, gatewayOptions("tier free {\n limit 5/1h\n concurrency 1\n }"), errors+`
	gateway_auth
	handle /limited {
		gateway_limit {
			zone limited
			limit 1/1h
			cost_header X-Cost
		}
		reverse_proxy $UPSTREAM
	}
	handle /error {
		gateway_limit {
			zone error
		}
		error 418
	}
	handle {
		gateway_limit {
			limit 1000/1h
		}
		reverse_proxy $UPSTREAM
	}`, "$UPSTREAM", up.addr())
			auth := []string{"Authorization", bearer(t)}
			// One at a time: whoever finds no place shows that one was not given back.
			free := func(after string) {
				t.Helper()
				// A connection that was cut off ends a moment after the client sees it.
				until(t, "giving the place back after "+after, func() bool { return c.Get("/free", auth...).Status == 200 })
			}
			free("nothing")
			for _, path := range []string{"/500", "/cut", "/gone"} {
				for range 3 {
					_, _ = c.Try(http.MethodGet, path, "", auth...) // it is cut off
					free(path)
				}
			}
			// What a limit refuses holds no place, and an error of a handler neither.
			for _, path := range []string{"/limited", "/limited", "/error"} {
				c.Get(path, auth...)
				for _, row := range usageOf(t, c, "/gateway/usage/u1") {
					if strings.Contains(row, "concurrency") && !strings.HasSuffix(row, " 1") {
						t.Errorf("after %s: %s", path, row)
					}
				}
			}

			// A client that goes away.
			ctx, cancel := context.WithCancel(t.Context())
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL+"/slow", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", auth[1])
			done := make(chan struct{})
			go func() {
				defer close(done)
				if answer, err := c.Client.Do(r); err == nil {
					_ = answer.Body.Close()
				}
			}()
			<-entered
			wantStatus429(t, c.Get("/free", auth...).Status)
			cancel()
			<-done
			free("a client that went away")

			// A connection that changes its protocol holds its place until it ends.
			conn, err := net.Dial("tcp", strings.TrimPrefix(c.URL, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			fmt.Fprintf(conn, "GET /upgrade HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", auth[1])
			reader := bufio.NewReader(conn)
			answer, err := http.ReadResponse(reader, nil)
			if err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
				t.Fatalf("got %v, %v", answer, err)
			}
			wantStatus429(t, c.Get("/free", auth...).Status)
			fmt.Fprint(conn, "hello\n")
			if line, err := reader.ReadString('\n'); line != "hello\n" {
				t.Errorf("got %q, %v through the connection", line, err)
			}
			_ = conn.Close()
			free("an upgraded connection")
		})
	}
}

func wantStatus429(t *testing.T, got int) {
	t.Helper()
	if got != http.StatusTooManyRequests {
		t.Errorf("got %d while one is under way, want 429", got)
	}
}
