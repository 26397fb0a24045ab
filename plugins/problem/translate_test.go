package problem

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/text/encoding/japanese"
)

// answer translates and renders in the house format.
func answer(t *testing.T, tr *Translator, r Response) (Problem, bool, string) {
	t.Helper()
	if r.Header == nil {
		r.Header = http.Header{}
	}
	p, pass := tr.Translate(r)
	body := string(tr.Append(nil, p, tr.Format(), Env{RequestID: "req-1"}))
	if !json.Valid([]byte(body)) {
		t.Fatalf("not JSON: %s", body)
	}
	return p, pass, body
}

func TestPasses(t *testing.T) {
	tr := newTranslator(t, Config{})
	for _, c := range []struct {
		name   string
		status int
		body   string
		want   bool
	}{
		{"string", 404, `{"detail":"Item not found"}`, true},
		{"string with more", 409, `{"code":"taken","detail":"Name is taken","links":{"self":"/x"}}`, true},
		{"problem+json", 403, `{"type":"https://example.com/p","title":"No credit","status":403,"detail":"Your balance is 30."}`, true},
		{"list", 422, `{"detail":[{"loc":["body"],"msg":"field required","type":"value_error.missing"}]}`, true},
		{"empty list", 422, `{"detail":[]}`, true},
		{"space around", 404, " {\"detail\":\"x y\"}\n", true},
		{"submitted path in ctx", 422, `{"detail":[{"loc":["body",1],"msg":"bad","type":"x","ctx":{"doc":"/etc/passwd SELECT a FROM b"},"input":"/var/lib/x"}]}`, true},
		{"clean 500", 500, `{"detail":"Report failed, try again"}`, true},
		{"deep beside", 400, `{"detail":"no","x":` + strings.Repeat("[", 500) + strings.Repeat("]", 500) + `}`, true},
		{"empty string", 400, `{"detail":""}`, false},
		{"object", 400, `{"detail":{"message":"x y"}}`, false},
		{"null", 400, `{"detail":null}`, false},
		{"twice", 400, `{"detail":"a b","detail":"c d"}`, false},
		{"other case", 400, `{"Detail":"a b"}`, false},
		{"broken", 400, `{"detail":"a b"`, false},
		{"trailing", 400, `{"detail":"a b"} x`, false},
		{"mark", 400, "\ufeff{\"detail\":\"a b\"}", false},
		{"leaks on 4xx", 400, `{"detail":"psycopg2.OperationalError: no"}`, false},
		{"leaks on 5xx", 500, `{"detail":"dial tcp 10.0.0.1:5432: refused"}`, false},
		{"leaks in a list", 400, `{"detail":["no such table: users"]}`, false},
		{"leaks beside", 500, `{"detail":"Report failed","trace":"Traceback (most recent call last):\n  File \"/srv/x.py\", line 1"}`, false},
		{"invalid UTF-8", 400, "{\"detail\":\"caf\xe9\"}", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, got, body := answer(t, tr, Response{Status: c.status, Body: []byte(c.body)})
			if got != c.want {
				t.Errorf("pass: got %v, want %v; reader %s, leak %q, %s", got, c.want, p.Reader, p.Leak, body)
			}
		})
	}
}

func TestLeakBesideDetailKeepsDetail(t *testing.T) {
	tr := newTranslator(t, Config{})
	p, pass, body := answer(t, tr, Response{Status: 409, Body: []byte(`{"detail":"Name is taken","stack":["a","b"],"sql":"SELECT a FROM b"}`)})
	if want := `{"detail":"Name is taken"}`; pass || body != want {
		t.Errorf("got %s (pass %v), want %s", body, pass, want)
	}
	if p.Leak == "" || !strings.Contains(p.Original, "SELECT a FROM b") {
		t.Errorf("leak %q, original %q", p.Leak, p.Original)
	}
}

func TestServerErrors(t *testing.T) {
	hide, show := newTranslator(t, Config{}), newTranslator(t, Config{ServerMessages: true})
	for _, c := range []struct {
		name, body, hidden, shown string
	}{
		{"message", `{"message":"Printer is on fire"}`, `{"detail":"Internal server error"}`, `{"detail":"Printer is on fire"}`},
		{"leak", `{"message":"pq: password authentication failed"}`, `{"detail":"Internal server error"}`, `{"detail":"Internal server error"}`},
		{"page", `<html><body><h1>Oops</h1><p>We are on it.</p></body></html>`, `{"detail":"Internal server error"}`, `{"detail":"Oops: We are on it."}`},
		{"empty", "", `{"detail":"Internal server error"}`, `{"detail":"Internal server error"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, _, got := answer(t, hide, Response{Status: 500, Body: []byte(c.body)})
			if got != c.hidden {
				t.Errorf("hide: got %s, want %s", got, c.hidden)
			}
			if c.body != "" && p.Original == "" {
				t.Error("no original for the log")
			}
			if _, _, got := answer(t, show, Response{Status: 500, Body: []byte(c.body)}); got != c.shown {
				t.Errorf("show: got %s, want %s", got, c.shown)
			}
		})
	}
}

func TestRules(t *testing.T) {
	tr := newTranslator(t, Config{Rules: []Rule{
		{Status: 500, Contains: "QueuePool limit", NewStatus: 503, RetryAfter: 5, Detail: "Service busy"},
		{Status: 500, Contains: "Query execution timeout", NewStatus: 504, RetryAfter: 10},
		{Status: 4, Contains: `say "no"`, Detail: "Nope"},
		{Status: 418, NewStatus: 503, KeepDetail: true},
		{Status: 501, KeepDetail: true},
	}})
	for _, c := range []struct {
		name, body             string
		status                 int
		want                   string
		wantStatus, retryAfter int
		rule                   int
		pass                   bool
	}{
		{"in house", `{"detail":"QueuePool limit of size 20 overflow 10 reached"}`, 500, `{"detail":"Service busy"}`, 503, 5, 1, false},
		{"text", "QueuePool limit of size 20 overflow 10 reached", 500, `{"detail":"Service busy"}`, 503, 5, 1, false},
		{"other status", `{"detail":"QueuePool limit of size 20 overflow 10 reached"}`, 502, `{"detail":"Bad gateway"}`, 502, 0, 0, false},
		{"without detail, passes", `{"detail":"Query execution timeout"}`, 500, `{"detail":"Query execution timeout"}`, 504, 10, 2, true},
		{"without detail, text", "Query execution timeout", 500, `{"detail":"Gateway timeout"}`, 504, 10, 2, false},
		{"keeps the message under a 5xx", `{"message":"The warehouse is closed"}`, 418, `{"detail":"The warehouse is closed"}`, 503, 5, 4, false},
		{"keeps the text of a 5xx", "Not built yet", 501, `{"detail":"Not built yet"}`, 501, 0, 5, false},
		{"keeps no leak", `{"message":"dial tcp 10.0.0.5:5432: refused"}`, 418, `{"detail":"Service unavailable"}`, 503, 5, 4, false},
		{"keeps none where there is none", ``, 501, `{"detail":"Not Implemented"}`, 501, 0, 5, false},
		{"within an escaped string", `{"message":"they say \"no\" again"}`, 400, `{"detail":"Nope"}`, 400, 0, 3, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, pass, got := answer(t, tr, Response{Status: c.status, Body: []byte(c.body)})
			if got != c.want || p.Status != c.wantStatus || p.RetryAfter != c.retryAfter || p.Rule != c.rule || pass != c.pass {
				t.Errorf("got %d %s, retry after %d, rule %d, pass %v", p.Status, got, p.RetryAfter, p.Rule, pass)
			}
		})
	}
	t.Run("in a truncated body", func(t *testing.T) {
		p, _, got := answer(t, tr, Response{Status: 500, Body: []byte("QueuePool limit of"), Truncated: true})
		if p.Status != 503 || got != `{"detail":"Service busy"}` {
			t.Errorf("got %d %s", p.Status, got)
		}
	})
}

func TestContentEncodings(t *testing.T) {
	plain := []byte(`{"message":"Order is shipped already"}`)
	pack := func(open func(io.Writer) io.WriteCloser) []byte {
		var b bytes.Buffer
		w := open(&b)
		_, _ = w.Write(plain)
		_ = w.Close()
		return b.Bytes()
	}
	gz := pack(func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })
	tr := newTranslator(t, Config{})
	for _, c := range []struct {
		name, encoding string
		body           []byte
		want           string
	}{
		{"gzip", "gzip", gz, "Order is shipped already"},
		{"x-gzip in capitals", "X-GZIP", gz, "Order is shipped already"},
		{"zlib", "deflate", pack(func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }), "Order is shipped already"},
		{"raw deflate", "deflate", pack(func(w io.Writer) io.WriteCloser { f, _ := flate.NewWriter(w, 5); return f }), "Order is shipped already"},
		{"brotli", "br", pack(func(w io.Writer) io.WriteCloser { return brotli.NewWriter(w) }), "Order is shipped already"},
		{"zstd", "zstd", pack(func(w io.Writer) io.WriteCloser { z, _ := zstd.NewWriter(w); return z }), "Order is shipped already"},
		{"identity", "identity", plain, "Order is shipped already"},
		{"header without the coding", "gzip", plain, "Order is shipped already"},
		{"cut off", "gzip", gz[:len(gz)-12], "Conflict"},
		{"unknown", "lzma", plain, "Conflict"},
		{"too many", "gzip, gzip, gzip, gzip", plain, "Conflict"},
		{"garbage", "zstd", []byte{0, 1, 2, 0xff}, "Conflict"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, _, _ := answer(t, tr, Response{Status: 409, Header: http.Header{"Content-Encoding": {c.encoding}}, Body: c.body})
			if p.Detail != c.want {
				t.Errorf("got %q, want %q (reader %s)", p.Detail, c.want, p.Reader)
			}
		})
	}
	t.Run("in house, packed, passes", func(t *testing.T) {
		plain = []byte(`{"detail":"Item not found"}`)
		body := pack(func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })
		if _, pass, _ := answer(t, tr, Response{Status: 404, Header: http.Header{"Content-Encoding": {"gzip"}}, Body: body}); !pass {
			t.Error("did not pass")
		}
	})
	t.Run("bombs", func(t *testing.T) {
		plain = bytes.Repeat([]byte(" "), 64<<20)
		for coding, body := range map[string][]byte{
			"gzip": pack(func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }),
			"br":   pack(func(w io.Writer) io.WriteCloser { return brotli.NewWriterLevel(w, 1) }),
			"zstd": pack(func(w io.Writer) io.WriteCloser { z, _ := zstd.NewWriter(w); return z }),
		} {
			p, pass, _ := answer(t, tr, Response{Status: 400, Header: http.Header{"Content-Encoding": {coding}}, Body: body})
			if pass || p.Reader != "too_large" || p.Detail != "Bad Request" {
				t.Errorf("%s: got %q by %s, pass %v", coding, p.Detail, p.Reader, pass)
			}
		}
	})
}

func TestCharsets(t *testing.T) {
	tr := newTranslator(t, Config{})
	sjis, _ := japanese.ShiftJIS.NewEncoder().Bytes([]byte(`{"message":"見つかりません"}`))
	utf16le := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(`{"message":"Größe fehlt"}`)) {
		utf16le = append(utf16le, byte(u), byte(u>>8))
	}
	for _, c := range []struct {
		name, contentType string
		body              []byte
		want              string
	}{
		{"utf-8 under latin1", "application/json; charset=iso-8859-1", []byte(`{"message":"Größe fehlt"}`), "Größe fehlt"},
		{"latin1", "application/json; charset=iso-8859-1", []byte("{\"message\":\"Gr\xf6\xdfe fehlt\"}"), "Größe fehlt"},
		{"latin1, undeclared", "", []byte("Gr\xf6\xdfe fehlt"), "Größe fehlt"},
		{"windows-1252", "text/plain; charset=windows-1252", []byte("Price in \x80 only"), "Price in € only"},
		{"shift_jis", "application/json; charset=Shift_JIS", sjis, "見つかりません"},
		{"utf-16 with a mark", "application/json", utf16le, "Größe fehlt"},
		{"utf-16 without", "application/json", utf16le[2:], "Größe fehlt"},
		{"utf-8 with a mark", "application/json", []byte("\xef\xbb\xbf{\"message\":\"Größe fehlt\"}"), "Größe fehlt"},
		{"meta", "text/html", []byte("<html><head><meta charset=iso-8859-1></head><body><h1>Gr\xf6\xdfe fehlt</h1></body></html>"), "Größe fehlt"},
		{"unknown label", "application/json; charset=klingon", []byte(`{"message":"x y"}`), "x y"},
		{"broken type", "application/json; charset", []byte(`{"message":"x y"}`), "x y"},
		{"html type, json body", "text/html", []byte(`{"message":"x y"}`), "x y"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, _, _ := answer(t, tr, Response{Status: 400, Header: http.Header{"Content-Type": {c.contentType}}, Body: c.body})
			if p.Detail != c.want {
				t.Errorf("got %q, want %q", p.Detail, c.want)
			}
		})
	}
}

func TestHead(t *testing.T) {
	tr := newTranslator(t, Config{})
	p, pass, _ := answer(t, tr, Response{Status: 503, Method: http.MethodHead})
	if !pass || p.Status != 503 || p.RetryAfter != DefaultRetryAfter {
		t.Errorf("got %+v, pass %v", p, pass)
	}
}

// TestHostileBodies holds every shape of hostility to a bound of time.
func TestHostileBodies(t *testing.T) {
	tr := newTranslator(t, Config{Rules: []Rule{{Status: 4, Contains: "never there", Detail: "x"}}})
	const size = 256 << 10
	rep := func(s string) string { return strings.Repeat(s, size/len(s)) }
	for name, body := range map[string]string{
		"brackets":       rep("["),
		"braces":         rep(`{"a":`),
		"nested details": rep(`{"detail":`),
		"closed":         strings.Repeat("[", size/2) + strings.Repeat("]", size/2),
		"many values":    "[" + rep("1,") + "1]",
		"many members":   `{"errors":{` + rep(`"a":["b"],`) + `"z":[]}}`,
		"many objects":   `{"errors":[` + rep(`{"field":"a","message":"b c"},`) + `{}]}`,
		"long string":    `{"message":"` + rep("a b ") + `"}`,
		"long detail":    `{"detail":"` + rep("a.b:c/d ") + `"}`,
		"colons":         `{"detail":"` + rep("aaaa:1") + `"}`,
		"dots":           `{"detail":"` + rep("a.") + `"}`,
		"slashes":        `{"detail":"` + rep("/a") + `"}`,
		"at":             `{"detail":"` + rep("at a(") + `"}`,
		"select":         `{"detail":"` + rep("SELECT ") + `"}`,
		"digits":         `{"detail":"` + rep("1.2.3.4 ") + `"}`,
		"escapes":        `{"message":"` + rep(`\u0041`) + `"}`,
		"xml deep":       "<?xml?>" + rep("<a>"),
		"xml wide":       "<a>" + rep("<b>x</b>") + "</a>",
		"xml text":       "<a>" + rep("x<!-- -->") + "</a>",
		"entity bomb":    `<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]><l>&b;</l>`,
		"external":       `<?xml version="1.0"?><!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><Error><Code>c</Code><Message>&x;</Message></Error>`,
		"html deep":      "<html>" + rep("<div>"),
		"html attrs":     "<html><p " + rep("a=b ") + ">",
		"html open":      "<html><" + rep("a"),
		"broken pairs":   "{" + rep(`"a":"b" `),
		"quotes":         "{" + rep(`"`),
		"nul":            rep("\x00"),
		"invalid":        rep("\xff\xfe\x80"),
		"text":           rep("word "),
		"newlines":       rep("\n"),
		"form":           rep("a=b&"),
	} {
		t.Run(name, func(t *testing.T) {
			for _, status := range []int{429, 500} {
				start := time.Now()
				_, _, out := answer(t, tr, Response{Status: status, Body: []byte(body)})
				// Far above the tens of milliseconds it takes, for slow machines under the
				// race detector, and far below what anything quadratic takes.
				if d := time.Since(start); d > 20*time.Second {
					t.Errorf("status %d took %v", status, d)
				}
				if len(out) > 64<<10 && !strings.HasPrefix(body, `{"detail"`) {
					t.Errorf("answer has %d bytes", len(out))
				}
				if strings.Contains(out, "root:") || strings.Contains(out, "aaaaaaaaaaaaaaaaaaaaaa") && strings.HasPrefix(body, "<?xml") {
					t.Errorf("entities were expanded: %s", out)
				}
			}
		})
	}
}

// TestMessageFate: the caller learns what became of a message.
func TestMessageFate(t *testing.T) {
	tr := newTranslator(t, Config{Rules: []Rule{{Contains: "QueuePool", NewStatus: 503, Detail: "Service busy"}, {Contains: "slow", NewStatus: 504}}})
	show := newTranslator(t, Config{ServerMessages: true})
	for _, c := range []struct {
		name   string
		tr     *Translator
		status int
		body   string
		want   Fate
	}{
		{"in the format", tr, 404, `{"detail":"No such order"}`, FatePassed},
		{"in the format on a 500", tr, 500, `{"detail":"No paper"}`, FatePassed},
		{"message", tr, 404, `{"message":"No such order"}`, FateKept},
		{"fields", tr, 422, `{"errors":{"a":["b c"]}}`, FateKept},
		{"server error", tr, 500, `{"message":"No paper"}`, FateHidden},
		{"server error shown", show, 500, `{"message":"No paper"}`, FateKept},
		{"server error that leaks", show, 500, `{"message":"dial tcp 10.0.0.1:1"}`, FateLeak},
		{"leak", tr, 400, `{"message":"dial tcp 10.0.0.1:1"}`, FateLeak},
		{"leak in the format", tr, 400, `{"detail":"dial tcp 10.0.0.1:1"}`, FateLeak},
		{"leak beside the detail", tr, 400, `{"detail":"No such order","trace":["x"]}`, FateKept},
		{"leak in a list", tr, 500, `{"detail":[{"loc":["a"],"msg":"dial tcp 10.0.0.1:1"}]}`, FateLeak},
		{"rule with a text", tr, 500, `{"message":"QueuePool limit"}`, FateRule},
		{"rule with a status", tr, 500, `{"message":"slow"}`, FateHidden},
		{"empty", tr, 404, ``, FateNone},
		{"empty server error", tr, 502, ``, FateNone},
		{"nothing said", tr, 404, `{}`, FateNone},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, _ := c.tr.Translate(Response{Status: c.status, Body: []byte(c.body)})
			if p.Message != c.want {
				t.Errorf("got %q, want %q: %+v", p.Message, c.want, p)
			}
		})
	}
	if p, _ := tr.Translate(Response{Status: 500, Body: []byte(`{"message":`), Truncated: true}); p.Message != FateNone {
		t.Errorf("too large: got %q", p.Message)
	}
}
