package caddymodule_test

import (
	"net/http"
	"strings"
	"testing"
)

// What stands before gateway_errors in a site can't answer past it, and the site's
// headers are on what is refused.
func TestRefusalsHaveFormatAndTheSitesHeaders(t *testing.T) {
	up := newUpstream(t)
	site := `
	header Access-Control-Allow-Origin https://app.test
	header Strict-Transport-Security max-age=31536000
	request_body {
		max_size 1KB
	}
	gateway_errors
	gateway_auth /private
	gateway_limit /limited {
		limit 1/1h
		by ip
	}
	respond /teapot 418
	reverse_proxy /dead 127.0.0.1:1
	reverse_proxy $UPSTREAM`
	c := start(t, gatewayOptions(""), site, "$UPSTREAM", up.addr())
	if got := c.Get("/limited"); got.Status != 200 {
		t.Fatalf("within the limit: got %d", got.Status)
	}
	for _, tc := range []struct {
		name, method, path, body string
		status                   int
		text                     string
	}{
		{"a body that is too long", http.MethodPost, "/open", strings.Repeat("x", 2048), 413, "Request Entity Too Large"},
		{"nobody", http.MethodGet, "/private", "", 401, "Could not validate credentials"},
		{"over a limit", http.MethodGet, "/limited", "", 429, ""},
		{"another handler", http.MethodGet, "/teapot", "", 418, "I'm a teapot"},
		{"a dead upstream", http.MethodGet, "/dead", "", 502, "Bad gateway"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := c.Do(tc.method, tc.path, tc.body)
			if tc.text != "" {
				wantError(t, got, tc.status, tc.text)
			} else if text, _ := detail(t, got.Body).(string); got.Status != tc.status || !strings.HasPrefix(text, "Rate limit exceeded.") {
				t.Errorf("got %d %s, want %d", got.Status, got.Body, tc.status)
			}
			for name, want := range map[string]string{"Access-Control-Allow-Origin": "https://app.test", "Strict-Transport-Security": "max-age=31536000"} {
				if value := got.Header.Get(name); value != want {
					t.Errorf("%s is %q, want %q", name, value, want)
				}
			}
		})
	}
	t.Run("the guard", func(t *testing.T) { wantError(t, c.Get("/a%2fb"), 400, "Bad Request") })
}

// Where the guard has cleaned a path, nothing that Caddy keeps of the request has
// the one that came: routes of handle_errors start from what was judged.
func TestErrorRoutesStartFromTheJudgedPath(t *testing.T) {
	up := newUpstream(t)
	site := `
	gateway_site {
		path_policy normalize
	}
	gateway_auth /private
	reverse_proxy 127.0.0.1:1
	handle_errors {
		reverse_proxy $UPSTREAM
	}`
	c := start(t, gatewayOptions(""), site, "$UPSTREAM", up.addr())
	for target, want := range map[string]string{"/open/../private;x/../shown": "/shown", "/open/..%2fshown": "/shown", "/shown": "/shown"} {
		up.forget()
		ask(t, c, "GET "+target+" HTTP/1.1\nHost: 127.0.0.1\n\n")
		if r := up.last(); r == nil || r.RequestURI != want {
			t.Errorf("%s: the upstream of the error route got %v, want %s", target, r, want)
		}
	}
}

// Where an allowed form is in the path, a prefix can be taken away after the last
// policy: the upstream gets the rest of what was judged, as it came. No other rewrite
// is possible.
func TestRewriteOfAnAllowedFormSendsWhatWasJudged(t *testing.T) {
	up := newUpstream(t)
	site := `
	gateway_site {
		allow encoded_slash
	}
	gateway_auth {
		optional
	}
	handle_path /api/* {
		reverse_proxy $UPSTREAM
	}
	handle_path /judged/* {
		gateway_roles USER
		reverse_proxy $UPSTREAM
	}
	handle /elsewhere/* {
		rewrite * /new{path}
		reverse_proxy $UPSTREAM
	}
	handle /inside/* {
		reverse_proxy $UPSTREAM {
			rewrite /new{uri}
		}
	}`
	c := start(t, gatewayOptions(roomy), site, "$UPSTREAM", up.addr())
	auth := bearer(t)
	for _, tc := range []struct {
		target, sent string
		status       int
	}{
		{"/api/x", "/x", 200},
		{"/api/a%2Fb", "/a%2Fb", 200},
		{"/api/a%2Fb%20c/d/?q=%2f", "/a%2Fb%20c/d/?q=%2f", 200},
		{"/elsewhere/x", "/new/elsewhere/x", 200},
		{"/elsewhere/a%2Fb", "", 400},
		{"/inside/x", "/new/inside/x", 200},
		{"/inside/a%2Fb", "", 400},
		{"/judged/x", "/x", 200},
		{"/judged/a%2Fb", "", 400},
	} {
		up.forget()
		if got := ask(t, c, "GET "+tc.target+" HTTP/1.1\nHost: 127.0.0.1\nAuthorization: "+auth+"\n\n"); got != tc.status {
			t.Errorf("%s: got %d, want %d", tc.target, got, tc.status)
		}
		sent := ""
		if r := up.last(); r != nil {
			sent = r.RequestURI
		}
		if sent != tc.sent {
			t.Errorf("%s: the upstream got %q, want %q", tc.target, sent, tc.sent)
		}
	}
}

// forward_auth asks about the very target that the upstream gets, at its own path,
// also where that target holds an allowed form.
func TestForwardAuthIsAskedWhatIsSent(t *testing.T) {
	up, authenticator := newUpstream(t), newUpstream(t)
	for _, proxy := range []string{"reverse_proxy", "gateway_proxy"} {
		t.Run(proxy, func(t *testing.T) {
			c := start(t, gatewayOptions(""), `
		gateway_site {
			allow encoded_slash path_parameters empty_segments
		}
		gateway_errors
		forward_auth $AUTH {
			uri /verify?from=gateway
		}
		`+proxy+` $UPSTREAM`, "$UPSTREAM", up.addr(), "$AUTH", authenticator.addr())
			for _, target := range []string{"/v1/x", "/v1/a%2Fb", "/v1/cars;colour=red/1?x=%2f", "/v1//x"} {
				up.forget()
				authenticator.forget()
				if got := ask(t, c, "GET "+target+" HTTP/1.1\nHost: 127.0.0.1\n\n"); got != 200 {
					t.Errorf("%s: got %d", target, got)
				}
				if r := authenticator.last(); r == nil || r.RequestURI != "/verify?from=gateway" || r.Header.Get("X-Forwarded-Uri") != target {
					t.Errorf("%s: the authenticator got %v", target, r)
				}
				if r := up.last(); r == nil || r.RequestURI != target {
					t.Errorf("%s: the upstream got %v", target, r)
				}
			}
		})
	}
}
