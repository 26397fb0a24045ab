package problem

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins/problem/internal/reading"
)

// collected is one case of a collection: a real error and what must come of it.
// error_bodies.jsonl was given; more_bodies.jsonl goes on in the same form, with
// bodies caught from other frameworks and written after the sources of more.
type collected struct {
	ID          string
	Status      int
	ContentType *string `json:"content_type"`
	Headers     map[string]string
	Body        string
	Expect      struct {
		Status            int
		Confidence        string
		DetailContains    oneOf    `json:"detail_contains"`
		DetailContainsAll []string `json:"detail_contains_all"`
		DetailNonempty    bool     `json:"detail_nonempty"`
		DetailType        []string `json:"detail_type"`
		MustNotContain    []string `json:"must_not_contain"`
		HeadersPreserved  []string `json:"headers_preserved"`
		RetryAfter        any      `json:"retry_after"`
		Passthrough       bool
		ValidationItems   []struct {
			Loc []any
			Msg string
		} `json:"validation_items"`
	}
}

// oneOf is a string or a list of which one will do.
type oneOf []string

func (o *oneOf) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) == nil {
		*o = oneOf{s}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(o))
}

func collection(t testing.TB) []collected {
	t.Helper()
	return append(readCollection(t, "testdata/error_bodies.jsonl"), readCollection(t, "testdata/more_bodies.jsonl")...)
}

func readCollection(t testing.TB, path string) []collected {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var out []collected
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var c collected
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		out = append(out, c)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

func (c collected) response() Response {
	h := http.Header{}
	for name, value := range c.Headers {
		h.Set(name, value)
	}
	if c.ContentType != nil {
		h.Set("Content-Type", *c.ContentType)
	}
	return Response{Status: c.Status, Header: h, Body: []byte(c.Body), Method: http.MethodGet}
}

// differsByDesign are judgement cases where the contract asks for something else.
var differsByDesign = map[string]string{
	"grpc-gateway-inv":            "field errors are the detail, so the message of the whole is not",
	"pydantic2-422-password-echo": "",
}

// overruled are cases whose status a later issue has changed: an upstream that is
// out of connections is a 503 to wait out, not a 500.
var overruled = map[string]int{"fastapi-500-pool-detail": http.StatusServiceUnavailable}

func testClock() time.Time { return time.Date(2026, 2, 18, 8, 48, 30, 0, time.UTC) }

func newTranslator(t testing.TB, c Config) *Translator {
	t.Helper()
	if c.Clock == nil {
		c.Clock = testClock
	}
	tr, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func TestCollection(t *testing.T) {
	tr := newTranslator(t, Config{})
	for _, c := range collection(t) {
		t.Run(c.ID, func(t *testing.T) {
			if c.Expect.Passthrough {
				// Nothing below 400 comes here; the middleware's tests have these.
				if c.Status >= 400 {
					t.Fatalf("passthrough case with status %d", c.Status)
				}
				return
			}
			if reason, ok := differsByDesign[c.ID]; ok && reason != "" {
				if c.Expect.Confidence == "firm" {
					t.Fatal("a firm case can't differ by design")
				}
				c.Expect.DetailContains = nil
			}
			if status, ok := overruled[c.ID]; ok {
				c.Expect.Status = status
			}
			for _, problem := range judge(tr, c) {
				t.Error(problem)
			}
		})
	}
}

// judge returns what is wrong with the answer to a collected case.
func judge(tr *Translator, c collected) (wrong []string) {
	fail := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	r := c.response()
	p, pass := tr.Translate(r)
	header := r.Header.Clone()
	body := []byte(c.Body)
	if !pass {
		StripEntityHeaders(header)
		body = tr.Append(nil, p, tr.Format(), Env{RequestID: "r"})
	}
	if p.RetryAfter > 0 {
		header.Set("Retry-After", fmt.Sprint(p.RetryAfter))
	}
	var got struct {
		Detail     any
		RetryAfter *int `json:"retry_after"`
	}
	if err := json.Unmarshal(body, &got); err != nil {
		fail("body is not JSON: %v\n%s", err, body)
		return wrong
	}
	fail2 := func(format string, args ...any) {
		fail("%s\nreader %s, leak %q, pass %v, body %s", fmt.Sprintf(format, args...), p.Reader, p.Leak, pass, body)
	}
	if p.Status != c.Expect.Status {
		fail2("status: got %d, want %d", p.Status, c.Expect.Status)
	}
	var detail string
	switch d := got.Detail.(type) {
	case string:
		detail = d
	case []any:
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		_ = e.Encode(d)
		detail = b.String()
	default:
		fail2("detail is %T", d)
	}
	if detail == "" {
		fail2("detail is empty")
	}
	if want := c.Expect.DetailContains; want != nil {
		found := false
		for _, w := range want {
			found = found || strings.Contains(strings.ReplaceAll(detail, `\"`, `"`), w)
		}
		if !found {
			fail2("detail %q contains none of %q", detail, want)
		}
	}
	for _, w := range c.Expect.DetailContainsAll {
		if !strings.Contains(detail, w) {
			fail2("detail %q does not contain %q", detail, w)
		}
	}
	for _, w := range c.Expect.MustNotContain {
		if strings.Contains(string(body), w) || strings.Contains(detail, w) {
			fail2("body contains %q", w)
		}
	}
	for _, name := range c.Expect.HeadersPreserved {
		if header.Get(name) == "" || header.Get(name) != r.Header.Get(name) {
			fail2("header %s: got %q, want %q", name, header.Get(name), r.Header.Get(name))
		}
	}
	switch want := c.Expect.RetryAfter.(type) {
	case float64:
		if p.RetryAfter != int(want) {
			fail2("retry after: got %d, want %v", p.RetryAfter, want)
		}
	case string:
		if p.RetryAfter <= 0 {
			fail2("retry after: got %d, want an integer", p.RetryAfter)
		}
	}
	if want := c.Expect.ValidationItems; want != nil {
		items, _ := got.Detail.([]any)
		if len(items) != len(want) {
			fail2("got %d items, want %d", len(items), len(want))
			return wrong
		}
		for i, w := range want {
			item, _ := items[i].(map[string]any)
			loc, _ := item["loc"].([]any)
			if msg, _ := item["msg"].(string); !strings.Contains(msg, w.Msg) {
				fail2("item %d: msg %q does not contain %q", i, msg, w.Msg)
			}
			if s, _ := item["type"].(string); s == "" {
				fail2("item %d has no type", i)
			}
			if !endsWith(loc, w.Loc) && !(len(w.Loc) == 1 && endsWith(loc, parseLocFloat(w.Loc[0]))) {
				fail2("item %d: loc %v does not end with %v", i, loc, w.Loc)
			}
		}
	}
	return wrong
}

// parseLocFloat splits a location that the collection leaves in one element.
func parseLocFloat(v any) []any {
	s, _ := v.(string)
	loc := reading.ParseLoc(s)
	for i, e := range loc {
		if n, ok := e.(int64); ok {
			loc[i] = float64(n)
		}
	}
	return loc
}

func endsWith(got, want []any) bool {
	if len(got) < len(want) {
		return false
	}
	for i, w := range want {
		if got[len(got)-len(want)+i] != w {
			return false
		}
	}
	return len(want) > 0
}
