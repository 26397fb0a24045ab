package caddymodule_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

const errorsSite = `
	gateway_errors {
		max_body 64KiB
		rule status 500 contains "QueuePool limit" {
			status 503
			retry_after 7
			detail "Service busy"
		}
		text 405 "That method does not work here"
	}
	header /cors Access-Control-Allow-Origin *
	handle /error {
		error "secret text" 418
	}
	handle /nothing {
		vars x y
	}
	handle /missing/* {
		file_server {
			root $DIR
		}
	}
	handle /down {
		reverse_proxy 127.0.0.1:1
	}
	handle /hang {
		reverse_proxy $UPSTREAM {
			transport http {
				response_header_timeout 200ms
			}
		}
	}
	handle /up* {
		reverse_proxy $UPSTREAM
	}`

func TestErrorsOfHandlers(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions(""), errorsSite, "$UPSTREAM", up.addr())
	for _, tc := range []struct {
		path   string
		status int
		text   string
	}{
		{"/error", 418, "I'm a teapot"},
		{"/nothing", 404, "Not found"},
		{"/no/such/route", 404, "Not found"},
		{"/missing/file", 404, "Not found"},
		{"/down", 502, "Bad gateway"},
	} {
		t.Run(tc.path, func(t *testing.T) {
			got := c.Get(tc.path)
			wantError(t, got, tc.status, tc.text)
			if strings.Contains(got.Body, "secret") || strings.Contains(got.Body, "127.0.0.1") {
				t.Errorf("the error's own text leaks: %s", got.Body)
			}
		})
	}
	t.Run("upstream hangs", func(t *testing.T) {
		release := make(chan struct{})
		up.answer(func(http.ResponseWriter, *http.Request) { <-release })
		defer close(release)
		wantError(t, c.Get("/hang"), http.StatusGatewayTimeout, "Gateway timeout")
	})
	t.Run("HEAD has the headers and no body", func(t *testing.T) {
		get, head := c.Get("/no/such/route"), c.Do(http.MethodHead, "/no/such/route", "")
		if head.Status != 404 || head.Body != "" || head.Header.Get("Content-Type") != "application/json" ||
			head.Header.Get("Content-Length") != strconv.Itoa(len(get.Body)) {
			t.Errorf("got %d %v %q", head.Status, head.Header, head.Body)
		}
	})
	t.Run("problem+json for who asks", func(t *testing.T) {
		got := c.Get("/no/such/route", "Accept", "application/problem+json")
		var p map[string]any
		if err := json.Unmarshal([]byte(got.Body), &p); err != nil {
			t.Fatal(err)
		}
		if got.Header.Get("Content-Type") != "application/problem+json" || p["status"] != 404.0 || p["detail"] != "Not found" ||
			p["instance"] != got.Header.Get("X-Request-Id") {
			t.Errorf("got %s %v", got.Header.Get("Content-Type"), p)
		}
	})
	t.Run("CORS headers of the site are on refusals", func(t *testing.T) {
		if got := c.Get("/cors"); got.Status != 404 || got.Header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("got %d %v", got.Status, got.Header)
		}
	})
}

func TestErrorsOfUpstreams(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions(""), errorsSite, "$UPSTREAM", up.addr())
	for _, tc := range []struct {
		name, contentType, body string
		status                  int
		wantStatus              int
		want                    any // the detail; nil: the body as it was
	}{
		{"FastAPI 422", "application/json", `{"detail":[{"loc":["body","a",0],"msg":"m","type":"t","ctx":{"x":1}}],  "more":1}`, 422, 422, nil},
		{"FastAPI 404", "application/json", `{"detail":"Item not found"}`, 404, 404, nil},
		{"DRF", "application/json", `{"email":["Enter a valid email address."]}`, 400, 400, []any{
			map[string]any{"loc": []any{"email"}, "msg": "Enter a valid email address.", "type": "value_error"},
		}},
		{"Express", "application/json", `{"error":"Cart is empty"}`, 409, 409, "Cart is empty"},
		{"Spring", "application/json", `{"timestamp":"2026-01-01T00:00:00Z","status":404,"error":"Not Found","message":"No order 7","path":"/orders/7"}`, 404, 404, "No order 7"},
		{"problem+json", "application/problem+json", `{"type":"about:blank","title":"Out of credit","status":403,"detail":"Your balance is 30"}`, 403, 403, nil},
		{"JSON that calls itself text", "text/plain", `{"detail":"Gone"}`, 410, 410, nil},
		{"plain text", "text/plain", "No such order\n", 404, 404, "No such order"},
		{"HTML", "text/html", "<html><head><title>403 Forbidden</title></head><body><h1>Only members may enter</h1></body></html>", 403, 403, "Only members may enter"},
		{"HTML 500 with a trace", "text/html", "<pre>Traceback (most recent call last):\n File \"/srv/app.py\", line 1</pre>", 500, 500, "Internal server error"},
		{"500 text", "text/plain", "dial tcp 10.0.0.5:5432: connection refused", 500, 500, "Internal server error"},
		{"FastAPI 500 that leaks", "application/json", `{"detail":"psycopg2.OperationalError: could not connect to server at 10.0.0.5:5432"}`, 500, 500, "Internal server error"},
		{"empty", "text/plain", "", 409, 409, "Conflict"},
		{"garbage", "application/json", "{{{{\x00\xff", 400, 400, "Bad Request"},
		{"rule", "application/json", `{"detail":"QueuePool limit of size 20 overflow 10 reached"}`, 500, 503, "Service busy"},
		{"configured text", "text/html", "", 405, 405, "That method does not work here"},
		{"too large", "text/plain", strings.Repeat("x", 70<<10), 400, 400, "Bad Request"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			up.answer(func(w http.ResponseWriter, _ *http.Request) {
				h := w.Header()
				h.Set("Content-Type", tc.contentType)
				h.Set("ETag", `"x"`)
				h.Set("X-Request-Id", "theirs")
				h.Set("Set-Cookie", "a=b")
				h.Set("Access-Control-Allow-Origin", "*")
				w.WriteHeader(tc.status)
				fmt.Fprint(w, tc.body)
			})
			got := c.Get("/up")
			if got.Status != tc.wantStatus {
				t.Errorf("got %d %s, want %d", got.Status, got.Body, tc.wantStatus)
			}
			if ids := got.Header.Values("X-Request-Id"); len(ids) != 1 || ids[0] == "theirs" {
				t.Errorf("got request ids %q, want one of ours", ids)
			}
			if got.Header.Get("Set-Cookie") == "" || got.Header.Get("Access-Control-Allow-Origin") == "" {
				t.Error("Set-Cookie or CORS headers are lost")
			}
			if tc.want == nil && (got.Body != tc.body || got.Header.Get("ETag") == "") {
				t.Errorf("got %q, want the body byte for byte", got.Body)
			}
			if got.Header.Get("Content-Type") != "application/json" {
				t.Errorf("got Content-Type %q", got.Header.Get("Content-Type"))
			}
			if want := tc.want; want != nil {
				if encoded, wanted := mustJSON(t, detail(t, got.Body)), mustJSON(t, want); encoded != wanted {
					t.Errorf("got detail %s, want %s", encoded, wanted)
				}
				if got.Header.Get("ETag") != "" {
					t.Error("the ETag of the old body is left")
				}
			}
			if tc.wantStatus == 503 && got.Header.Get("Retry-After") != "7" {
				t.Errorf("got Retry-After %q, want 7", got.Header.Get("Retry-After"))
			}
		})
	}
	t.Run("FastAPI for who asks for problem+json", func(t *testing.T) {
		up.answerWith(http.StatusConflict, "application/json", `{"detail":"Taken"}`)
		got := c.Get("/up", "Accept", "application/problem+json")
		if got.Header.Get("Content-Type") != "application/problem+json" || !strings.Contains(got.Body, `"status":409,"detail":"Taken"`) {
			t.Errorf("got %s %s", got.Header.Get("Content-Type"), got.Body)
		}
	})
	t.Run("HEAD", func(t *testing.T) {
		// How long the answer to a GET would be is not known: see TestErrorsOfHEAD.
		for _, contentType := range []string{"text/html", "application/json"} {
			up.answer(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", contentType)
				w.Header().Set("Content-Length", "17")
				w.WriteHeader(http.StatusConflict)
			})
			got := c.Do(http.MethodHead, "/up", "")
			if got.Status != 409 || got.Header.Get("Content-Type") != "application/json" || got.Header.Get("Content-Length") != "" {
				t.Errorf("%s: got %d %v", contentType, got.Status, got.Header)
			}
		}
	})
	t.Run("Retry-After becomes whole seconds", func(t *testing.T) {
		up.answer(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Retry-After", "2.2")
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, `{"detail":"Busy"}`)
		})
		if got := c.Get("/up"); got.Header.Get("Retry-After") != "3" {
			t.Errorf("got Retry-After %q, want 3", got.Header.Get("Retry-After"))
		}
	})
	t.Run("gzip", func(t *testing.T) {
		up.answer(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Encoding", "gzip")
			w.WriteHeader(http.StatusConflict)
			z := gzip.NewWriter(w)
			fmt.Fprint(z, `{"message":"Taken"}`)
			_ = z.Close()
		})
		got := c.Get("/up", "Accept-Encoding", "gzip")
		wantError(t, got, http.StatusConflict, "Taken")
		if got.Header.Get("Content-Encoding") != "" {
			t.Error("Content-Encoding is left")
		}
	})
	t.Run("closes in the middle of an error body", func(t *testing.T) {
		up.answer(func(w http.ResponseWriter, _ *http.Request) {
			conn, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(err)
			}
			fmt.Fprint(rw, "HTTP/1.1 500 X\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"detail\":")
			_ = rw.Flush()
			_ = conn.Close()
		})
		wantError(t, c.Get("/up"), http.StatusInternalServerError, "Internal server error")
	})
	t.Run("closes before any header", func(t *testing.T) {
		up.answer(func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(err)
			}
			_ = conn.Close()
		})
		wantError(t, c.Get("/up"), http.StatusBadGateway, "Bad gateway")
	})
	t.Run("answers no HTTP", func(t *testing.T) {
		up.answer(func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(err)
			}
			fmt.Fprint(conn, "SSH-2.0-OpenSSH\r\n\r\n")
			_ = conn.Close()
		})
		wantError(t, c.Get("/up"), http.StatusBadGateway, "Bad gateway")
	})
}

func TestErrorsInHandleErrors(t *testing.T) {
	c := start(t, gatewayOptions(""), `
	gateway_auth /private {
		failures off
	}
	gateway_limit /limited {
		anonymous 1/1h
	}
	error /broken "secret" 500
	reverse_proxy /down 127.0.0.1:1
	respond /limited ok
	handle_errors {
		gateway_errors
	}`)
	wantError(t, c.Get("/down"), http.StatusBadGateway, "Bad gateway")
	wantError(t, c.Get("/broken"), http.StatusInternalServerError, "Internal server error")
	denied := c.Get("/private")
	wantError(t, denied, http.StatusUnauthorized, "Could not validate credentials")
	if denied.Header.Get("WWW-Authenticate") != `Bearer realm="api"` {
		t.Errorf("got challenge %q", denied.Header.Get("WWW-Authenticate"))
	}
	if got := c.Get("/limited"); got.Status != 200 {
		t.Errorf("got %d", got.Status)
	}
	limited := c.Get("/limited")
	wantLimited(t, limited)
	if values := limited.Header.Values("RateLimit"); len(values) != 1 {
		t.Errorf("got RateLimit %q, want one", values)
	}
}

func TestErrorsFormats(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions(""), `
	gateway_errors
	handle /problem {
		gateway_errors {
			format problem
		}
		reverse_proxy $UPSTREAM
	}
	handle /custom {
		gateway_errors {
			format custom `+"`"+`{"ok":false,"error":{"status":"{problem.status}","text":"{problem.detail}","id":"{problem.request_id}"}}`+"`"+`
		}
		reverse_proxy $UPSTREAM
	}
	handle /show {
		gateway_errors {
			server_messages show
		}
		reverse_proxy $UPSTREAM
	}`, "$UPSTREAM", up.addr())
	up.answerWith(http.StatusConflict, "text/plain", `Say "no"`)
	for path, want := range map[string]string{
		"/problem": `{"type":"about:blank","title":"Conflict","status":409,"detail":"Say \"no\"","instance":"ID"}`,
		"/custom":  `{"ok":false,"error":{"status":409,"text":"Say \"no\"","id":"ID"}}`,
	} {
		got := c.Get(path)
		want = strings.ReplaceAll(want, "ID", got.Header.Get("X-Request-Id"))
		if got.Status != 409 || got.Body != want {
			t.Errorf("%s: got %d %s, want %s", path, got.Status, got.Body, want)
		}
	}
	up.answerWith(http.StatusInternalServerError, "application/json", `{"message":"The printer is on fire"}`)
	wantError(t, c.Get("/show"), http.StatusInternalServerError, "The printer is on fire")
	up.answerWith(http.StatusInternalServerError, "application/json", `{"message":"dial tcp 10.0.0.5:5432: refused"}`)
	wantError(t, c.Get("/show"), http.StatusInternalServerError, "Internal server error")
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	encoded, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(encoded)
}

func TestUntouchedBelow400(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions(""), "gateway_errors\n gateway_auth {\n optional\n }\n gateway_limit {\n anonymous 1000/1m\n }\n reverse_proxy $UPSTREAM {\n flush_interval -1\n }", "$UPSTREAM", up.addr())

	t.Run("bytes and headers", func(t *testing.T) {
		body := bytes.Repeat([]byte{0, 1, 2, 255}, 1<<16)
		up.answer(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("ETag", `"x"`)
			w.Header().Set("Trailer", "X-Sum")
			_, _ = w.Write(body)
			w.Header().Set("X-Sum", "7")
		})
		got := c.Get("/")
		if got.Body != string(body) || got.Header.Get("ETag") == "" {
			t.Error("the response was changed")
		}
	})
	t.Run("server-sent events are not held back", func(t *testing.T) {
		next := make(chan struct{})
		up.answer(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			for range 3 {
				fmt.Fprint(w, "data: x\n\n")
				_ = http.NewResponseController(w).Flush()
				<-next
			}
		})
		answer, err := c.Client.Get(c.URL + "/")
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		events := bufio.NewReader(answer.Body)
		for range 3 {
			// Each event must come before the upstream may send the next.
			if line, err := events.ReadString('\n'); err != nil || line != "data: x\n" {
				t.Fatalf("got %q %v", line, err)
			}
			_, _ = events.ReadString('\n')
			next <- struct{}{}
		}
	})
	t.Run("early hints", func(t *testing.T) {
		up.answer(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", "</a.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, "gone")
		})
		wantError(t, c.Get("/"), http.StatusNotFound, "gone")
	})
	t.Run("upgrade", func(t *testing.T) {
		up.answer(func(w http.ResponseWriter, r *http.Request) {
			conn, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(err)
			}
			defer conn.Close()
			fmt.Fprint(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
			_ = rw.Flush()
			line, _ := rw.ReadString('\n')
			fmt.Fprint(rw, "echo "+line)
			_ = rw.Flush()
		})
		conn, err := net.Dial("tcp", strings.TrimPrefix(c.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		reader := bufio.NewReader(conn)
		answer, err := http.ReadResponse(reader, nil)
		if err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("got %v %v", answer, err)
		}
		fmt.Fprint(conn, "hello\n")
		if line, err := reader.ReadString('\n'); err != nil || line != "echo hello\n" {
			t.Errorf("got %q %v", line, err)
		}
	})
	t.Run("broken off in the middle stays broken off", func(t *testing.T) {
		up.answer(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, "half")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		})
		answer, err := c.Client.Get(c.URL + "/")
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		if _, err := io.ReadAll(answer.Body); err == nil {
			t.Error("a cut body was passed off as whole")
		}
	})
}
