package caddymodule_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ainative/portcullis/caddymodule/internal/caddyharness"
)

// session is a connection to the gateway on which raw text is sent.
type session struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
}

func dial(t testing.TB, c *caddyharness.Caddy) *session {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(c.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &session{t, conn, bufio.NewReader(conn)}
}

// send sends raw text; a line feed in it stands for CR LF.
func (s *session) send(text string) {
	s.t.Helper()
	if _, err := io.WriteString(s.conn, strings.ReplaceAll(text, "\n", "\r\n")); err != nil {
		s.t.Logf("sending: %v", err)
	}
}

// read reads one response, nil when the connection was closed instead.
func (s *session) read() *http.Response {
	s.t.Helper()
	response, err := http.ReadResponse(s.in, nil)
	if err != nil {
		s.t.Logf("reading a response: %v", err)
		return nil
	}
	_, _ = io.Copy(io.Discard, response.Body)
	return response
}

// ask sends one request and returns the status of its answer, 0 for none.
func ask(t testing.TB, c *caddyharness.Caddy, text string) int {
	t.Helper()
	s := dial(t, c)
	s.send(text)
	response := s.read()
	if response == nil {
		return 0
	}
	return response.StatusCode
}

// taught is the pattern that the example teaches.
const taught = `
	gateway_errors
	@private not path /healthz
	gateway_auth @private
	@admin path /v1/admin /v1/admin/*
	gateway_roles @admin ADMIN
	@own path_regexp user (?i)^/v1/users/([^/]+)
	gateway_roles @own {
		owner {re.user.1}
	}
	gateway_limit @private
	reverse_proxy $UPSTREAM`

func TestNoPathIsReadInTwoWays(t *testing.T) {
	up := newUpstream(t)
	sites := map[string]string{
		"the taught pattern":              taught,
		"a route of the site has nothing": "handle /public/* {\n reverse_proxy $UPSTREAM\n }\n handle /v1/* {\n gateway_auth\n reverse_proxy $UPSTREAM\n }\n handle {\n reverse_proxy $UPSTREAM\n }",
		"a limit alone":                   "gateway_limit {\n limit 1000/1m\n }\n reverse_proxy $UPSTREAM",
		"in a named route":                "invoke shared",
		"in the routes of an upstream":    "reverse_proxy $UPSTREAM {\n @bad status 418\n handle_response @bad {\n gateway_errors\n respond 418\n }\n }",
	}
	token := bearer(t)
	for name, site := range sites {
		t.Run(name, func(t *testing.T) {
			named := ""
			if strings.Contains(site, "invoke") {
				named = "&(shared) {\n gateway_auth {\n optional\n }\n reverse_proxy $UPSTREAM\n }\n"
			}
			c := startText(t, gatewayOptions(roomy)+named+"http://127.0.0.1:$PORT {\n"+site+"\n}\n", "$UPSTREAM", up.addr())
			for _, target := range []string{
				"/v1/admin/../../healthz", "/v1/admin/users/..%2f..%2f..%2fhealthz", "/healthz/../v1/admin", "/healthz/%2e%2e/v1/admin",
				"/v1/admin;x=1/users", "/v1;x/admin/users", "/v1/users;x/u2", "/public/..;/v1/admin", "/v1%5cadmin", `/v1\admin`, "/v1/admin%00",
				"/v1/%2561dmin", "/v1/admin%252f%25", "/v1/admin.", "/v1/admin%20", "//v1/admin", "/v1//admin", "/v1%2fadmin", "*",
			} {
				for _, method := range []string{"GET", "POST", "OPTIONS"} {
					up.forget()
					got := ask(t, c, method+" "+target+" HTTP/1.1\nHost: 127.0.0.1\nAuthorization: "+token+"\nContent-Length: 0\n\n")
					// net/http answers OPTIONS * itself.
					if up.count() != 0 || got != http.StatusBadRequest && (method != "OPTIONS" || target != "*") {
						t.Errorf("%s %s: got %d, and %d requests upstream", method, target, got, up.count())
					}
				}
			}
			up.forget()
			for _, text := range []string{"CONNECT 127.0.0.1:80 HTTP/1.1\nHost: 127.0.0.1:80\n\n", "CONNECT /v1/x HTTP/1.1\nHost: 127.0.0.1\n\n", "delete /v1/x HTTP/1.1\nHost: 127.0.0.1\nAuthorization: " + token + "\n\n"} {
				if got := ask(t, c, text); got != http.StatusBadRequest || up.count() != 0 {
					t.Errorf("%q: got %d, and %d requests upstream", text, got, up.count())
				}
			}
		})
	}
}

// A matcher for every path has the empty one too.
func TestEmptyPathIsMatched(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions(""), "gateway_errors\n gateway_auth /*\n reverse_proxy $UPSTREAM", "$UPSTREAM", up.addr())
	for _, text := range []string{"POST http://127.0.0.1 HTTP/1.1\nHost: 127.0.0.1\nContent-Length: 0\n\n", "GET http://127.0.0.1?x=1 HTTP/1.1\nHost: 127.0.0.1\n\n"} {
		if got := ask(t, c, text); got != http.StatusUnauthorized || up.count() != 0 {
			t.Errorf("%q: got %d, and %d requests upstream", text, got, up.count())
		}
	}
}

func TestGuardRefusesInTheSitesFormat(t *testing.T) {
	c := start(t, gatewayOptions(""), "gateway_errors {\n text 400 \"Not so\"\n }\n gateway_auth /x\n respond ok")
	got := c.Get("/a%2fb")
	wantError(t, got, http.StatusBadRequest, "Not so")
	if got.Header.Get("X-Request-Id") == "" {
		t.Error("the refusal has no request id")
	}
	out, errOut, err := command(t, "gateway", "--address", c.Admin, "explain", got.Header.Get("X-Request-Id"))
	if err != nil {
		t.Fatalf("explain: %v %s", err, errOut)
	}
	for _, want := range []string{"gateway_site", "ambiguous_path", "/a%2fb", "allow encoded_slash"} {
		if !strings.Contains(out, want) {
			t.Errorf("explain says %s, want %s in it", out, want)
		}
	}
}

func TestNormalizeForwardsTheCleanedPath(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions(roomy), "gateway_site {\n path_policy normalize\n }\n"+taught, "$UPSTREAM", up.addr())
	for target, want := range map[string]string{
		"/healthz/../v1/admin": "401", "/v1/admin/../../healthz": "/healthz", "/healthz;x=1": "/healthz", "//healthz": "/healthz",
		"/healthz%2f..%2fv1%2fadmin": "401", "/healthz.": "/healthz", "/healthz%00": "400",
	} {
		up.forget()
		status := ask(t, c, "GET "+target+" HTTP/1.1\nHost: 127.0.0.1\n\n")
		got := fmt.Sprint(status)
		if r := up.last(); r != nil {
			got = r.RequestURI
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", target, got, want)
		}
	}
}

// With a form that is allowed, the upstream gets the path as it came, and matchers
// read it as an upstream does that needs the form.
func TestAllowedFormsAreJudgedAsTheUpstreamReadsThem(t *testing.T) {
	up := newUpstream(t)
	site := `
	gateway_site {
		allow encoded_slash path_parameters
	}
	gateway_errors
	gateway_auth
	@delete path /v1/projects/*/delete /v1/admin/*
	gateway_roles @delete ADMIN
	@stripped path /strip/*
	uri @stripped strip_prefix /strip
	reverse_proxy $UPSTREAM`
	c := start(t, gatewayOptions(roomy), site, "$UPSTREAM", up.addr())
	user, admin := bearer(t), bearer(t, "role", "ADMIN")
	for _, tc := range []struct {
		token, target string
		want          int
	}{
		{user, "/v1/projects/a%2Fb", 200},
		{user, "/v1/projects/a%2fb/delete", 403},
		{admin, "/v1/projects/a%2fb/delete", 200},
		{user, "/v1/admin;x=1/users", 403},
		{user, "/v1;x/admin/users", 403},
		{user, "/v1/items;v=2/1?q=%2f", 200},
		{user, "/v1/items/..;/admin/x", 400},
		{user, "/strip/v1/a%2Fb", 400},
		{user, "/strip/v1/a", 200},
	} {
		up.forget()
		got := ask(t, c, "GET "+tc.target+" HTTP/1.1\nHost: 127.0.0.1\nAuthorization: "+tc.token+"\n\n")
		if got != tc.want {
			t.Errorf("%s: got %d, want %d", tc.target, got, tc.want)
		}
		if r := up.last(); tc.want == 200 && (r == nil || r.RequestURI != strings.TrimPrefix(tc.target, "/strip")) {
			t.Errorf("%s: the upstream saw %v", tc.target, r)
		}
	}
}

func TestRewriteWithTextOfTheClientIsJudged(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions(roomy), "gateway_errors\n rewrite /files /files/{query.name}\n gateway_auth\n reverse_proxy $UPSTREAM", "$UPSTREAM", up.addr())
	auth := []string{"Authorization", bearer(t)}
	if got := c.Get("/files?name=a.txt", auth...); got.Status != 200 {
		t.Errorf("a name: got %d", got.Status)
	}
	up.forget()
	if got := c.Get("/files?name=../admin", auth...); got.Status != 400 || up.count() != 0 {
		t.Errorf("a path in place of a name: got %d, and the upstream saw %v", got.Status, up.last())
	}
}

// Identity headers of clients and the headers that override a path reach no
// upstream on any route, with and without a policy.
func TestForgedHeadersReachNoRoute(t *testing.T) {
	up := newUpstream(t)
	site := "handle /public/* {\n reverse_proxy $UPSTREAM\n }\n handle /other {\n gateway_auth\n reverse_proxy $UPSTREAM\n }\n handle {\n reverse_proxy $UPSTREAM\n }"
	c := start(t, gatewayOptions(""), site, "$UPSTREAM", up.addr())
	forged := "X-User-Id: admin\nx-user-role: ADMIN\nX-USER-ROLES: ADMIN\nX-User-Tier: pro\nX-Auth-Scheme: bearer\nX-Api-Key-Id: 1\nX-Gateway-Identity: x\n" +
		"X-Original-URL: /v1/admin\nX-Rewrite-URL: /v1/admin\nX-HTTP-Method-Override: DELETE\nX-Method-Override: DELETE\nX-Forwarded-Prefix: /admin\nConnection: keep-alive, X-User-Id\n"
	for _, path := range []string{"/public/x", "/elsewhere"} {
		up.forget()
		if got := ask(t, c, "GET "+path+" HTTP/1.1\nHost: 127.0.0.1\n"+forged+"\n"); got != 200 {
			t.Fatalf("%s: got %d", path, got)
		}
		for name := range up.last().Header {
			if strings.HasPrefix(name, "X-User") || strings.Contains(name, "Override") || strings.Contains(name, "Url") || strings.Contains(name, "Prefix") ||
				strings.HasPrefix(name, "X-Auth") || strings.HasPrefix(name, "X-Api") || strings.HasPrefix(name, "X-Gateway") {
				t.Errorf("%s: the upstream saw %s", path, name)
			}
		}
	}
	if err := c.Reload(c.Expand(gatewayOptions("") + "http://127.0.0.1:$PORT {\n gateway_site {\n allow_override\n }\n reverse_proxy $UPSTREAM\n}\n")); err != nil {
		t.Fatal(err)
	}
	up.forget()
	if ask(t, c, "GET / HTTP/1.1\nHost: 127.0.0.1\n"+forged+"\n"); up.last().Header.Get("X-Original-Url") == "" || up.last().Header.Get("X-User-Id") != "" {
		t.Errorf("with allow_override the upstream saw %v", up.last().Header)
	}
}

// The guard is there for a configuration in JSON too, whose routes are no site
// block; sites of the server without a directive of the gateway stay as they are.
func TestGuardInJSON(t *testing.T) {
	up := newUpstream(t)
	c := startText(t, gatewayOptions("")+`
	http://guarded.test:$PORT {
		route {
			reverse_proxy /public/* $UPSTREAM
			gateway_auth
			reverse_proxy $UPSTREAM
		}
	}
	http://free.test:$PORT {
		reverse_proxy $UPSTREAM
	}
	http://127.0.0.1:$PORT {
		respond ok
	}`, "$UPSTREAM", up.addr())
	up.answer(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header.Get("X-User-Id")) })
	for host, want := range map[string]int{"guarded.test": 400, "free.test": 200} {
		if got := ask(t, c, "GET /public/../x HTTP/1.1\nHost: "+host+"\n\n"); got != want {
			t.Errorf("%s: got %d, want %d", host, got, want)
		}
	}
	up.forget()
	if ask(t, c, "GET /public/x HTTP/1.1\nHost: guarded.test\nX-User-Id: forged\n\n"); up.last() == nil || up.last().Header.Get("X-User-Id") != "" {
		t.Errorf("the upstream saw %v", up.last())
	}
}

func TestUnknownHostIsRefused(t *testing.T) {
	c := startText(t, gatewayOptions("")+"http://127.0.0.1:$PORT {\n gateway_auth\n respond ok\n}\n")
	s := dial(t, c)
	s.send("GET /x HTTP/1.1\nHost: elsewhere.test\n\n")
	if r := s.read(); r == nil || r.StatusCode != http.StatusNotFound || r.Header.Get("Content-Type") != "application/json" || r.Header.Get("X-Request-Id") == "" {
		t.Errorf("got %+v, want 404 in the format, with a request id", r)
	}
	if err := c.Reload(gatewayOptions("") + "http://127.0.0.1:$PORT {\n gateway_site {\n unknown_hosts pass\n }\n respond ok\n}\n"); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, c, "GET /x HTTP/1.1\nHost: elsewhere.test\n\n"); got != 200 {
		t.Errorf("with unknown_hosts pass: got %d, want Caddy's 200", got)
	}
}

func TestUnansweredIsNot200(t *testing.T) {
	c := start(t, gatewayOptions(""), "handle /x {\n gateway_auth\n respond ok\n }")
	if got := c.Get("/elsewhere"); got.Status != 404 {
		t.Errorf("got %d, want 404", got.Status)
	}
}
