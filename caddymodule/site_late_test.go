package caddymodule_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/ainative/portcullis/caddymodule/internal/caddyharness"
)

// A site is guarded whichever directive of the gateway it has, and wherever that
// stands; and the hosts beside it are refused.
func TestEveryDirectiveBringsTheGuard(t *testing.T) {
	up := newUpstream(t)
	for name, sites := range map[string]string{
		"gateway_proxy alone":                    "http://one.test:$PORT {\n gateway_proxy $UPSTREAM\n}",
		"gateway_errors in handle_errors":        "http://one.test:$PORT {\n reverse_proxy $UPSTREAM\n handle_errors {\n gateway_errors\n }\n}",
		"beside a site with nothing":             "http://one.test:$PORT {\n reverse_proxy $UPSTREAM\n handle_errors {\n gateway_errors\n }\n}\nhttp://two.test:$PORT {\n reverse_proxy $UPSTREAM\n}",
		"beside a site with a policy":            "http://one.test:$PORT {\n reverse_proxy $UPSTREAM\n handle_errors {\n gateway_errors\n }\n}\nhttp://three.test:$PORT {\n gateway_auth\n reverse_proxy $UPSTREAM\n}",
		"in a named route":                       "&(shared) {\n route {\n gateway_auth {\n optional\n }\n reverse_proxy $UPSTREAM\n }\n}\nhttp://one.test:$PORT {\n invoke shared\n}",
		"in a named route beside a site with it": "&(shared) {\n route {\n gateway_auth {\n optional\n }\n reverse_proxy $UPSTREAM\n }\n}\nhttp://one.test:$PORT {\n invoke shared\n}\nhttp://three.test:$PORT {\n gateway_auth\n reverse_proxy $UPSTREAM\n}",
		"gateway_proxy in a named route":         "&(shared) {\n gateway_proxy $UPSTREAM\n}\nhttp://one.test:$PORT {\n invoke shared\n}",
		"a named route and handle_errors":        "&(shared) {\n gateway_proxy $UPSTREAM\n}\nhttp://one.test:$PORT {\n invoke shared\n handle_errors {\n gateway_errors\n }\n}\nhttp://two.test:$PORT {\n reverse_proxy $UPSTREAM\n}",
	} {
		t.Run(name, func(t *testing.T) {
			c := startText(t, gatewayOptions("")+sites, "$UPSTREAM", up.addr())
			for _, tc := range []struct {
				text string
				want int
			}{
				{"GET /public/../admin HTTP/1.1\nHost: one.test\n\n", 400},
				{"GET /a;b HTTP/1.1\nHost: one.test\n\n", 400},
				{"get /a HTTP/1.1\nHost: one.test\n\n", 400},
				{"GET /a HTTP/1.1\nHost: four.test\n\n", 404},
				{"GET /a/../b HTTP/1.1\nHost: four.test\n\n", 404},
				{"GET http://four.test/a HTTP/1.1\nHost: one.test\n\n", 404},
				{"GET /a HTTP/1.1\nHost: one.test\nX-User-Id: root\nX-Original-URL: /b\nUpgrade: h2c\nConnection: Upgrade\n\n", 200},
				{"GET http://one.test HTTP/1.1\nHost: one.test\n\n", 200},
			} {
				up.forget()
				if got := ask(t, c, tc.text); got != tc.want || (up.count() != 0) != (tc.want == 200) {
					t.Errorf("%q: got %d, and %d requests upstream, want %d", tc.text, got, up.count(), tc.want)
				}
				if r := up.last(); r != nil && (r.Header.Get("X-User-Id") != "" || r.Header.Get("X-Original-Url") != "" || r.Header.Get("Upgrade") != "") {
					t.Errorf("%q: the upstream saw %v", tc.text, r.Header)
				}
			}
			// A site that has nothing of the gateway stays as it is.
			up.forget()
			if strings.Contains(sites, "two.test") && (ask(t, c, "GET /a/../b HTTP/1.1\nHost: two.test\n\n") != 200 || up.count() != 1) {
				t.Errorf("the site without a directive: %d requests upstream, want Caddy's way", up.count())
			}
			// A dry run says the same.
			for url, want := range map[string]string{"http://one.test/a;b": "400", "http://four.test/a": "404"} {
				out, errOut, err := command(t, "gateway", "--address", c.Admin, "check", "GET", strings.Replace(url, ".test/", ".test:"+c.Expand("$PORT")+"/", 1))
				if !strings.Contains(out, want) {
					t.Errorf("check %s says %s %s %v, want %s", url, out, errOut, err, want)
				}
			}
		})
	}
}

// A site whose guard would come too late is no site that starts.
func TestGuardThatComesTooLateIsAMistake(t *testing.T) {
	c := startText(t, gatewayOptions("")+"http://127.0.0.1:$PORT {\n respond ok\n}\n")
	err := c.Reload(gatewayOptions("") + "http://:$PORT {\n reverse_proxy 127.0.0.1:1\n handle_errors {\n gateway_errors\n }\n}\n")
	if err == nil || !strings.Contains(err.Error(), "add `gateway_site` to the site") {
		t.Errorf("got %v, want what to write", err)
	}
	if err := c.Reload(gatewayOptions("") + "http://:$PORT {\n gateway_site\n reverse_proxy 127.0.0.1:1\n handle_errors {\n gateway_errors\n }\n}\n"); err != nil {
		t.Error(err)
	}
	if got := ask(t, c, "GET /a;b HTTP/1.1\nHost: any.test\n\n"); got != 400 {
		t.Errorf("got %d, want 400", got)
	}
}

func TestUnknownHostsPassBehindANamedRoute(t *testing.T) {
	c := startText(t, gatewayOptions("")+"&(shared) {\n route {\n gateway_site {\n unknown_hosts pass\n }\n respond ok\n }\n}\nhttp://one.test:$PORT {\n invoke shared\n}")
	if got := ask(t, c, "GET /x HTTP/1.1\nHost: elsewhere.test\n\n"); got != 200 {
		t.Errorf("got %d, want Caddy's 200", got)
	}
}

// The site's `header` is on what the guard refuses, as on what policies refuse.
func TestGuardRefusesWithTheSitesHeaders(t *testing.T) {
	headers := `
	header Access-Control-Allow-Origin https://app.example.com
	header ?X-Default yes
	header -Server
	@browser header Origin https://app.example.com
	header @browser Access-Control-Allow-Credentials true
	header /a* X-Path a
	request_header X-Not response
	route /late {
		header X-Late yes
	}
	`
	for name, tc := range map[string]struct {
		text     string
		deferred bool
	}{
		"with gateway_errors":    {"http://one.test:$PORT {\n" + headers + "gateway_errors\n gateway_auth\n respond ok\n}", true},
		"without":                {"http://one.test:$PORT {\n" + headers + "gateway_auth\n respond ok\n}", false},
		"in handle_errors":       {"http://one.test:$PORT {\n" + headers + "gateway_auth\n respond ok\n handle_errors {\n gateway_errors\n }\n}", false},
		"in a named route":       {"&(shared) {\n gateway_auth\n}\nhttp://one.test:$PORT {\n" + headers + "invoke shared\n respond ok\n}", false},
		"in route":               {"http://one.test:$PORT {\n route {\n" + headers + "gateway_errors\n gateway_auth\n header X-Late yes\n respond ok\n }\n}", true},
		"a site for every host":  {"http://:$PORT {\n" + headers + "gateway_errors\n gateway_auth\n respond ok\n}", true},
		"before a wildcard site": {"http://one.test:$PORT {\n" + headers + "gateway_errors\n gateway_auth\n respond ok\n}\nhttp://*.test:$PORT {\n header Access-Control-Allow-Origin *\n gateway_auth\n respond ok\n}", true},
	} {
		t.Run(name, func(t *testing.T) {
			c := startText(t, gatewayOptions("")+tc.text)
			for _, path := range []string{"/a%2fb", "/ok"} {
				s := dial(t, c)
				s.send("GET " + path + " HTTP/1.1\nHost: one.test\nOrigin: https://app.example.com\n\n")
				r := s.read()
				if r == nil {
					t.Fatal("no answer")
				}
				want := map[string]string{
					"Access-Control-Allow-Origin": "https://app.example.com", "Access-Control-Allow-Credentials": "true",
					"X-Late": "", "X-Path": "", "X-Not": "",
				}
				if tc.deferred {
					want["X-Default"], want["Server"] = "yes", ""
				}
				for name, value := range want {
					if got := strings.Join(r.Header.Values(name), ", "); got != value {
						t.Errorf("%s, %d: got %s %q, want %q", path, r.StatusCode, name, got, value)
					}
				}
			}
			s := dial(t, c)
			s.send("GET /a%2fb HTTP/1.1\nHost: one.test\nOrigin: https://else.example.com\n\n")
			if r := s.read(); r == nil || r.StatusCode != http.StatusBadRequest || r.Header.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("another origin: got %+v", r)
			}
		})
	}
}

// What is forwarded or served after a rewrite is judged on every route, with a
// policy or without, in a Caddyfile and in JSON.
func TestRewrittenPathIsJudgedWithoutAPolicy(t *testing.T) {
	up := newUpstream(t)
	const rewritten = "rewrite /files /files/{query.name}\n"
	dir := t.TempDir()
	for name, site := range map[string]string{
		"reverse_proxy":            "gateway_auth /private\n" + rewritten + "reverse_proxy $UPSTREAM",
		"gateway_proxy":            rewritten + "gateway_proxy $UPSTREAM",
		"in the proxy":             "gateway_auth /private\n handle /files {\n reverse_proxy $UPSTREAM {\n rewrite /files/{query.name}\n }\n }\n reverse_proxy $UPSTREAM",
		"in gateway_proxy":         "handle /files {\n gateway_proxy $UPSTREAM {\n rewrite /files/{query.name}\n }\n }\n gateway_proxy $UPSTREAM",
		"after the policy":         "gateway_auth {\n optional\n }\n route /files {\n rewrite /files/{query.name}\n reverse_proxy $UPSTREAM\n }\n reverse_proxy $UPSTREAM",
		"in a named route":         "gateway_auth /private\n rewrite /files /files/{query.name}\n invoke shared",
		"named routes only":        "rewrite /files /files/{query.name}\n invoke guarded",
		"handle_errors only":       rewritten + "reverse_proxy $UPSTREAM\n handle_errors {\n gateway_errors\n }",
		"in handle_errors":         "gateway_auth /private\n error /files 418\n reverse_proxy $UPSTREAM\n handle_errors {\n rewrite * /files/{query.name}\n reverse_proxy $UPSTREAM\n }",
		"after another response":   "gateway_auth /private\n intercept {\n @tea status 418\n handle_response @tea {\n rewrite * /files/{query.name}\n reverse_proxy $UPSTREAM\n }\n }\n respond /files 418\n reverse_proxy $UPSTREAM",
		"after another's response": "gateway_auth /private\n reverse_proxy /files $UPSTREAM {\n rewrite /tea\n @tea status 418\n handle_response @tea {\n rewrite * /files/{query.name}\n reverse_proxy $UPSTREAM\n }\n }\n reverse_proxy $UPSTREAM",
		"uri replace":              "gateway_auth /private\n uri /files replace /files /files/{query.name}\n reverse_proxy $UPSTREAM",
		"uri path_regexp":          "gateway_auth /private\n uri /files path_regexp ^/files$ /files/{query.name}\n reverse_proxy $UPSTREAM",
		"file_server":              "root * $FILES\n gateway_auth /private\n" + rewritten + "file_server",
	} {
		t.Run(name, func(t *testing.T) {
			up.answer(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/tea" {
					w.WriteHeader(http.StatusTeapot)
				}
			})
			text := gatewayOptions("") + "&(shared) {\n reverse_proxy $UPSTREAM\n}\n&(guarded) {\n route {\n gateway_auth {\n optional\n }\n reverse_proxy $UPSTREAM\n }\n}\nhttp://one.test:$PORT {\n" + site + "\n}\n"
			c := startText(t, text, "$UPSTREAM", up.addr(), "$FILES", dir)
			judge := func(t *testing.T) {
				for _, name := range []string{"../admin", "..%2fadmin", "%2e%2e/admin", "%252e%252e%252fadmin", "a%3bb", "a%253bb", "a%255cb", "a/../../admin", "a//b", "a%2500", "a.", "%2f%2fx"} {
					up.forget()
					got := ask(t, c, "GET /files?name="+name+" HTTP/1.1\nHost: one.test\n\n")
					seen := up.last()
					if seen != nil && seen.URL.Path == "/tea" && up.count() == 1 {
						seen = nil
					}
					if got != 400 && got != 418 || seen != nil {
						t.Errorf("%s: got %d, and the upstream saw %v", name, got, seen)
					}
				}
				if site == "" || strings.Contains(site, "file_server") {
					return
				}
				up.forget()
				got := ask(t, c, "GET /files?name=a.txt HTTP/1.1\nHost: one.test\n\n")
				if r := up.last(); r == nil || r.URL.Path != "/files/a.txt" {
					t.Errorf("a name: got %d, and the upstream saw %v", got, r)
				}
			}
			judge(t)
			// A dry run ends before an upstream has answered.
			if !strings.Contains(site, "handle_response") && !strings.Contains(site, "handle_errors {\n rewrite") {
				t.Run("check agrees", func(t *testing.T) {
					out, errOut, err := command(t, "gateway", "--address", c.Admin, "check", "GET", "http://one.test:"+c.Expand("$PORT")+"/files?name=../admin")
					if !strings.Contains(out, "400") {
						t.Errorf("check says %s %s %v, want 400", out, errOut, err)
					}
				})
			}
			// Caddy's metrics go by the names of the handlers themselves.
			if name == "reverse_proxy" {
				t.Run("in JSON, without site blocks", func(t *testing.T) {
					inJSON(t, c, `[{"match":[{"path":["/files"]}],"handle":[{"handler":"rewrite","uri":"/files/{http.request.uri.query.name}"}]},
						{"match":[{"path":["/private"]}],"handle":[{"handler":"gateway_auth"}]},
						{"handle":[{"handler":"reverse_proxy","upstreams":[{"dial":"`+up.addr()+`"}]}]}]`)
					judge(t)
				})
			}
		})
	}
}

// inJSON puts a configuration into force whose server has these routes.
func inJSON(t testing.TB, c *caddyharness.Caddy, routes string) {
	t.Helper()
	config, err := caddyharness.Adapt(c.Expand(gatewayOptions("")))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(config), `"apps":{`, `"apps":{"http":{"grace_period":2000000000,"servers":{"srv0":{"listen":[":`+c.Expand("$PORT")+`"],"automatic_https":{"disable":true},"routes":`+routes+`}}},`, 1)
	r, err := http.Post("http://"+c.Admin+"/load", "application/json", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	said, _ := io.ReadAll(r.Body)
	_ = r.Body.Close()
	if r.StatusCode != http.StatusOK {
		t.Fatalf("loading: %s %s", r.Status, said)
	}
}
