package caddymodule_test

import (
	"compress/gzip"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/ainative/portcullis/caddymodule/internal/caddyharness"
)

// TestErrorsOfHEAD: HEAD says nothing in its header that GET does not say.
func TestErrorsOfHEAD(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions(""), "gateway_errors\n reverse_proxy $UPSTREAM", "$UPSTREAM", up.addr())
	reply := func(contentType, coding, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			h.Set("Content-Type", contentType)
			h.Set("ETag", `"x"`)
			h.Set("Last-Modified", "Mon, 02 Jan 2006 15:04:05 GMT")
			h.Set("Allow", "GET")
			text := body
			if coding != "" {
				h.Set("Content-Encoding", coding)
				var b strings.Builder
				z := gzip.NewWriter(&b)
				fmt.Fprint(z, body)
				_ = z.Close()
				text = b.String()
			}
			h.Set("Content-Length", fmt.Sprint(len(text)))
			w.WriteHeader(http.StatusConflict)
			if r.Method != http.MethodHead {
				fmt.Fprint(w, text)
			}
		}
	}
	for name, reply := range map[string]http.HandlerFunc{
		"compressed, translated":         reply("application/json", "gzip", `{"message":"Taken"}`),
		"compressed, in the format":      reply("application/json", "gzip", `{"detail":"Taken"}`),
		"plain, translated":              reply("application/json", "", `{"message":"Taken"}`),
		"plain, in the format":           reply("application/json", "", `{"detail":"Taken"}`),
		"a page":                         reply("text/html", "gzip", `<h1>Taken</h1>`),
		"a problem document":             reply("application/problem+json", "", `{"title":"No","status":409,"detail":"Taken"}`),
		"a problem document, translated": reply("application/problem+json", "gzip", `{"title":"Taken it is","status":409}`),
	} {
		for _, accept := range []string{"*/*", "application/problem+json"} {
			t.Run(name+" "+accept, func(t *testing.T) {
				up.answer(reply)
				get := c.Get("/", "Accept", accept, "Accept-Encoding", "gzip")
				head := c.Do(http.MethodHead, "/", "", "Accept", accept, "Accept-Encoding", "gzip")
				if head.Status != get.Status || head.Body != "" {
					t.Errorf("got %d %q, want %d and no body", head.Status, head.Body, get.Status)
				}
				for field, values := range head.Header {
					if field == "Date" || field == "X-Request-Id" {
						continue
					}
					if want := get.Header[field]; strings.Join(values, "|") != strings.Join(want, "|") {
						t.Errorf("%s: HEAD says %q, GET %q", field, values, want)
					}
				}
				for _, field := range []string{"Content-Type", "Allow"} {
					if head.Header.Get(field) == "" {
						t.Errorf("HEAD has no %s", field)
					}
				}
			})
		}
	}
}

// TestErrorsHaveOneOrigin: a browser refuses an answer with two origins.
func TestErrorsHaveOneOrigin(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions(""), `
	gateway_errors
	route /outside {
		header {
			Access-Control-Allow-Origin https://site.example
			Access-Control-Max-Age 60
		}
		gateway_errors
		reverse_proxy $UPSTREAM
	}
	route /inside {
		gateway_errors
		header Access-Control-Allow-Origin https://site.example
		reverse_proxy $UPSTREAM
	}
	route /deferred/outside {
		header >Access-Control-Allow-Origin https://site.example
		gateway_errors
		reverse_proxy $UPSTREAM
	}
	route /deferred/inside {
		gateway_errors
		header >Access-Control-Allow-Origin https://site.example
		reverse_proxy $UPSTREAM
	}
	handle /directives {
		header Access-Control-Allow-Origin https://site.example
		reverse_proxy $UPSTREAM
	}
	handle /upstream {
		reverse_proxy $UPSTREAM
	}`, "$UPSTREAM", up.addr())
	for _, status := range []int{200, 204, 404, 500} {
		for _, body := range []string{`{"detail":"x y"}`, `{"message":"x y"}`} {
			up.answer(func(w http.ResponseWriter, _ *http.Request) {
				h := w.Header()
				h.Set("Access-Control-Allow-Origin", "https://upstream.example")
				h.Set("Access-Control-Max-Age", "600")
				h.Add("Access-Control-Expose-Headers", "A")
				h.Add("Access-Control-Expose-Headers", "B")
				w.WriteHeader(status)
				if status != 204 {
					fmt.Fprint(w, body)
				}
			})
			for path, want := range map[string]string{
				"/outside": "https://site.example", "/inside": "https://site.example", "/deferred/outside": "https://site.example",
				"/deferred/inside": "https://site.example", "/directives": "https://site.example", "/upstream": "https://upstream.example",
			} {
				got := c.Get(path)
				if origins := got.Header.Values("Access-Control-Allow-Origin"); len(origins) != 1 || origins[0] != want {
					t.Errorf("%s, %d: got origins %q, want %s", path, status, origins, want)
				}
				if ages := got.Header.Values("Access-Control-Max-Age"); len(ages) != 1 {
					t.Errorf("%s, %d: got ages %q, want one", path, status, ages)
				}
				if exposed := got.Header.Values("Access-Control-Expose-Headers"); len(exposed) != 2 {
					t.Errorf("%s, %d: got exposed headers %q, want both", path, status, exposed)
				}
			}
		}
	}
}

// TestTooManyRequestsOfUpstream: an upstream's 429 in the format gets the
// retry_after that its own header says, not one of the gateway's limits, and
// nothing else of its body changes.
func TestTooManyRequestsOfUpstream(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions(""), "gateway_errors\n gateway_limit {\n anonymous 1000/1m\n }\n reverse_proxy $UPSTREAM", "$UPSTREAM", up.addr())
	for _, tc := range []struct {
		name                   string
		header, value          string
		body, wantBody, accept string
		wantRetry              string
	}{
		{"Retry-After", "Retry-After", "30", `{"code":1, "detail":"Slow down"}`, `{"code":1, "detail":"Slow down","retry_after":30}`, "*/*", "30"},
		{"its own dialect", "X-RateLimit-Reset", "17", `{"detail":"Slow down"}`, `{"detail":"Slow down","retry_after":17}`, "*/*", "17"},
		{"not in the format", "RateLimit-Reset", "18", `{"message":"Slow down"}`, `{"detail":"Slow down","retry_after":18}`, "*/*", "18"},
		{"nothing said", "X-Other", "1", `{"detail":"Slow down"}`, `{"detail":"Slow down","retry_after":5}`, "*/*", "5"},
		{"said by the body", "X-Other", "1", `{"detail":"Slow down","retry_after":9}`, `{"detail":"Slow down","retry_after":9}`, "*/*", "9"},
		{"garbage", "Retry-After", "soon", `{"detail":"Slow down"}`, `{"detail":"Slow down","retry_after":5}`, "*/*", "5"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			up.answer(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.Header().Set("ETag", `"x"`)
				w.Header().Set(tc.header, tc.value)
				w.WriteHeader(http.StatusTooManyRequests)
				fmt.Fprint(w, tc.body)
			})
			got := c.Get("/")
			if got.Status != 429 || got.Body != tc.wantBody || got.Header.Get("Retry-After") != tc.wantRetry || got.Header.Get("Content-Type") != "application/json" {
				t.Errorf("got %d %s, %v\nwant %s, Retry-After %s", got.Status, got.Body, got.Header, tc.wantBody, tc.wantRetry)
			}
			if changed := got.Body != tc.body; changed == (got.Header.Get("ETag") != "") {
				t.Errorf("body changed %v, ETag %q", changed, got.Header.Get("ETag"))
			}
			if limits := got.Header.Values("X-RateLimit-Limit"); len(limits) != 1 || limits[0] != "1000" {
				t.Errorf("got X-RateLimit-Limit %q, want that of the gateway", limits)
			}
		})
	}
}

// TestUpstreamLimitHeaders: what an upstream says of its own limits does not stand
// beside what the gateway says of its.
func TestUpstreamLimitHeaders(t *testing.T) {
	up := newUpstream(t)
	c := start(t, gatewayOptions(""), `
	handle /all {
		gateway_errors
		gateway_limit {
			anonymous 1/1h
		}
		reverse_proxy $UPSTREAM
	}
	handle /none {
		gateway_errors
		gateway_limit {
			zone none
			anonymous 1/1h
			headers none
		}
		reverse_proxy $UPSTREAM
	}
	handle /bare {
		gateway_limit {
			zone bare
			anonymous 1/1h
			headers none
		}
		reverse_proxy $UPSTREAM
	}
	handle /unlimited {
		gateway_errors
		reverse_proxy $UPSTREAM
	}`, "$UPSTREAM", up.addr())
	dialects := []string{
		"RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "RateLimit-Policy", "RateLimit", "X-RateLimit-Used", "X-RateLimit-Resource",
		"X-RateLimit-Limit-Minute", "X-RateLimit-Remaining-Minute", "X-Rate-Limit-Limit", "X-Rate-Limit-Remaining", "X-RateLimit-Limit-Requests",
	}
	up.answer(func(w http.ResponseWriter, _ *http.Request) {
		for _, name := range dialects {
			w.Header().Set(name, "theirs")
		}
		fmt.Fprint(w, "ok")
	})
	theirs := func(got caddyharness.Response) (names []string) {
		for name, values := range got.Header {
			for _, v := range values {
				if v == "theirs" {
					names = append(names, name)
				}
			}
		}
		return names
	}
	for _, path := range []string{"/all", "/none", "/bare"} {
		if got := c.Get(path); got.Status != 200 || len(theirs(got)) != 0 {
			t.Errorf("%s: got %d with the upstream's %q", path, got.Status, theirs(got))
		}
		refused := c.Get(path)
		if refused.Status != 429 || refused.Header.Get("Retry-After") == "" {
			t.Errorf("%s: got %d, Retry-After %q: every 429 has one", path, refused.Status, refused.Header.Get("Retry-After"))
		}
		if limit := refused.Header.Get("X-RateLimit-Limit"); (path == "/all") != (limit != "") {
			t.Errorf("%s: got X-RateLimit-Limit %q", path, limit)
		}
	}
	if got := c.Get("/unlimited"); len(theirs(got)) != len(dialects) {
		t.Errorf("without a limit of ours: got the upstream's %q, want all of them", theirs(got))
	}
}
