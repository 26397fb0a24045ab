package caddymodule_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ainative/portcullis/caddymodule/internal/caddyharness"
)

const (
	corsPage  = "https://app.example.com"
	otherPage = "https://evil.example.net"
)

// wantReadable checks that a page of corsPage can read a response, and that it is
// told apart by caches.
func wantReadable(t testing.TB, what string, got caddyharness.Response) {
	t.Helper()
	for name, want := range map[string]string{"Access-Control-Allow-Origin": corsPage, "Access-Control-Allow-Credentials": ""} {
		if values := got.Header.Values(name); strings.Join(values, "|") != want {
			t.Errorf("%s: %s is %q, want %q", what, name, values, want)
		}
	}
	exposed := got.Header.Get("Access-Control-Expose-Headers")
	for _, name := range []string{"Retry-After", "RateLimit", "RateLimit-Policy", "X-RateLimit-Remaining", "X-Request-Id", "WWW-Authenticate"} {
		if !strings.Contains(exposed, name) {
			t.Errorf("%s: exposed are %q, want %s among them", what, exposed, name)
		}
	}
	wantVary(t, what, got)
}

// wantUnreadable checks that a response has no CORS header.
func wantUnreadable(t testing.TB, what string, got caddyharness.Response) {
	t.Helper()
	for name := range got.Header {
		if strings.HasPrefix(name, "Access-Control-") {
			t.Errorf("%s: has %s %q", what, name, got.Header[name])
		}
	}
	wantVary(t, what, got)
}

func wantVary(t testing.TB, what string, got caddyharness.Response) {
	t.Helper()
	seen := map[string]int{}
	for _, line := range got.Header["Vary"] {
		for name := range strings.SplitSeq(line, ",") {
			seen[strings.ToLower(strings.TrimSpace(name))]++
		}
	}
	if seen["origin"] != 1 {
		t.Errorf("%s: Vary is %q, want Origin in it once", what, got.Header["Vary"])
	}
}

// corsUpstream answers by path, and says of CORS what the gateway does not.
func corsUpstream(t testing.TB) *upstream {
	t.Helper()
	up := newUpstream(t)
	up.answer(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Add("Access-Control-Allow-Origin", "*")
		h.Add("Access-Control-Allow-Credentials", "true")
		h.Add("Access-Control-Expose-Headers", "X-Of-Upstream")
		h.Add("Access-Control-Max-Age", "86400")
		h.Add("Vary", "Accept-Encoding, Origin")
		h.Add("Vary", "Origin")
		h.Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/422":
			w.WriteHeader(http.StatusUnprocessableEntity)
		case "/500":
			w.WriteHeader(http.StatusInternalServerError)
		case "/hint":
			w.WriteHeader(http.StatusEarlyHints)
		case "/break":
			panic(http.ErrAbortHandler)
		}
		_, _ = w.Write([]byte(`{"detail":"said by the upstream"}`))
	})
	return up
}

// corsGateway is one gateway of the tables below.
type corsGateway struct {
	name, site string
}

var corsGateways = []corsGateway{
	{"with gateway_errors", "gateway_errors\n gateway_cors " + corsPage + "\n $REST"},
	{"without gateway_errors", "gateway_cors " + corsPage + "\n $REST"},
	{"in handle", "gateway_errors\n handle {\n gateway_cors " + corsPage + "\n $REST\n }"},
	{"in handle without gateway_errors", "handle {\n gateway_cors " + corsPage + "\n $REST\n }"},
	{"in route", "route {\n gateway_errors\n gateway_cors " + corsPage + "\n $REST\n }"},
	{"outside gateway_errors in route", "route {\n gateway_cors " + corsPage + "\n gateway_errors\n $REST\n }"},
	{"with handle_errors", "gateway_cors " + corsPage + "\n $REST\n handle_errors {\n respond \"{err.status_code}\"\n }"},
	{"with a proxy in handle_errors", "gateway_cors " + corsPage + "\n $REST\n handle_errors {\n rewrite /of-errors\n gateway_cors " + corsPage + "\n reverse_proxy $UPSTREAM\n }"},
	{"with the fast proxy", "gateway_errors\n gateway_cors " + corsPage + "\n $FAST"},
	{"with encode", "encode\n gateway_errors\n gateway_cors " + corsPage + "\n $REST"},
	{"with header", "header Access-Control-Allow-Origin *\n header Vary Accept\n gateway_errors\n gateway_cors " + corsPage + "\n $REST"},
}

const corsRest = `
	request_body {
		max_size 10
	}
	@private not path /open/*
	gateway_auth @private {
		failures 1/1h
	}
	@admin path /admin
	gateway_roles @admin ADMIN
	@limited path /limited
	gateway_limit @limited {
		limit 1/1h
		by ip
	}
	handle /nowhere {
	}
	handle /down {
		reverse_proxy 127.0.0.1:1
	}
	handle /error {
		error 503
	}
	handle /silent {
		respond 204
	}
	handle {
		$PROXY $UPSTREAM
	}`

func startCORS(t *testing.T, g corsGateway, up *upstream) *caddyharness.Caddy {
	t.Helper()
	site := strings.NewReplacer("$REST", strings.ReplaceAll(corsRest, "$PROXY", "reverse_proxy"),
		"$FAST", strings.ReplaceAll(corsRest, "$PROXY", "gateway_proxy")).Replace(g.site)
	return start(t, gatewayOptions(""), site, "$UPSTREAM", up.addr())
}

// Every answer can be read by an allowed page and by no other, and every one says what
// it depends on: those of the upstream, of the gateway, of the guard and of Caddy.
func TestCORSOnEveryAnswer(t *testing.T) {
	up := corsUpstream(t)
	for _, g := range corsGateways {
		t.Run(g.name, func(t *testing.T) {
			c := startCORS(t, g, up)
			token := bearer(t)
			proxied := strings.Contains(g.name, "proxy in handle_errors")
			for _, tc := range []struct {
				method, path, token, body string
				status                    int
			}{
				{"GET", "/ok", token, "", 200},
				{"HEAD", "/ok", token, "", 200},
				{"DELETE", "/ok", token, "", 200},
				{"GET", "/silent", token, "", 204},
				{"GET", "/hint", token, "", 200},
				{"GET", "/422", token, "", 422},
				{"GET", "/500", token, "", 500},
				{"GET", "/a%2fb", token, "", 400},
				{"GET", "/ok", "", "", 401},
				{"GET", "/admin", token, "", 403},
				{"POST", "/ok", token, strings.Repeat("x", 100), 413},
				{"GET", "/limited", token, "", 200},
				{"GET", "/limited", token, "", 429},
				{"GET", "/down", token, "", 502},
				{"GET", "/break", token, "", 502},
				{"GET", "/error", token, "", 503},
				{"GET", "/nowhere", token, "", 404},
				{"OPTIONS", "/ok", "", "", 401},
				{"OPTIONS", "/ok", token, "", 200},
			} {
				what := tc.method + " " + tc.path
				send := func(page string) caddyharness.Response {
					var headers []string
					if tc.token != "" {
						headers = append(headers, "Authorization", tc.token)
					}
					if page != "" {
						headers = append(headers, "Origin", page)
					}
					return c.Do(tc.method, tc.path, tc.body, headers...)
				}
				got := send(corsPage)
				if got.Status != tc.status && !proxied {
					t.Errorf("%s: got %d %s, want %d", what, got.Status, got.Body, tc.status)
				}
				wantReadable(t, what, got)
				if strings.Contains(g.name, "proxy in") {
					continue
				}
				if tc.path == "/limited" && tc.status == 200 {
					continue
				}
				wantUnreadable(t, what+" of another page", send(otherPage))
				wantUnreadable(t, what+" of null", send("null"))
				wantUnreadable(t, what+" of no page", send(""))
			}
		})
	}
}

// A preflight is answered before anything else is asked: it has no credential, counts for
// no limit and is no failed attempt.
func TestPreflightComesFirst(t *testing.T) {
	up := corsUpstream(t)
	for _, g := range corsGateways {
		t.Run(g.name, func(t *testing.T) {
			c := startCORS(t, g, up)
			up.forget()
			ask := func(path, page, method, headers string) caddyharness.Response {
				return c.Do("OPTIONS", path, "", "Origin", page, "Access-Control-Request-Method", method, "Access-Control-Request-Headers", headers)
			}
			for range 3 {
				for _, path := range []string{"/ok", "/limited", "/admin", "/nowhere", "/a%2fb"} {
					got := ask(path, corsPage, "DELETE", "authorization,x-api-key")
					if got.Status != 204 || got.Body != "" || got.Header.Get("Access-Control-Allow-Methods") != "DELETE" ||
						got.Header.Get("Access-Control-Allow-Headers") != "authorization,x-api-key" || got.Header.Get("Access-Control-Max-Age") != "600" ||
						got.Header.Get("Access-Control-Allow-Origin") != corsPage {
						t.Errorf("%s: got %d %s %v", path, got.Status, got.Body, got.Header)
					}
					if got.Header.Get("X-Request-Id") == "" {
						t.Errorf("%s: no X-Request-Id", path)
					}
					wantVary(t, path, got)
					for what, refused := range map[string]caddyharness.Response{
						"another page":   ask(path, otherPage, "GET", ""),
						"null":           ask(path, "null", "GET", ""),
						"another method": ask(path, corsPage, "TRACE", ""),
						"another header": ask(path, corsPage, "GET", "x-evil"),
					} {
						if refused.Status != 403 && !strings.Contains(g.name, "proxy in") {
							t.Errorf("%s of %s: got %d %s", path, what, refused.Status, refused.Body)
						}
						wantUnreadable(t, path+" of "+what, refused)
					}
				}
			}
			if n := up.count(); n != 0 && !strings.Contains(g.name, "proxy in") {
				t.Errorf("%d preflights came to the upstream", n)
			}
			// A limit of one, and one failed attempt, are there still.
			if got := c.Get("/limited", "Authorization", bearer(t)); got.Status != 200 {
				t.Errorf("after preflights: got %d %s", got.Status, got.Body)
			}
			if got := c.Get("/ok", "Authorization", "Bearer x"); got.Status != 401 && !strings.Contains(g.name, "proxy in") {
				t.Errorf("after preflights: got %d %s", got.Status, got.Body)
			}
		})
	}
}

// A preflight with a body is answered, and the next request on the connection is read
// from where the body ends.
func TestPreflightWithABody(t *testing.T) {
	c := startCORS(t, corsGateways[0], corsUpstream(t))
	for name, body := range map[string]string{
		"with a length": "Content-Length: 29\n\nGET /ok HTTP/1.1\nHost: x\n\n",
		"in chunks":     "Transfer-Encoding: chunked\n\n3\nabc\n0\n\n",
		"that waits":    "Content-Length: 3\nExpect: 100-continue\n\n",
	} {
		s := dial(t, c)
		s.send("OPTIONS /ok HTTP/1.1\nHost: 127.0.0.1\nOrigin: " + corsPage + "\nAccess-Control-Request-Method: POST\n" + body)
		got := s.read()
		if got == nil || got.StatusCode != http.StatusNoContent || got.Header.Get("Access-Control-Allow-Origin") != corsPage {
			t.Fatalf("%s: got %v", name, got)
		}
		if name == "that waits" {
			if !got.Close {
				t.Errorf("%s: the connection stays open", name)
			}
			continue
		}
		s.send("GET /ok HTTP/1.1\nHost: 127.0.0.1\nOrigin: " + corsPage + "\n\n")
		if next := s.read(); next == nil || next.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: the next request got %v", name, next)
		}
	}
}

// Two Origin lines are no origin, though the first is allowed.
func TestTwoOrigins(t *testing.T) {
	c := startCORS(t, corsGateways[0], corsUpstream(t))
	for _, ask := range []string{"", "Access-Control-Request-Method: GET\n"} {
		s := dial(t, c)
		s.send("OPTIONS /ok HTTP/1.1\nHost: 127.0.0.1\nOrigin: " + corsPage + "\nOrigin: " + otherPage + "\n" + ask + "\n")
		got := s.read()
		if got == nil || got.StatusCode == http.StatusNoContent {
			t.Fatalf("got %v", got)
		}
		wantUnreadable(t, "two origins", caddyharness.Response{Status: got.StatusCode, Header: got.Header})
	}
}

// Sites, routes and reloads each have the policy that is written there.
func TestCORSBySiteRouteAndReload(t *testing.T) {
	up := corsUpstream(t)
	text := func(second string) string {
		return caddyharness.Options("gateway {\n store sqlite $DIR/gateway.db\n pepper {env.TEST_PEPPER}\n issuer main {\n secret {env.TEST_SECRET}\n }\n }") + `
	http://one.localhost:$PORT {
		gateway_errors
		gateway_cors https://one.example
		gateway_auth
		reverse_proxy $UPSTREAM
	}
	http://two.localhost:$PORT {
		gateway_errors
		gateway_cors /public/* * {
			methods GET
		}
		gateway_cors ` + second + ` {
			credentials
		}
		handle /plain/* {
			reverse_proxy $UPSTREAM
		}
		handle {
			gateway_auth
			reverse_proxy $UPSTREAM
		}
	}
	http://three.localhost:$PORT {
		gateway_errors
		handle /a/* {
			gateway_cors https://a.example
			gateway_auth
			respond ok
		}
		handle /b/* {
			gateway_cors https://b.example
			respond ok
		}
		respond ok
	}
	`
	}
	c := startText(t, text("https://two.example"), "$UPSTREAM", up.addr())
	check := func(url, page, want string) {
		t.Helper()
		host, path, _ := strings.Cut(url, "/")
		s := dial(t, c)
		s.send("GET /" + path + " HTTP/1.1\nHost: " + host + "\nOrigin: " + page + "\n\n")
		got := s.read()
		if got == nil {
			t.Fatalf("%s of %s: no answer", url, page)
		}
		if origin := strings.Join(got.Header.Values("Access-Control-Allow-Origin"), "|"); origin != want {
			t.Errorf("%s of %s: got %q, want %q", url, page, origin, want)
		}
	}
	check("one.localhost/x", "https://one.example", "https://one.example")
	check("one.localhost/a%2fb", "https://one.example", "https://one.example")
	check("one.localhost/x", "https://two.example", "")
	check("one.localhost/a%2fb", "https://two.example", "")
	check("two.localhost/x", "https://two.example", "https://two.example")
	check("two.localhost/x", "https://one.example", "")
	check("two.localhost/plain/x", "https://two.example", "https://two.example")
	check("two.localhost/public/x", "https://one.example", "*")
	check("two.localhost/public/x", "null", "")
	check("three.localhost/a/x", "https://a.example", "https://a.example")
	check("three.localhost/a/x", "https://b.example", "")
	check("three.localhost/b/x", "https://b.example", "https://b.example")
	check("three.localhost/x", "https://a.example", "")
	check("three.localhost/a/%2e%2e%2fx", "https://b.example", "https://b.example")
	if err := c.Reload(text("https://three.example")); err != nil {
		t.Fatal(err)
	}
	check("two.localhost/x", "https://two.example", "")
	check("two.localhost/x", "https://three.example", "https://three.example")
	if err := c.Reload(text("* *")); err == nil || !strings.Contains(err.Error(), "name the origins") {
		t.Errorf("everybody with credentials: %v", err)
	}
	check("two.localhost/x", "https://three.example", "https://three.example")
}

// A refused preflight is explained, and what a page may not read is told too.
func TestExplainCORS(t *testing.T) {
	c := start(t, gatewayOptions(""), "gateway_errors\n gateway_cors "+corsPage+" {\n origin_regexp https://b[0-9]\\.example\n methods GET\n headers Authorization\n }\n gateway_auth\n respond ok")
	for _, tc := range []struct {
		method  string
		headers []string
		status  int
		want    []string
	}{
		{"OPTIONS", []string{"Origin", otherPage, "Access-Control-Request-Method", "GET"}, 403, []string{"by gateway_cors", "origin_not_allowed", "Found:   origin " + otherPage, `Wanted:  one of ` + corsPage + `, expression https://b[0-9]\.example`}},
		{"OPTIONS", []string{"Origin", corsPage, "Access-Control-Request-Method", "PUT"}, 403, []string{"cors_method_not_allowed", "Found:   method PUT", "Wanted:  one of GET"}},
		{"OPTIONS", []string{"Origin", corsPage, "Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "x-a"}, 403, []string{"cors_header_not_allowed", "Found:   headers x-a", "Wanted:  any of Authorization"}},
		{"GET", []string{"Origin", otherPage}, 401, []string{"1. gateway_cors: passed; found origin " + otherPage + ", which may not read the response", "2. gateway_auth: refused"}},
		{"GET", []string{"Origin", corsPage}, 401, []string{"1. gateway_cors: passed; found origin " + corsPage}},
	} {
		got := c.Do(tc.method, "/x", "", tc.headers...)
		if got.Status != tc.status {
			t.Errorf("%v: got %d %s", tc.headers, got.Status, got.Body)
		}
		if tc.status == 403 {
			wantError(t, got, 403, "Insufficient permissions")
		}
		out, errOut, err := command(t, "gateway", "--address", c.Admin, "explain", got.Header.Get("X-Request-Id"))
		if err != nil {
			t.Fatalf("%v %s", err, errOut)
		}
		for _, want := range tc.want {
			if !strings.Contains(out, want) {
				t.Errorf("explain says\n%s\nwant %q in it", out, want)
			}
		}
	}
}

// A dry run goes past it: nobody's page has asked.
func TestCheckPassesCORS(t *testing.T) {
	c := start(t, gatewayOptions(""), "gateway_errors\n gateway_cors "+corsPage+"\n gateway_auth\n respond ok")
	out, errOut, err := command(t, "gateway", "--address", c.Admin, "check", "--token", strings.TrimPrefix(bearer(t), "Bearer "), "GET", c.URL+"/x")
	if err != nil || !strings.Contains(out, "gateway_auth: passed") || strings.Contains(out, "gateway_cors") {
		t.Errorf("got %v %s\n%s", err, errOut, out)
	}
}

// Streams of events pass as they come, with the headers.
func TestCORSOnAStream(t *testing.T) {
	up := newUpstream(t)
	more := make(chan struct{})
	up.answer(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = w.Write([]byte("data: 1\n\n"))
		_ = http.NewResponseController(w).Flush()
		<-more
	})
	c := start(t, gatewayOptions(""), "gateway_cors "+corsPage+"\n reverse_proxy $UPSTREAM", "$UPSTREAM", up.addr())
	s := dial(t, c)
	s.send("GET /events HTTP/1.1\nHost: 127.0.0.1\nOrigin: " + corsPage + "\n\n")
	got, err := http.ReadResponse(s.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = got.Body.Close() }()
	event := make([]byte, 9)
	if _, err := got.Body.Read(event); err != nil || string(event) != "data: 1\n\n" {
		t.Errorf("got %q, %v before the stream ends", event, err)
	}
	close(more)
	wantReadable(t, "a stream", caddyharness.Response{Header: got.Header})
	_ = s.conn.SetDeadline(time.Time{})
}

// What the example has in a comment works when it is taken out of it.
func TestExampleWithCORS(t *testing.T) {
	const line = "#\tgateway_cors " + corsPage
	if !strings.Contains(read(t, "../Caddyfile.example"), line) {
		t.Fatalf("the example has no %q", line)
	}
	c, url := startExampleWith(t, line, line[2:])
	got := c.Do("OPTIONS", url+"/v1/items", "", "Origin", corsPage, "Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "authorization")
	if got.Status != 204 || got.Header.Get("Access-Control-Allow-Origin") != corsPage {
		t.Errorf("a preflight: got %d %v", got.Status, got.Header)
	}
	got = c.Get(url+"/v1/items", "Origin", corsPage)
	wantError(t, got, 401, "Could not validate credentials")
	wantReadable(t, "a refusal", got)
}
