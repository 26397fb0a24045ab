package caddymodule_test

import (
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ainative/portcullis/caddymodule/internal/caddyharness"
)

// Forms of requests by which attackers have passed other gateways, sent to real
// upstreams. A line feed stands for CR LF, $HOST for the site's host.

// pathForms ask for a guarded route by another name, without a credential.
var pathForms = map[string]string{
	"absolute form, another case of the scheme":    "GET HTTP://$HOST/v1/admin/users HTTP/1.1\nHost: $HOST\n\n",
	"absolute form, https":                         "GET https://$HOST/v1/admin/users HTTP/1.1\nHost: $HOST\n\n",
	"absolute form with a user":                    "GET http://healthz@$HOST/v1/admin/users HTTP/1.1\nHost: $HOST\n\n",
	"absolute form with a user and a slash":        "GET http://u:/healthz@$HOST/v1/admin/users HTTP/1.1\nHost: $HOST\n\n",
	"absolute form, the path in the query":         "GET http://$HOST?/../v1/admin/users HTTP/1.1\nHost: $HOST\n\n",
	"absolute form, another scheme":                "GET file:///v1/admin/users HTTP/1.1\nHost: $HOST\n\n",
	"absolute form, an opaque target":              "GET http:/v1/admin/users HTTP/1.1\nHost: $HOST\n\n",
	"absolute form, a backslash in the authority":  `GET http://$HOST\@healthz/v1/admin/users HTTP/1.1` + "\nHost: $HOST\n\n",
	"authority form of GET":                        "GET $HOST:80 HTTP/1.1\nHost: $HOST\n\n",
	"a target that begins with two slashes":        "GET //$HOST/v1/admin/users HTTP/1.1\nHost: $HOST\n\n",
	"a fragment":                                   "GET /healthz#/../v1/admin/users HTTP/1.1\nHost: $HOST\n\n",
	"an encoded fragment":                          "GET /healthz%23/../../v1/admin/users HTTP/1.1\nHost: $HOST\n\n",
	"an encoded query":                             "GET /v1/admin/users%3f/../../../healthz HTTP/1.1\nHost: $HOST\n\n",
	"an encoded query alone":                       "GET /healthz%3f/../v1/admin/users HTTP/1.1\nHost: $HOST\n\n",
	"dots in the query":                            "GET /healthz?/../v1/admin/users HTTP/1.1\nHost: $HOST\n\n",
	"jsessionid":                                   "GET /v1/admin/users;jsessionid=1 HTTP/1.1\nHost: $HOST\n\n",
	"jsessionid before the route":                  "GET /;jsessionid=1/v1/admin/users HTTP/1.1\nHost: $HOST\n\n",
	"jsessionid with dots":                         "GET /healthz/..;jsessionid=1/v1/admin/users HTTP/1.1\nHost: $HOST\n\n",
	"dots with two semicolons":                     "GET /healthz/..;;/v1/admin/users HTTP/1.1\nHost: $HOST\n\n",
	"an encoded semicolon with dots":               "GET /healthz/..%3b/v1/admin/users HTTP/1.1\nHost: $HOST\n\n",
	"dots that are encoded twice with a semicolon": "GET /healthz/%252e%252e;/v1/admin/users HTTP/1.1\nHost: $HOST\n\n",
	"a segment of one dot":                         "GET /v1/./admin/users HTTP/1.1\nHost: $HOST\n\n",
	"a segment of one encoded dot":                 "GET /v1/%2e/admin/users HTTP/1.1\nHost: $HOST\n\n",
	"a dot segment at the end":                     "GET /v1/admin/users/%2e HTTP/1.1\nHost: $HOST\n\n",
	"three dots":                                   "GET /healthz/.../v1/admin/users HTTP/1.1\nHost: $HOST\n\n",
	"a trailing encoded space":                     "GET /search%20 HTTP/1.1\nHost: $HOST\n\n",
	"a trailing plus":                              "GET /search+ HTTP/1.1\nHost: $HOST\n\n",
	"a trailing encoded tab":                       "GET /search%09 HTTP/1.1\nHost: $HOST\n\n",
	"a no-break space":                             "GET /search%c2%a0 HTTP/1.1\nHost: $HOST\n\n",
	"a zero-width space":                           "GET /v1/%e2%80%8badmin/users HTTP/1.1\nHost: $HOST\n\n",
	"a soft hyphen":                                "GET /v1/ad%c2%admin/users HTTP/1.1\nHost: $HOST\n\n",
	"NUL at the end":                               "GET /search%00 HTTP/1.1\nHost: $HOST\n\n",
	"NUL and an extension":                         "GET /search%00.css HTTP/1.1\nHost: $HOST\n\n",
	"an extension":                                 "GET /search.json HTTP/1.1\nHost: $HOST\n\n",
	"an extension behind a semicolon":              "GET /search;.css HTTP/1.1\nHost: $HOST\n\n",
	"an alternate stream":                          "GET /search::$DATA HTTP/1.1\nHost: $HOST\n\n",
	"a short name of Windows":                      "GET /v1/ADMIN~1/users HTTP/1.1\nHost: $HOST\n\n",
	"overlong slash, two bytes":                    "GET /v1%c0%afadmin%c0%afusers HTTP/1.1\nHost: $HOST\n\n",
	"overlong slash, three bytes":                  "GET /v1%e0%80%afadmin/users HTTP/1.1\nHost: $HOST\n\n",
	"overlong letter":                              "GET /v1/%c1%a1dmin/users HTTP/1.1\nHost: $HOST\n\n",
	"a lone surrogate":                             "GET /v1/%ed%a0%80admin/users HTTP/1.1\nHost: $HOST\n\n",
	"fullwidth letters":                            "GET /v1/%ef%bd%81%ef%bd%84%ef%bd%8d%ef%bd%89%ef%bd%8e/users HTTP/1.1\nHost: $HOST\n\n",
	"a fullwidth slash":                            "GET /v1%ef%bc%8fadmin/users HTTP/1.1\nHost: $HOST\n\n",
	"fullwidth dots":                               "GET /healthz/%ef%bc%8e%ef%bc%8e/v1/admin/users HTTP/1.1\nHost: $HOST\n\n",
	"a fraction slash":                             "GET /v1%e2%81%84admin/users HTTP/1.1\nHost: $HOST\n\n",
	"an account sign that NFKC makes a/c":          "GET /v1%e2%84%80admin/users HTTP/1.1\nHost: $HOST\n\n",
	"a dotless i":                                  "GET /v1/adm%c4%b1n/users HTTP/1.1\nHost: $HOST\n\n",
	"a long s, which upper-cases to S":             "GET /%c5%bfearch HTTP/1.1\nHost: $HOST\n\n",
	"a Kelvin sign":                                "GET /%e2%84%aa HTTP/1.1\nHost: $HOST\n\n",
	"letters that are composed and decomposed":     "GET /v1/a%cc%8admin/users HTTP/1.1\nHost: $HOST\n\n",
	"upper case":                                   "GET /V1/ADMIN/USERS HTTP/1.1\nHost: $HOST\n\n",
	"upper case, escaped":                          "GET /v1/%41DMIN/users HTTP/1.1\nHost: $HOST\n\n",
	"a letter escaped":                             "GET /v1/%61dmin/users HTTP/1.1\nHost: $HOST\n\n",
	"a letter escaped twice":                       "GET /v1/%2561dmin/users HTTP/1.1\nHost: $HOST\n\n",
	"a letter as %u":                               "GET /v1/%u0061dmin/users HTTP/1.1\nHost: $HOST\n\n",
	"a slash as %u":                                "GET /v1%u002fadmin/users HTTP/1.1\nHost: $HOST\n\n",
	"a backslash":                                  `GET /v1\admin\users HTTP/1.1` + "\nHost: $HOST\n\n",
	"dots and backslashes":                         `GET /healthz\..\v1\admin\users HTTP/1.1` + "\nHost: $HOST\n\n",
	"dots and an encoded backslash":                "GET /healthz/..%5cv1/admin/users HTTP/1.1\nHost: $HOST\n\n",
	"a line feed in the path":                      "GET /healthz%0a/../v1/admin/users HTTP/1.1\nHost: $HOST\n\n",
	"CR LF in the path":                            "GET /healthz%0d%0aX:%20y HTTP/1.1\nHost: $HOST\n\n",
	"a front controller":                           "GET /front.php/v1/admin/users HTTP/1.1\nHost: $HOST\n\n",
	"a front controller and its query":             "GET /front.php?/v1/admin/users HTTP/1.1\nHost: $HOST\n\n",
	"HTTP/1.0 without a host":                      "GET /v1/admin/users HTTP/1.0\n\n",
	"HTTP/0.9":                                     "GET /v1/admin/users\n\n",
	"a space in the target":                        "GET /healthz /../v1/admin/users HTTP/1.1\nHost: $HOST\n\n",
	"a tab in the target":                          "GET /healthz\t/../v1/admin/users HTTP/1.1\nHost: $HOST\n\n",
	"a tab before the version":                     "GET /v1/admin/users\tHTTP/1.1\nHost: $HOST\n\n",
	"an empty line before the request":             "\n\nGET /v1/admin/users HTTP/1.1\nHost: $HOST\n\n",
	"a space before the method":                    " GET /v1/admin/users HTTP/1.1\nHost: $HOST\n\n",
	"a rewrite header":                             "GET /healthz HTTP/1.1\nHost: $HOST\nX-Original-URL: /v1/admin/users\nX_Rewrite_URL: /v1/admin/users\nX-Forwarded-Uri: /v1/admin/users\n\n",
	"a prefix header":                              "GET /healthz HTTP/1.1\nHost: $HOST\nX-Forwarded-Prefix: /v1/admin/users\nX-Script-Name: /v1\nScript-Name: /healthz\nX-Forwarded-Path: /v1/admin/users\n\n",
	"the names of CGI":                             "GET /healthz HTTP/1.1\nHost: $HOST\nRequest-Uri: /v1/admin/users\nPath-Info: /v1/admin/users\nREQUEST_URI: /v1/admin/users\nScript-Filename: /x\nDocument-Root: /\n\n",
	"the names of a CGI environment as headers":    "GET /healthz HTTP/1.1\nHost: $HOST\nHTTP_X_ORIGINAL_URL: /v1/admin/users\nRedirect-Url: /v1/admin/users\nUnencoded-Url: /v1/admin/users\nX-Sendfile: /etc/passwd\n\n",
}

func TestPathFormsReachNoGuardedRoute(t *testing.T) {
	for _, up := range pathUpstreams {
		t.Run(up.name, func(t *testing.T) {
			address := up.start(t)
			root, err := filepath.Abs(pathsDir)
			if err != nil {
				t.Fatal(err)
			}
			c := startText(t, gatewayOptions(roomy)+"http://one.test:$PORT {\n"+pathSite+up.directive()+"\n}\n", "$UPSTREAM", address, "$ROOT", root)
			for name, form := range pathForms {
				s := dial(t, c)
				s.send(strings.ReplaceAll(form, "$HOST", "one.test"))
				response, err := http.ReadResponse(s.in, nil)
				if err != nil {
					continue // the connection was closed, which is an answer
				}
				body, _ := io.ReadAll(response.Body)
				said := routeSaid.FindSubmatch(body)
				t.Logf("%s: %d %s", name, response.StatusCode, said)
				if said != nil && string(said[1]) != "healthz" && string(said[1]) != "none" {
					t.Errorf("%s reached %s", name, body)
				}
			}
		})
	}
}

// headerForms are spellings of identity headers, as CGI, WSGI, FastCGI and others
// fold them.
var headerForms = []string{
	"X-User-Role: f0rged\n", "x-user-role: f0rged\n", "X_User_Role: f0rged\n", "X-User_Role: f0rged\n", "X_USER-ROLE: f0rged\n", "X.User.Role: f0rged\n",
	"X~User~Role: f0rged\n", "X!User!Role: f0rged\n", "X--User--Role: f0rged\n", "-X-User-Role: f0rged\n", "X-User-Role-: f0rged\n", "X'User'Role: f0rged\n",
	"X-User-Role : f0rged\n", " X-User-Role: f0rged\n", "X-User-Role\t: f0rged\n", "X-User-Role\x00: f0rged\n", "X-User-Rol\xc3\xa9: f0rged\n",
	"X-A: b\rX-User-Role: f0rged\n", "X-User-Role:f0rged\n", "X-User-Role: USER\nX-User-Role: f0rged\n",
	"X-User-Id: f0rged\nConnection: X-User-Id\n", "Connection: close, X-User-Id\nX-User-Id: f0rged\n", "X-User-Tier: f0rged\nTE: trailers\n", "HTTP_X_USER_ROLE: f0rged\n",
	"X-Gateway-Identity: f0rged\n", "X_Api_Key_Id: f0rged\n", "X-Auth_Scheme: f0rged\n", "Proxy: f0rged\n",
}

func TestHeaderFormsReachNoFramework(t *testing.T) {
	root, err := filepath.Abs(pathsDir)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		start func(testing.TB) string
		proxy string
	}{
		"FastAPI": {func(t testing.TB) string { return fastAPI(t).addr() }, "reverse_proxy $UPSTREAM"},
		"Express": {func(t testing.TB) string { return express(t).addr() }, "gateway_proxy $UPSTREAM"},
		"Flask": {func(t testing.TB) string {
			port := caddyharness.FreePort(t)
			return run(t, pathsDir, port, pythonWith(t, "Flask", "flask"), "-B", "echo_flask.py", strconv.Itoa(port)).addr()
		}, "reverse_proxy $UPSTREAM"},
		"PHP": {pathsPHP, "root * $ROOT\n php_fastcgi $UPSTREAM {\n index echo.php\n }"},
	} {
		t.Run(name, func(t *testing.T) {
			c := startText(t, gatewayOptions("")+"http://one.test:$PORT {\n gateway_errors\n gateway_auth /v1/*\n"+tc.proxy+"\n}\n", "$UPSTREAM", tc.start(t), "$ROOT", root)
			reached := 0
			for _, form := range append([]string{""}, headerForms...) {
				s := dial(t, c)
				s.send("GET /whoami HTTP/1.1\nHost: one.test\n" + form + "\n")
				response, err := http.ReadResponse(s.in, nil)
				if err != nil {
					continue
				}
				body, _ := io.ReadAll(response.Body)
				if strings.Contains(string(body), "f0rged") {
					t.Errorf("%q: the application saw %s", form, body)
				}
				if response.StatusCode == http.StatusOK {
					reached++
				}
			}
			if reached < 10 {
				t.Errorf("%d requests reached the application: too few to say anything", reached)
			}
		})
	}
}

// Hosts that servers read differently choose no other site than the one that is
// guarded, and reach the upstream by no other name.
func TestHostForms(t *testing.T) {
	up := newUpstream(t)
	c := startText(t, gatewayOptions("")+"http://one.test:$PORT {\n gateway_auth\n reverse_proxy $UPSTREAM\n}\nhttp://two.test:$PORT {\n reverse_proxy $UPSTREAM\n}\nhttp://[::1]:$PORT {\n gateway_auth\n reverse_proxy $UPSTREAM\n}\n", "$UPSTREAM", up.addr())
	for text, want := range map[string]int{
		"Host: one.test\n":                 401,
		"Host: ONE.Test\n":                 401,
		"Host: one.test:80\n":              401,
		"Host: one.test:99999\n":           401,
		"Host: one.test:\n":                401,
		"Host: one.test.\n":                404,
		"Host: one.test.:80\n":             404,
		"Host: two.test.\n":                404,
		"Host: one.test\nHost: two.test\n": 400,
		"Host: two.test\nHost: one.test\n": 400,
		"Host: two.test, one.test\n":       400,
		"Host: two.test/one.test\n":        400,
		"Host: two.test@one.test\n":        400,
		"Host: two.test#one.test\n":        400,
		"Host: two.test\\one.test\n":       400,
		"Host: two.test%00one.test\n":      404,
		"Host: \n":                         400,
		"":                                 400,
		"Host: [::1]\n":                    401,
		"Host: [::1]:80\n":                 401,
		"Host: ::1\n":                      401,
		"Host: [0:0:0:0:0:0:0:1]\n":        404,
		"Host: [::1%25lo]\n":               404,
		"Host: [::ffff:127.0.0.1]\n":       404,
		"Host: xn--ne-tla.test\n":          404,
		"Host: \xef\xbd\x8fne.test\n":      400,
		"Host : one.test\n":                400,
		"host: one.test\nX-Forwarded-Host: two.test\nForwarded: host=two.test\n": 401,
	} {
		up.forget()
		got := ask(t, c, "GET /x HTTP/1.1\n"+text+"\n")
		if got != want || up.count() != 0 {
			t.Errorf("%q: got %d, and the upstream saw %v, want %d", text, got, up.last(), want)
		}
	}
}

// What stands behind a request is no request of its own, however its length is
// told.
func TestLengthsThatDisagree(t *testing.T) {
	up := newUpstream(t)
	up.answer(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	const smuggled = "GET /v1/smuggled HTTP/1.1\nHost: one.test\nConnection: close\n\n"
	for _, proxy := range []string{"reverse_proxy", "gateway_proxy"} {
		t.Run(proxy, func(t *testing.T) {
			c := startText(t, gatewayOptions("")+"http://one.test:$PORT {\n gateway_auth /v1/*\n "+proxy+" $UPSTREAM\n}\n", "$UPSTREAM", up.addr())
			for _, headers := range []string{
				"Content-Length: 4\nTransfer-Encoding: chunked\n\n0\n\n", "Transfer-Encoding: chunked\nContent-Length: 4\n\n0\n\n", "Transfer-Encoding: xchunked\n\n0\n\n",
				"Transfer-Encoding : chunked\n\n0\n\n", "Transfer-Encoding: chunked, identity\n\n0\n\n", "Transfer-Encoding: identity, chunked\n\n0\n\n", "Transfer-Encoding: chunked\nTransfer-Encoding: chunked\n\n0\n\n",
				"Transfer-Encoding:\x0bchunked\n\n0\n\n", "Transfer-Encoding: \"chunked\"\n\n0\n\n", "transfer_encoding: chunked\nContent-Length: 5\n\n0\n\n",
				"Content-Length: 0\nContent-Length: 44\n\n", "Content-Length: +0\n\n", "Content-Length: 0x0\n\n", "Content-Length: 0, 0\n\n", "Content-Length: -1\n\n", "Content_Length: 44\n\n",
				"Transfer-Encoding: chunked\n\n0;x=\"\n\n\"\n\n", "Transfer-Encoding: chunked\n\n0\nX-User-Id: root\n\n", "Transfer-Encoding: chunked\n\n1;" + strings.Repeat("x", 5000) + "\na\n0\n\n", "Transfer-Encoding: chunked\n\n-1\n\n",
				"Transfer-Encoding: chunked\n\n0x0\n\n", "Transfer-Encoding: chunked\n\nFFFFFFFFFFFFFFFF\n\n", "Transfer-Encoding: chunked\n\n1\nab\n0\n\n",
				"Expect: 100-continue\nContent-Length: 0\n\n", "Expect: 200-ok\nContent-Length: 0\n\n", "Expect: 100-continue, 100-continue\nContent-Length: 4\n\n", "Upgrade: h2c\nConnection: Upgrade, HTTP2-Settings\nHTTP2-Settings: AAMAAABkAAQAAP__\nContent-Length: 0\n\n",
				"Upgrade: websocket\nConnection: Upgrade\nContent-Length: 0\n\n", "Upgrade: HTTP/2.0\nConnection: upgrade\nContent-Length: 0\n\n", "Upgrade: websocket, h2c\nConnection: Upgrade\nContent-Length: 0\n\n",
			} {
				up.forget()
				s := dial(t, c)
				// Where a form leaves the server waiting for more, that is all of the answer.
				if err := s.conn.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
					t.Fatal(err)
				}
				s.send("POST /open HTTP/1.1\nHost: one.test\n" + headers + smuggled)
				statuses := []int{}
				for len(statuses) < 2 {
					r := s.read()
					if r == nil {
						break
					}
					if r.StatusCode >= 200 {
						statuses = append(statuses, r.StatusCode)
					}
				}
				for _, r := range up.all() {
					if r.URL.Path != "/open" || r.Header.Get("X-User-Id") != "" || r.Trailer.Get("X-User-Id") != "" || r.Header.Get("Upgrade") != "" {
						t.Errorf("%s, %.60q: the upstream saw %s %v %v", proxy, headers, r.URL, r.Header, r.Trailer)
					}
				}
				t.Logf("%s, %.60q: %v", proxy, headers, statuses)
				if len(statuses) == 2 && statuses[1] != 401 && statuses[1] != 400 {
					t.Errorf("%s, %.60q: got %v, want the second refused", proxy, headers, statuses)
				}
			}
		})
	}
}

// all are the requests since forget.
func (u *upstream) all() []*http.Request {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.seen)
}
