package cors

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins"
)

// request makes one; headers are pairs of name and value.
func request(method string, headers ...string) *http.Request {
	r := &http.Request{Method: method, Header: http.Header{}}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

func made(t testing.TB, c Config) *Policy {
	t.Helper()
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Tricks are those of published CORS bypasses: what begins or ends with an allowed
// origin, another form of it, and what a browser never sends.
func TestOrigins(t *testing.T) {
	exact := Config{Origins: []string{"https://example.com", "http://localhost:3000"}, Credentials: true}
	label := Config{Origins: []string{"https://*.example.com"}}
	port := Config{Origins: []string{"https://*.example.com:8443"}}
	expression := Config{Expressions: []string{`https://[a-z]+\.example\.com`, `https://b\.example|https://c\.example`}}
	everything := Config{Expressions: []string{`.*`}}
	for _, tc := range []struct {
		name    string
		config  Config
		origins []string
		want    bool
	}{
		{"exact", exact, []string{"https://example.com"}, true},
		{"exact with a port", exact, []string{"http://localhost:3000"}, true},
		{"suffix", exact, []string{"https://example.com.evil.net"}, false},
		{"prefix", exact, []string{"https://evilexample.com"}, false},
		{"a host below", exact, []string{"https://a.example.com"}, false},
		{"capitals", exact, []string{"https://EXAMPLE.com"}, false},
		{"capitals in the scheme", exact, []string{"HTTPS://example.com"}, false},
		{"another scheme", exact, []string{"http://example.com"}, false},
		{"port", exact, []string{"https://example.com:8443"}, false},
		{"the scheme's own port", exact, []string{"https://example.com:443"}, false},
		{"another port", exact, []string{"http://localhost:3001"}, false},
		{"trailing dot", exact, []string{"https://example.com."}, false},
		{"trailing slash", exact, []string{"https://example.com/"}, false},
		{"path", exact, []string{"https://example.com/x"}, false},
		{"userinfo", exact, []string{"https://example.com@evil.net"}, false},
		{"userinfo before", exact, []string{"https://evil.net@example.com"}, false},
		{"null", exact, []string{"null"}, false},
		{"empty", exact, []string{""}, false},
		{"two lines", exact, []string{"https://example.com", "https://evil.net"}, false},
		{"two equal lines", exact, []string{"https://example.com", "https://example.com"}, false},
		{"two in one line", exact, []string{"https://example.com, https://evil.net"}, false},
		{"two with a space", exact, []string{"https://evil.net https://example.com"}, false},
		{"Unicode", exact, []string{"https://exаmple.com"}, false},
		{"backquote", exact, []string{"https://example.com`.evil.net"}, false},
		{"very long", exact, []string{"https://" + strings.Repeat("a", 1<<16) + ".example.com"}, false},

		{"one label", label, []string{"https://app.example.com"}, true},
		{"one label with signs", label, []string{"https://my-app_1.example.com"}, true},
		{"two labels", label, []string{"https://a.b.example.com"}, false},
		{"no label", label, []string{"https://example.com"}, false},
		{"an empty label", label, []string{"https://.example.com"}, false},
		{"no dot before", label, []string{"https://evilexample.com"}, false},
		{"the suffix goes on", label, []string{"https://a.example.com.evil.net"}, false},
		{"the label ends a host", label, []string{"https://evil.net/.example.com"}, false},
		{"the label has a fragment", label, []string{"https://evil.net#.example.com"}, false},
		{"the label has a port", label, []string{"https://evil:80.example.com"}, false},
		{"the label has userinfo", label, []string{"https://x@y.example.com"}, false},
		{"the label has a backslash", label, []string{`https://evil\.example.com`}, false},
		{"a label in Unicode", label, []string{"https://é.example.com"}, false},
		{"a label in capitals", label, []string{"https://A.example.com"}, false},
		{"a label of 64 bytes", label, []string{"https://" + strings.Repeat("a", 64) + ".example.com"}, false},
		{"a label, and another scheme", label, []string{"http://a.example.com"}, false},
		{"a label, and a port", label, []string{"https://a.example.com:8443"}, false},
		{"a label, and a dot", label, []string{"https://a.example.com."}, false},
		{"a label and the port", port, []string{"https://a.example.com:8443"}, true},
		{"a label without the port", port, []string{"https://a.example.com"}, false},

		{"expression", expression, []string{"https://app.example.com"}, true},
		{"each branch", expression, []string{"https://c.example"}, true},
		{"a branch goes on", expression, []string{"https://b.example.evil.net"}, false},
		{"a branch begins before", expression, []string{"https://evil.net/https://c.example"}, false},
		{"the expression goes on", expression, []string{"https://app.example.com.evil.net"}, false},
		{"the expression begins before", expression, []string{"xhttps://app.example.com"}, false},
		{"a line before", expression, []string{"https://evil.net\nhttps://app.example.com"}, false},
		{"any expression, null", everything, []string{"null"}, false},
		{"any expression, no origin", everything, []string{"evil"}, false},
		{"any expression, a path", everything, []string{"https://evil.net/x"}, false},
		{"any expression, too long", everything, []string{"https://" + strings.Repeat("a", 400)}, false},
		{"any expression", everything, []string{"https://evil.net"}, true},
		{"a scheme of an app", everything, []string{"capacitor://localhost"}, true},
		{"an IPv6 address", everything, []string{"http://[::1]:3000"}, true},
		{"an IPv6 address in another form", everything, []string{"http://[0:0:0:0:0:0:0:1]:3000"}, false},

		{"everybody", Config{Origins: []string{"*"}}, []string{"https://evil.net"}, true},
		{"everybody, but not null", Config{Origins: []string{"*"}}, []string{"null"}, false},
		{"everybody and null", Config{Origins: []string{"*", "null"}}, []string{"null"}, true},
		{"null by name", Config{Origins: []string{"null"}}, []string{"null"}, true},
		{"null in capitals", Config{Origins: []string{"null"}}, []string{"NULL"}, false},
		{"null is not all", Config{Origins: []string{"null"}}, []string{"https://evil.net"}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := made(t, tc.config)
			for _, r := range []*http.Request{request("GET"), request("OPTIONS", "Access-Control-Request-Method", "GET")} {
				r.Header["Origin"] = tc.origins
				a, h := p.Decide(r), http.Header{}
				a.SetHeader(h)
				if a.Allowed != tc.want || a.Preflight != (r.Method == http.MethodOptions) || (a.Denial == nil) != (tc.want || !a.Preflight) {
					t.Errorf("%s: got %+v, want allowed %v", r.Method, a, tc.want)
				}
				if a.Denial != nil && (a.Denial.Reason != plugins.ReasonOriginNotAllowed || a.Denial.Status != 403) {
					t.Errorf("got %+v", a.Denial)
				}
				want := []string(nil)
				if tc.want {
					want = tc.origins
					if slices.Contains(tc.config.Origins, "*") && tc.origins[0] != "null" {
						want = []string{"*"}
					}
				}
				if got := h[allowOrigin]; !slices.Equal(got, want) {
					t.Errorf("%s: got %s %q, want %q", r.Method, allowOrigin, got, want)
				}
				if !strings.HasPrefix(h.Get("Vary"), "Origin") || !tc.want && len(h) != 1 {
					t.Errorf("%s: got %v", r.Method, h)
				}
			}
		})
	}
}

func TestPreflights(t *testing.T) {
	const page = "https://app.example.com"
	p := made(t, Config{Origins: []string{page}, Methods: []string{"GET", "POST"}, Headers: []string{"X-API-Key", "Authorization"}, MaxAge: time.Minute})
	all := made(t, Config{Origins: []string{page}, Headers: []string{"*"}, Credentials: true, PrivateNetwork: true})
	const ask, askHeaders, private = "Access-Control-Request-Method", "Access-Control-Request-Headers", "Access-Control-Request-Private-Network"
	for _, tc := range []struct {
		name    string
		policy  *Policy
		headers []string
		reason  plugins.Reason
		want    map[string]string
	}{
		{"a method", p, []string{ask, "POST"}, "", map[string]string{"Access-Control-Allow-Methods": "POST", "Access-Control-Max-Age": "60", "Access-Control-Allow-Credentials": ""}},
		{"headers", p, []string{ask, "GET", askHeaders, "authorization,x-api-key"}, "", map[string]string{"Access-Control-Allow-Headers": "authorization,x-api-key"}},
		{"another method", p, []string{ask, "DELETE"}, plugins.ReasonCORSMethod, nil},
		{"OPTIONS, which is not named", p, []string{ask, "OPTIONS"}, plugins.ReasonCORSMethod, nil},
		{"a method in small letters", p, []string{ask, "post"}, plugins.ReasonCORSMethod, nil},
		{"no method", p, []string{ask, ""}, plugins.ReasonCORSMethod, nil},
		{"two lines of methods", p, []string{ask, "GET", ask, "DELETE"}, plugins.ReasonCORSMethod, nil},
		{"another header", p, []string{ask, "GET", askHeaders, "authorization,x-evil"}, plugins.ReasonCORSHeader, nil},
		{"another header in a line of its own", p, []string{ask, "GET", askHeaders, "authorization", askHeaders, "x-evil"}, plugins.ReasonCORSHeader, nil},
		{"many headers", p, []string{ask, "GET", askHeaders, strings.Repeat(",", 1<<14)}, plugins.ReasonCORSHeader, nil},
		{"a private network, not allowed", p, []string{ask, "GET", private, "true"}, "", map[string]string{"Access-Control-Allow-Private-Network": ""}},
		{"a private network", all, []string{ask, "GET", private, "true"}, "", map[string]string{"Access-Control-Allow-Private-Network": "true", "Access-Control-Allow-Credentials": "true"}},
		{"any header", all, []string{ask, "DELETE", askHeaders, "x-any"}, "", map[string]string{"Access-Control-Allow-Headers": "x-any", "Access-Control-Max-Age": "0"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a, h := tc.policy.Decide(request("OPTIONS", append(tc.headers, "Origin", page)...)), http.Header{"Access-Control-Allow-Methods": {"*"}}
			a.SetHeader(h)
			switch {
			case !a.Preflight || (a.Denial != nil) != (tc.reason != ""):
				t.Fatalf("got %+v, denial %+v", a, a.Denial)
			case a.Denial != nil && (a.Denial.Reason != tc.reason || len(h) != 1):
				t.Errorf("got %s and %v, want %s and Vary alone", a.Denial.Reason, h, tc.reason)
			case a.Denial == nil && h.Get(allowOrigin) != page:
				t.Errorf("got %v", h)
			}
			for name, want := range tc.want {
				if got := h.Get(name); got != want {
					t.Errorf("%s: got %q, want %q", name, got, want)
				}
			}
			if h.Get("Vary") != varyOptions {
				t.Errorf("Vary: %q", h.Get("Vary"))
			}
		})
	}
	for name, r := range map[string]*http.Request{
		"OPTIONS that asks nothing": request("OPTIONS", "Origin", page),
		"OPTIONS of no page":        request("OPTIONS", ask, "GET"),
		"GET that asks":             request("GET", "Origin", page, ask, "GET"),
	} {
		if a := p.Decide(r); a.Preflight || a.Denial != nil {
			t.Errorf("%s: got %+v, want it passed on", name, a)
		}
	}
}

// What is exposed by default are the headers that tell a client what to do.
func TestExposed(t *testing.T) {
	for _, tc := range []struct {
		expose []string
		want   string
	}{
		{nil, strings.Join(DefaultExposed, ", ")},
		{[]string{"X-Total-Count", "retry-after"}, strings.Join(DefaultExposed, ", ") + ", X-Total-Count"},
		{[]string{"*"}, strings.Join(DefaultExposed, ", ") + ", *"},
		{[]string{"none"}, ""},
	} {
		h := http.Header{}
		made(t, Config{Origins: []string{"https://a.example"}, Expose: tc.expose}).Decide(request("GET", "Origin", "https://a.example")).SetHeader(h)
		if got := h.Get(exposeHeaders); got != tc.want {
			t.Errorf("expose %v: got %q, want %q", tc.expose, got, tc.want)
		}
	}
}

// What an upstream says of CORS goes, and what it says of Vary stays.
func TestSetHeaderReplaces(t *testing.T) {
	p := made(t, Config{Origins: []string{"https://a.example"}})
	for _, tc := range []struct {
		name    string
		headers []string
		vary    []string
		want    string
	}{
		{"none", nil, nil, "Origin"},
		{"of a page", []string{"Origin", "https://a.example"}, nil, "Origin"},
		{"another", nil, []string{"Accept-Encoding"}, "Accept-Encoding, Origin"},
		{"the same in small letters", nil, []string{"accept-encoding, origin"}, "accept-encoding, origin"},
		{"several lines", nil, []string{"Origin", "Accept", "Origin, Accept"}, "Origin, Accept"},
		{"everything", nil, []string{"Accept", "*"}, "*"},
		{"empty", nil, []string{""}, "Origin"},
	} {
		h := http.Header{"Access-Control-Allow-Origin": {"*", "https://evil.net"}, "Access-Control-Expose-Headers": {"X-Secret"}, "Access-Control-Allow-Credentials": {"true"}}
		if tc.vary != nil {
			h["Vary"] = tc.vary
		}
		a := p.Decide(request("GET", tc.headers...))
		for range 2 {
			a.SetHeader(h)
			if got := h["Vary"]; len(got) != 1 || got[0] != tc.want {
				t.Errorf("%s: Vary is %q, want %q", tc.name, got, tc.want)
			}
			if len(h[allowOrigin]) != len(tc.headers)/2 || h[allowCredentials] != nil || h.Get(exposeHeaders) == "X-Secret" {
				t.Errorf("%s: got %v", tc.name, h)
			}
		}
	}
}

// Each mistake is found, and told with what to write instead.
func TestMistakes(t *testing.T) {
	one := []string{"https://a.example"}
	for _, tc := range []struct {
		name   string
		config Config
		want   string
	}{
		{"no origin", Config{}, "`origins https://app.example.com`"},
		{"everybody with credentials", Config{Origins: []string{"*"}, Credentials: true}, "name the origins, like `origins https://app.example.com https://*.example.com`"},
		{"every expression with credentials", Config{Expressions: []string{"https://.*"}, Credentials: true}, "matches every origin"},
		{"a slash", Config{Origins: []string{"https://a.example/"}}, "write `https://a.example`"},
		{"a path", Config{Origins: []string{"https://a.example/x"}}, "write scheme, host and port"},
		{"no scheme", Config{Origins: []string{"a.example"}}, "write scheme, host and port"},
		{"capitals", Config{Origins: []string{"https://A.example"}}, "write `https://a.example`"},
		{"Unicode", Config{Origins: []string{"https://é.example"}}, "in ASCII"},
		{"userinfo", Config{Origins: []string{"https://a@b.example"}}, "write scheme"},
		{"the scheme's port", Config{Origins: []string{"https://a.example:443"}}, "write `https://a.example`"},
		{"port 0x", Config{Origins: []string{"https://a.example:08"}}, "write scheme"},
		{"a file", Config{Origins: []string{"file:///x"}}, "`null`"},
		{"a wildcard in a label", Config{Origins: []string{"https://a*.example.com"}}, "`https://*.example.com`"},
		{"a wildcard for a port", Config{Origins: []string{"http://localhost:*"}}, "origin_regexp"},
		{"two wildcards", Config{Origins: []string{"https://*.*.example.com"}}, "origin_regexp"},
		{"a wildcard below com", Config{Origins: []string{"https://*.com"}}, "anybody can have a name below com"},
		{"a wildcard below github.io", Config{Origins: []string{"https://*.github.io"}}, "anybody can have a name below github.io"},
		{"a wildcard for a slash", Config{Origins: []string{"https://*.example.com/"}}, "write `https://"},
		{"an expression", Config{Expressions: []string{"("}}, "origin_regexp"},
		{"an expression that steps out", Config{Expressions: []string{"a)|(?:b"}}, "origin_regexp"},
		{"a method in small letters", Config{Origins: one, Methods: []string{"get"}}, "in capitals"},
		{"every method", Config{Origins: one, Methods: []string{"*"}}, "methods by name"},
		{"two methods in a word", Config{Origins: one, Methods: []string{"GET,POST"}}, "`methods GET POST`"},
		{"all headers and one", Config{Origins: one, Headers: []string{"*", "X-A"}}, "`headers *` alone"},
		{"a header", Config{Origins: one, Headers: []string{"X A"}}, "write names"},
		{"all exposed with credentials", Config{Origins: one, Expose: []string{"*"}, Credentials: true}, "write the names"},
		{"none and one exposed", Config{Origins: one, Expose: []string{"none", "X-A"}}, "`expose none` alone"},
		{"part of a second", Config{Origins: one, MaxAge: time.Second / 2}, "whole seconds"},
	} {
		if _, err := New(tc.config); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q in it", tc.name, err, tc.want)
		}
	}
}

// An expression does not reach past its own group by flags.
func TestExpressionsAreAnchored(t *testing.T) {
	p := made(t, Config{Expressions: []string{`(?m)^https://a\.example$`, `(?i)https://B\.example`}})
	for origin, want := range map[string]bool{"https://a.example": true, "https://b.example": true, "https://a.example\nhttps://evil.net": false, "https://a.example.evil.net": false} {
		if got := p.Decide(request("GET", "Origin", origin)).Allowed; got != want {
			t.Errorf("%q: got %v", origin, got)
		}
	}
}

func BenchmarkDecide(b *testing.B) {
	p := made(b, Config{Origins: []string{"https://a.example", "https://*.example.com"}})
	for name, r := range map[string]*http.Request{
		"no origin": request("GET"), "allowed": request("GET", "Origin", "https://app.example.com"),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.Decide(r).SetHeader(http.Header{})
			}
		})
	}
}
