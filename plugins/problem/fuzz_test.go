package problem

import (
	"encoding/json"
	"flag"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ainative/portcullis/plugins/problem/internal/leak"
	"github.com/ainative/portcullis/plugins/problem/internal/reading"
)

// planted are secrets that no answer may hold, each in the words by which
// servers give them away.
var planted = []string{
	"postgresql://app:pl4nted-s3cret@db.internal:5432/shop",
	"Traceback (most recent call last):\n  File \"/srv/pl4nted/app.py\", line 3, in f",
	"dial tcp 10.77.0.9:5432: connect: connection refused pl4nted",
	"SQLSTATE[42S02]: pl4nted",
	"    at pl4nted (/srv/app/node_modules/x.js:1:2)",
	"com.pl4nted.shop.dto.UserDto",
}

// FuzzTranslate: whatever an upstream sends, the answer is JSON in the format
// asked for, its status is an error, and it does not leak.
func FuzzTranslate(f *testing.F) {
	seeds := readCollection(f, "testdata/error_bodies.jsonl")
	if flag.Lookup("test.fuzz").Value.String() != "" {
		// Too many for every run of the tests, in which they are judged anyway.
		seeds = collection(f)
	}
	for _, c := range seeds {
		contentType := ""
		if c.ContentType != nil {
			contentType = *c.ContentType
		}
		f.Add(c.Status, contentType, "", c.Headers["Retry-After"], "", []byte(c.Body), byte(0))
	}
	for i, c := range families {
		f.Add(c.status, "", "", "", "X-Ratelimit-Reset: 1771404540", []byte(c.body), byte(i))
	}
	for i, s := range planted {
		quoted, _ := json.Marshal(s)
		for _, body := range []string{s, `{"detail":` + string(quoted) + `}`, `{"message":` + string(quoted) + `}`, `{"errors":{"a":[` + string(quoted) + `]}}`, "<html><h1>x</h1><p>" + s} {
			f.Add(400, "text/plain", "", "", "", []byte(body), byte(i))
			f.Add(500, "", "", "", "", []byte(body), byte(i))
		}
	}
	for i, body := range []string{`{"detail":"a","retry_after":1.5}`, `{"retry_after":{"x":[1]},"detail":[]}`, "{\"detail\":\"\\ud83d\" ,\n\"a\":{\"retry_after\":7}}"} {
		f.Add(429, "", "", strings.Repeat("9, ", i), "", []byte(body), byte(i))
	}
	f.Add(429, "application/json; charset=utf-16", "gzip, br", "Mon, 05 Aug 2019 09:27:05 GMT", "Date: Mon, 05 Aug 2019 09:27:00 GMT\nRateLimit: \"default\";r=0;t=5", []byte("\x1f\x8b"), byte(3))
	house := newTranslator(f, Config{MaxBody: 1 << 16, Rules: []Rule{{Status: 5, Contains: "busy", NewStatus: 503, RetryAfter: 7}}})
	show := newTranslator(f, Config{MaxBody: 1 << 16, ServerMessages: true, Format: FormatCustom, Template: `{"e":{"s":"{problem.status}","d":"{problem.detail}","m":"-{problem.message}-","f":"{problem.errors}"}}`})
	f.Fuzz(func(t *testing.T, status int, contentType, contentEncoding, retryAfter, more string, body []byte, plant byte) {
		h := http.Header{"Content-Type": {contentType}, "Content-Encoding": {contentEncoding}, "Retry-After": {retryAfter}}
		for line := range strings.SplitSeq(more, "\n") {
			if name, value, ok := strings.Cut(line, ":"); ok && len(h) < 16 {
				h[http.CanonicalHeaderKey(name)] = []string{strings.TrimSpace(value)}
			}
		}
		bodies := [][]byte{body}
		if len(body) > 2 && len(body) < 4096 && contentEncoding == "" {
			// Plant a secret where a string of the body ends.
			secret := planted[int(plant)%len(planted)]
			escaped, _ := json.Marshal(secret)
			if i := strings.LastIndex(string(body), `"`); i > 0 {
				bodies = append(bodies, []byte(string(body[:i])+" "+string(escaped[1:len(escaped)-1])+string(body[i:])))
			}
		}
		for n, b := range bodies {
			for _, tr := range []*Translator{house, show} {
				p, pass := tr.Translate(Response{Status: status, Header: h, Body: b})
				if p.Status < 400 || p.Status > 599 || p.Detail == "" || !utf8.ValidString(p.Original) {
					t.Fatalf("%+v", p)
				}
				if p.RetryAfter < 0 || p.RetryAfter > maxRetryAfter || p.RetryAfter == 0 && (p.Status == 429 || p.Status == 503) {
					t.Fatalf("retry after %d on %d", p.RetryAfter, p.Status)
				}
				if len(p.Original) > maxOriginal+8 || strings.ContainsAny(p.Original, "\r\n") {
					t.Fatalf("original %q", p.Original)
				}
				for _, as := range []Format{FormatFastAPI, FormatProblem, FormatCustom} {
					out := tr.Append(nil, p, as, Env{RequestID: "r"})
					// 100 fields and as many messages are all that an answer ever holds.
					if len(out) > 512<<10 {
						t.Fatalf("an answer of %d bytes to a body of %d", len(out), len(b))
					}
					var v map[string]any
					if err := json.Unmarshal(out, &v); err != nil {
						t.Fatalf("%s: %v", out, err)
					}
					if as == FormatFastAPI || as == FormatProblem {
						switch d := v["detail"].(type) {
						case string:
							if d == "" {
								t.Fatalf("empty: %s", out)
							}
						case []any:
							if as == FormatProblem {
								t.Fatalf("list: %s", out)
							}
						default:
							t.Fatalf("detail is %T: %s", d, out)
						}
					}
					if n == 1 && !pass && strings.Contains(string(out), "pl4nted") && leak.Of(string(body)) == "" && json.Valid(b) {
						t.Fatalf("planted secret in %s (reader %s)\nof %s", out, p.Reader, b)
					}
				}
				if pass && !json.Valid(bodyOf(house, b, contentEncoding)) {
					t.Fatalf("passed %q", b)
				}
				if pass && p.Status == http.StatusTooManyRequests {
					wantRetryAfter(t, p, bodyOf(house, b, contentEncoding))
				}
			}
		}
	})
}

// wantRetryAfter: what leaves of a 429 that passes says how long to wait, and nothing
// else of the body has changed.
func wantRetryAfter(t *testing.T, p Problem, sent []byte) {
	t.Helper()
	leaves := p.Body
	if leaves == nil {
		leaves = sent
	}
	var before, after map[string]json.RawMessage
	if err := json.Unmarshal(leaves, &after); err != nil {
		t.Fatalf("%q: %v", leaves, err)
	}
	if err := json.Unmarshal([]byte(strings.Trim(string(sent), " \t\r\n\x00")), &before); err != nil {
		t.Fatalf("%q: %v", sent, err)
	}
	if got := string(after["retry_after"]); got != strconv.Itoa(p.RetryAfter) {
		t.Fatalf("retry_after is %s, want %d: %q", got, p.RetryAfter, leaves)
	}
	delete(before, "retry_after")
	delete(after, "retry_after")
	if !maps.EqualFunc(before, after, func(a, b json.RawMessage) bool { return string(a) == string(b) }) {
		t.Fatalf("%q became %q", sent, leaves)
	}
}

// bodyOf is the decoded body.
func bodyOf(tr *Translator, b []byte, contentEncoding string) []byte {
	out, _ := tr.decode(b, []string{contentEncoding})
	return out
}

// FuzzLeak: the guard never panics, and finds a leak again however much harmless
// text surrounds it.
func FuzzLeak(f *testing.F) {
	for _, s := range planted {
		f.Add("before ", s, " after")
	}
	f.Fuzz(func(t *testing.T, before, text, after string) {
		leak.Of(before + text + after)
		redact(before + text + after)
		reading.Humanize(404, before+text+after, reading.MaxMessage)
		toUTF8([]byte(text), before)
		AcceptsProblem([]string{before, text})
		reading.ParseLoc(text)
		delay(text, testClock())
	})
}
