package problem

import (
	"net/http"
	"testing"
)

// TestTooManyRequestsInTheFormat: a 429 says how long to wait, in a body that is in
// the format already too, and nothing else of that body changes.
func TestTooManyRequestsInTheFormat(t *testing.T) {
	tr := newTranslator(t, Config{})
	const slow = `{"detail":"Slow down"}`
	for _, c := range []struct {
		name   string
		header http.Header
		body   string
		want   string // empty: byte for byte
		retry  int
	}{
		{"Retry-After in seconds", http.Header{"Retry-After": {"30"}}, slow, `{"detail":"Slow down","retry_after":30}`, 30},
		{"absent", nil, slow, `{"detail":"Slow down","retry_after":5}`, 5},
		{"zero", http.Header{"Retry-After": {"0"}}, slow, `{"detail":"Slow down","retry_after":1}`, 1},
		{"negative", http.Header{"Retry-After": {"-30"}}, slow, `{"detail":"Slow down","retry_after":5}`, 5},
		{"garbage", http.Header{"Retry-After": {"soon"}}, slow, `{"detail":"Slow down","retry_after":5}`, 5},
		{"empty", http.Header{"Retry-After": {""}}, slow, `{"detail":"Slow down","retry_after":5}`, 5},
		{"a fraction", http.Header{"Retry-After": {"1.2"}}, slow, `{"detail":"Slow down","retry_after":2}`, 2},
		{"twice: the longer holds for both", http.Header{"Retry-After": {"10", "30"}}, slow, `{"detail":"Slow down","retry_after":30}`, 30},
		{"twice in one line", http.Header{"Retry-After": {"30, 10"}}, slow, `{"detail":"Slow down","retry_after":30}`, 30},
		{"twice, one of them garbage", http.Header{"Retry-After": {"soon", "7"}}, slow, `{"detail":"Slow down","retry_after":7}`, 7},
		{"twice, both garbage", http.Header{"Retry-After": {"soon", "-1"}}, slow, `{"detail":"Slow down","retry_after":5}`, 5},
		{"a date", http.Header{"Retry-After": {"Wed, 18 Feb 2026 08:49:00 GMT"}}, slow, `{"detail":"Slow down","retry_after":30}`, 30},
		{"a date in the past", http.Header{"Retry-After": {"Wed, 18 Feb 2026 08:00:00 GMT"}}, slow, `{"detail":"Slow down","retry_after":1}`, 1},
		{"a date long past", http.Header{"Retry-After": {"Wed, 21 Oct 2015 07:28:00 GMT"}}, slow, `{"detail":"Slow down","retry_after":5}`, 5},
		{"a month", http.Header{"Retry-After": {"2592000"}}, slow, `{"detail":"Slow down","retry_after":2592000}`, 2592000},
		{"years", http.Header{"Retry-After": {"99999999"}}, slow, `{"detail":"Slow down","retry_after":5}`, 5},
		{"another dialect", http.Header{"X-Ratelimit-Reset-After": {"12"}}, slow, `{"detail":"Slow down","retry_after":12}`, 12},

		{"the body has it", nil, `{"detail":"Slow down", "retry_after": 12}`, "", 12},
		{"the body has the header's", http.Header{"Retry-After": {"12"}}, `{"retry_after":12,"detail":"Slow down"}`, "", 12},
		{"the body has another than the header", http.Header{"Retry-After": {"30"}}, `{"retry_after": 12, "detail":"Slow down"}`, `{"retry_after": 30, "detail":"Slow down"}`, 30},
		{"the body has a fraction", nil, `{"detail":"Slow down","retry_after":64.57}`, `{"detail":"Slow down","retry_after":65}`, 65},
		{"the body has a text", nil, `{"detail":"Slow down","retry_after":"12"}`, `{"detail":"Slow down","retry_after":12}`, 12},
		{"the body has null", nil, `{"detail":"Slow down","retry_after":null}`, `{"detail":"Slow down","retry_after":5}`, 5},
		{"the body has a negative one", nil, `{"detail":"Slow down","retry_after":-1}`, `{"detail":"Slow down","retry_after":5}`, 5},
		{"the body has it twice", nil, `{"retry_after":1,"detail":"Slow down","retry_after":2}`, `{"retry_after":2,"detail":"Slow down","retry_after":2}`, 2},
		{"the body has it inside", nil, `{"detail":"Slow down","meta":{"retry_after":9}}`, `{"detail":"Slow down","meta":{"retry_after":9},"retry_after":9}`, 9},
		{"the message has it", nil, `{"detail":"Request was throttled. Expected available in 42 seconds."}`, `{"detail":"Request was throttled. Expected available in 42 seconds.","retry_after":42}`, 42},

		{"the rest of the body stays", nil, "{\n  \"code\": 7,\n  \"detail\": \"Slow down\",\n  \"x\": [1, {\"y\": \"}\"}]\n}", "{\n  \"code\": 7,\n  \"detail\": \"Slow down\",\n  \"x\": [1, {\"y\": \"}\"}],\"retry_after\":5\n}", 5},
		{"escapes stay", nil, `{"detail":"Slow \"down\" \u00e9\/"}`, `{"detail":"Slow \"down\" \u00e9\/","retry_after":5}`, 5},
		{"a list", nil, `{"detail":[{"loc":["body"],"msg":"too often","type":"x"}]}`, `{"detail":[{"loc":["body"],"msg":"too often","type":"x"}],"retry_after":5}`, 5},
		{"a problem document", nil, `{"type":"about:blank","title":"Too Many Requests","status":429,"detail":"Slow down"}`, `{"type":"about:blank","title":"Too Many Requests","status":429,"detail":"Slow down","retry_after":5}`, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.header == nil {
				c.header = http.Header{}
			}
			p, pass := tr.Translate(Response{Status: 429, Header: c.header, Body: []byte(c.body)})
			if !pass || string(p.Body) != c.want || p.RetryAfter != c.retry {
				t.Errorf("got pass %v, retry after %d, body %s\nwant %d, %s", pass, p.RetryAfter, p.Body, c.retry, c.want)
			}
		})
	}
	t.Run("only a 429", func(t *testing.T) {
		if p, pass := tr.Translate(Response{Status: 503, Header: http.Header{}, Body: []byte(`{"detail":"Busy"}`)}); !pass || p.Body != nil || p.RetryAfter != 5 {
			t.Errorf("got pass %v, body %s, retry after %d", pass, p.Body, p.RetryAfter)
		}
	})
	t.Run("a rule makes it a 429", func(t *testing.T) {
		own := newTranslator(t, Config{Rules: []Rule{{Status: 420, NewStatus: 429, RetryAfter: 9}}})
		if p, pass := own.Translate(Response{Status: 420, Header: http.Header{}, Body: []byte(slow)}); !pass || string(p.Body) != `{"detail":"Slow down","retry_after":9}` {
			t.Errorf("got pass %v, body %s", pass, p.Body)
		}
	})
}

// TestExceptionBesideItsStack: a 5xx in the format whose stack stands beside the
// detail has an exception's text for a detail, however harmless it reads.
func TestExceptionBesideItsStack(t *testing.T) {
	tr := newTranslator(t, Config{})
	const stack = `["main:12", "views:7"]`
	for _, member := range []string{"trace", "traceback", "stack", "stackTrace", "stack_trace", "error_traceback", "exc_info", "backtrace", "callStack", "Traceback"} {
		body := `{"detail":"division by zero","` + member + `":` + stack + `}`
		p, pass, got := answer(t, tr, Response{Status: 500, Body: []byte(body)})
		if pass || got != `{"detail":"Internal server error"}` || p.Leak != "stack" || p.Original == "" {
			t.Errorf("%s: got %s (pass %v, leak %q)", member, got, pass, p.Leak)
		}
		if _, _, got := answer(t, tr, Response{Status: 409, Body: []byte(body)}); got != `{"detail":"division by zero"}` {
			t.Errorf("%s of a 409: got %s", member, got)
		}
	}
	for _, beside := range []string{`"trace_id":"4bf92f3577b34da6"`, `"traceId":"4bf9(2)"`, `"traceparent":"00-4bf9-00"`, `"stack":"blue"`} {
		body := `{"detail":"Report failed",` + beside + `}`
		if p, pass, got := answer(t, tr, Response{Status: 500, Body: []byte(body)}); !pass {
			t.Errorf("%s: got %s, leak %q, want it as it is", beside, got, p.Leak)
		}
	}
}

// TestViolationsBesideDetail: a problem document whose detail puts its violations
// into one text passes, and where that text has to go the list is kept.
func TestViolationsBesideDetail(t *testing.T) {
	tr := newTranslator(t, Config{})
	for _, c := range []struct{ name, body, want string }{
		{"passes", `{"title":"Constraint Violation","status":400,"detail":"name: must not be blank","violations":[{"field":"name","message":"must not be blank"}]}`, ""},
		{"passes with what was submitted", `{"status":400,"detail":"file: unknown","violations":[{"field":"file","message":"unknown","rejectedValue":"/etc/passwd"}]}`, ""},
		{"a class in the detail", `{"title":"Constraint Violation","status":400,"detail":"com.acme.shop.api.UserDto.name: must not be blank","violations":[{"field":"com.acme.shop.api.UserDto.name","message":"must not be blank"}]}`, `{"detail":[{"loc":["name"],"msg":"must not be blank","type":"value_error"}]}`},
		{"a field that looks like a host", `{"status":400,"detail":"address.local: must not be blank","violations":[{"field":"address.local","message":"must not be blank"}]}`, `{"detail":[{"loc":["address","local"],"msg":"must not be blank","type":"value_error"}]}`},
		{"a leak in a violation too", `{"status":400,"detail":"com.acme.UserDto.name: must not be blank","violations":[{"field":"name","message":"dial tcp 10.0.0.1:5432"}]}`, `{"detail":[{"loc":["name"],"msg":"Invalid value","type":"value_error"}]}`},
		{"no list beside it", `{"status":400,"detail":"com.acme.UserDto.name: must not be blank"}`, `{"detail":"Bad Request"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, pass, got := answer(t, tr, Response{Status: 400, Body: []byte(c.body)})
			if pass != (c.want == "") || !pass && got != c.want {
				t.Errorf("got %s (pass %v, leak %q), want %s", got, pass, p.Leak, c.want)
			}
		})
	}
}
