package problem

import (
	"encoding/json"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/problem/internal/reading"
)

func TestText(t *testing.T) {
	for status, want := range map[int]string{
		401: "Could not validate credentials", 403: "Insufficient permissions", 404: "Not found", 405: "Method Not Allowed",
		418: "I'm a teapot", 422: "Unprocessable Entity", 499: "Client Closed Request", 500: "Internal server error",
		502: "Bad gateway", 503: "Service unavailable", 504: "Gateway timeout", 467: "Request Error", 599: "Server Error", 0: "Request Error",
	} {
		if got := reading.Text(status); got != want {
			t.Errorf("Text(%d) = %q, want %q", status, got, want)
		}
	}
}

func TestRender(t *testing.T) {
	tr := newTranslator(t, Config{Format: FormatCustom, Template: `{
		"error": {"code": "{problem.status}", "text": "{problem.status}: {problem.message}", "fields": "{problem.errors}", "what": "{problem.detail}",
		"wait": "{problem.retry_after}", "id": "{problem.request_id}", "host": "{http.request.host}", "n": 1.50, "ok": false, "none": null, "braces": "{ } {x y}"}}`})
	fields := Problem{Status: 422, Detail: "Unprocessable Entity", Fields: []reading.FieldError{{Loc: []any{"body", int64(2), "a"}, Msg: "too \"big\"", Type: "max"}}}
	limited := Problem{Status: 429, Detail: "Rate limit exceeded. Try again in 30 seconds.", RetryAfter: 30}
	env := Env{RequestID: "r-1", Lookup: func(name string) (string, bool) { return "<" + name + ">", true }}
	for _, c := range []struct {
		name string
		p    Problem
		as   Format
		want string
	}{
		{"fastapi", Problem{Status: 404, Detail: "Not found"}, FormatFastAPI, `{"detail":"Not found"}`},
		{"fastapi without a detail", Problem{Status: 404}, FormatFastAPI, `{"detail":"Not found"}`},
		{"fastapi 429", limited, FormatFastAPI, `{"detail":"Rate limit exceeded. Try again in 30 seconds.","retry_after":30}`},
		{"fastapi 503 has it in the header", Problem{Status: 503, Detail: "Service unavailable", RetryAfter: 5}, FormatFastAPI, `{"detail":"Service unavailable"}`},
		{"fastapi fields", fields, FormatFastAPI, `{"detail":[{"loc":["body",2,"a"],"msg":"too \"big\"","type":"max"}]}`},
		{"problem", Problem{Status: 404, Detail: "Not found"}, FormatProblem, `{"type":"about:blank","title":"Not Found","status":404,"detail":"Not found","instance":"r-1"}`},
		{"problem 429", limited, FormatProblem, `{"type":"about:blank","title":"Too Many Requests","status":429,"detail":"Rate limit exceeded. Try again in 30 seconds.","instance":"r-1","retry_after":30}`},
		{"problem fields", fields, FormatProblem, `{"type":"about:blank","title":"Unprocessable Entity","status":422,"detail":"Unprocessable Entity","instance":"r-1","errors":[{"loc":["body",2,"a"],"msg":"too \"big\"","type":"max"}]}`},
		{"custom", limited, FormatCustom, `{"error":{"code":429,"text":"429: Rate limit exceeded. Try again in 30 seconds.","fields":[],"what":"Rate limit exceeded. Try again in 30 seconds.","wait":30,"id":"r-1","host":"\u003chttp.request.host\u003e","n":1.50,"ok":false,"none":null,"braces":"{ } {x y}"}}`},
		{"custom fields", fields, FormatCustom, `{"error":{"code":422,"text":"422: Unprocessable Entity","fields":[{"loc":["body",2,"a"],"msg":"too \"big\"","type":"max"}],"what":[{"loc":["body",2,"a"],"msg":"too \"big\"","type":"max"}],"wait":null,"id":"r-1","host":"\u003chttp.request.host\u003e","n":1.50,"ok":false,"none":null,"braces":"{ } {x y}"}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			contentType, got := tr.Render(c.p, c.as, env)
			if string(got) != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if !json.Valid(got) {
				t.Error("not JSON")
			}
			if want := c.as.ContentType(); contentType != want {
				t.Errorf("content type: got %s, want %s", contentType, want)
			}
		})
	}
}

func TestAppendAllocatesNothing(t *testing.T) {
	tr := newTranslator(t, Config{})
	buf := make([]byte, 0, 512)
	p := Problem{Status: 429, Detail: RateLimitText(30), RetryAfter: 30}
	for _, f := range []Format{FormatFastAPI, FormatProblem} {
		if n := testing.AllocsPerRun(100, func() { buf = tr.Append(buf[:0], p, f, Env{RequestID: "r"}) }); n != 0 {
			t.Errorf("%s: %v allocations", f, n)
		}
	}
}

func TestJSONStringsAreValid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"))
		if rapid.Bool().Draw(t, "text") {
			s = rapid.String().Draw(t, "string")
		}
		out := appendJSONString(nil, s)
		var back string
		if err := json.Unmarshal(out, &back); err != nil {
			t.Fatalf("%q: %v", out, err)
		}
		if want := string([]rune(s)); back != want {
			t.Fatalf("got %q, want %q", back, want)
		}
		if strings.ContainsAny(string(out), "<>&\u2028\u2029") {
			t.Fatalf("unescaped: %s", out)
		}
	})
}

// TestJSONParserAgrees holds the parser to encoding/json on what is valid.
func TestJSONParserAgrees(t *testing.T) {
	for _, text := range []string{
		`1`, `-0`, `01`, `1.`, `1e5`, `+1`, `.5`, `0x1`, `NaN`, `tru`, `true`, `nul`, `"a`, `"\x"`, `"\u12"`, `"\ud800"`, `"\ud83d\ude00"`, "\"a\tb\"", `[1,]`, `[,]`,
		`[1 2]`, `{"a":1,}`, `{"a"}`, `{a:1}`, `{'a':1}`, `{}`, `[]`, ` [ ] `, `{"a":{"b":[1,"c",null,true,false,-1.5e+3]}}`, `{"a":1}{`, ``, ` `, `"é"`, `{"a":1,"a":2}`, "[1]\x00",
	} {
		_, _, got := reading.ParseJSON(text)
		if want := json.Valid([]byte(text)); got != want {
			t.Errorf("parseJSON(%q) is %v, want %v", text, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "s")
		quoted, _ := json.Marshal(map[string]any{s: []any{s, 1, nil}})
		n, whole, ok := reading.ParseJSON(string(quoted))
		if !ok || !whole || n.Keys[0] != s || n.Vals[0].Vals[0].Str != s {
			t.Fatalf("%s read as %+v", quoted, n)
		}
	})
}

func TestTemplateMistakes(t *testing.T) {
	for name, c := range map[string]struct{ template, want string }{
		"empty":            {"", "empty"},
		"not JSON":         {`{"a": {problem.status}}`, "not JSON"},
		"no object":        {`["{problem.detail}"]`, "not a JSON object"},
		"unknown":          {`{"a":"{problem.colour}"}`, "unknown placeholder {problem.colour}"},
		"list within text": {`{"a":"x {problem.errors}"}`, "must be alone"},
		"always the same":  {`{"a":"b","c":"{http.request.uuid}"}`, "none of the"},
		"member twice":     {`{"a":"{problem.detail}","a":1}`, `"a" is there twice`},
		"trailing":         {`{"a":"{problem.detail}"} x`, "not JSON"},
		"too deep":         {strings.Repeat(`{"a":`, 40) + `"{problem.detail}"` + strings.Repeat("}", 40), "nested deeper"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := New(Config{Format: FormatCustom, Template: c.template}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestTextBesideDefaultPhrase(t *testing.T) {
	tr := newTranslator(t, Config{Texts: map[int]string{404: "Not found", 403: "Members only"}})
	for _, c := range []struct {
		name, body, want string
		status           int
	}{
		{"a phrase gives way to the operator's text", `{"error":"Not Found"}`, `{"detail":"Not found"}`, 404},
		{"of a page", `<html><head><title>404 Not Found</title></head><body><center><h1>404 Not Found</h1></center><hr><center>nginx</center></body></html>`, `{"detail":"Not found"}`, 404},
		{"a message stays", `{"error":"No such order"}`, `{"detail":"No such order"}`, 404},
		{"in the format it passes", `{"detail":"Not Found"}`, `{"detail":"Not Found"}`, 404},
		{"another status", `{"error":"Forbidden"}`, `{"detail":"Members only"}`, 403},
		{"without a text of the operator's it is kept", `{"error":"Gone"}`, `{"detail":"Gone"}`, 410},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, _, got := answer(t, tr, Response{Status: c.status, Body: []byte(c.body)}); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestConfigMistakes(t *testing.T) {
	for name, c := range map[string]struct {
		config Config
		want   string
	}{
		"rule matches everything": {Config{Rules: []Rule{{NewStatus: 503}}}, "rule 1: matches everything"},
		"rule changes nothing":    {Config{Rules: []Rule{{Status: 500}}}, "changes nothing"},
		"rule keeps and replaces": {Config{Rules: []Rule{{Status: 500, Detail: "x", KeepDetail: true}}}, "choose one"},
		"rule on 200":             {Config{Rules: []Rule{{Status: 200, Detail: "x"}}}, "status 200 to match"},
		"rule to 200":             {Config{Rules: []Rule{{Status: 500, NewStatus: 200}}}, "status 200 is not"},
		"rule waits a year":       {Config{Rules: []Rule{{Status: 500, RetryAfter: 31536000}}}, "retry_after"},
		"text of 200":             {Config{Texts: map[int]string{200: "x"}}, "not an error status"},
		"empty text":              {Config{Texts: map[int]string{500: " "}}, "empty"},
		"template without custom": {Config{Template: "{}"}, "takes no template"},
		"format":                  {Config{Format: 9}, "unknown format"},
		"negative max_body":       {Config{MaxBody: -1}, "negative"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := New(c.config); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	if f, err := ParseFormat("problem"); err != nil || f != FormatProblem {
		t.Errorf("got %v, %v", f, err)
	}
	if _, err := ParseFormat("xml"); err == nil {
		t.Error("xml is a format")
	}
}

func TestOwnProblems(t *testing.T) {
	tr := newTranslator(t, Config{})
	german := newTranslator(t, Config{Texts: map[int]string{401: "Anmeldung nötig", 429: "Zu viel. Warten Sie {retry_after} s."}})
	for _, c := range []struct {
		name       string
		got        Problem
		status     int
		detail     string
		retryAfter int
	}{
		{"status", tr.FromStatus(404), 404, "Not found", 0},
		{"status 503", tr.FromStatus(503), 503, "Service unavailable", DefaultRetryAfter},
		{"nonsense", tr.FromStatus(200), 500, "Internal server error", 0},
		{"denial", tr.FromDenial(&plugins.Denial{Status: 403}), 403, "Insufficient permissions", 0},
		{"key", tr.FromDenial(&plugins.Denial{Status: 401, Detail: "Invalid API key"}), 401, "Invalid API key", 0},
		{"limited", tr.FromDenial(&plugins.Denial{Status: 429, RetryAfter: 29100 * time.Millisecond}), 429, "Rate limit exceeded. Try again in 30 seconds.", 30},
		{"limited for a second", tr.FromDenial(&plugins.Denial{Status: 429, RetryAfter: time.Millisecond}), 429, "Rate limit exceeded. Try again in 1 second.", 1},
		{"limited for exactly one", tr.FromDenial(&plugins.Denial{Status: 429, RetryAfter: time.Second}), 429, "Rate limit exceeded. Try again in 1 second.", 1},
		{"limited for ever", tr.FromDenial(&plugins.Denial{Status: 429, RetryAfter: math.MaxInt64}), 429, "Rate limit exceeded. Try again in 9223372037 seconds.", 9223372037},
		{"unavailable", tr.FromUnavailable(&plugins.Unavailable{RetryAfter: 2 * time.Second}), 503, "Service unavailable", 2},
		{"configured", german.FromStatus(401), 401, "Anmeldung nötig", 0},
		{"configured denial", german.FromDenial(&plugins.Denial{Status: 401, Detail: reading.Text(401)}), 401, "Anmeldung nötig", 0},
		{"configured limit", german.FromDenial(&plugins.Denial{Status: 429, Detail: RateLimitText(9), RetryAfter: 9 * time.Second}), 429, "Zu viel. Warten Sie 9 s.", 9},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.got.Status != c.status || c.got.Detail != c.detail || c.got.RetryAfter != c.retryAfter {
				t.Errorf("got %+v", c.got)
			}
		})
	}
}

func TestAcceptsProblem(t *testing.T) {
	for accept, want := range map[string]bool{
		"":                         false,
		"*/*":                      false,
		"application/*":            false,
		"application/json":         false,
		"application/problem+json": true,
		"Application/Problem+JSON": true,
		"text/html, application/problem+json;q=0.1":                 true,
		"application/problem+json;q=0":                              false,
		"application/problem+json;q=0.5, application/json":          false,
		"application/problem+json;q=0.5, application/json;q=0.5":    true,
		"application/problem+json, application/json;q=0.9":          true,
		"application/problem+json;q=x":                              false,
		"application/problem+json; charset=utf-8; Q=0.8, */*;q=0.1": true,
		"application/problem+jsonx":                                 false,
		";;;,,,":                                                    false,
	} {
		if got := AcceptsProblem([]string{accept}); got != want {
			t.Errorf("AcceptsProblem(%q) = %v, want %v", accept, got, want)
		}
	}
	if !AcceptsProblem([]string{"application/json;q=0.1", "application/problem+json"}) {
		t.Error("two lines are one list")
	}
	tr := newTranslator(t, Config{})
	if tr.Negotiate(nil) != FormatFastAPI || tr.Negotiate([]string{"application/problem+json"}) != FormatProblem {
		t.Error("negotiation")
	}
}

func TestHeaders(t *testing.T) {
	h := http.Header{"etag": {"x"}, "Content-Md5": {"x"}}
	for _, name := range entityHeaders {
		h.Set(name, "x")
	}
	kept := []string{
		"WWW-Authenticate", "Retry-After", "Allow", "Set-Cookie", "Location", "Access-Control-Allow-Origin", "Strict-Transport-Security",
		"Cache-Control", "Vary", "Link", "X-RateLimit-Reset", "Server", "Date", "Content-Security-Policy", "X-Content-Type-Options", "Proxy-Authenticate",
	}
	for _, name := range kept {
		h.Set(name, "x")
	}
	StripEntityHeaders(h)
	if len(h) != len(kept) {
		t.Errorf("left: %v", h)
	}
	for _, name := range kept {
		if h.Get(name) == "" {
			t.Errorf("%s is gone", name)
		}
	}
	for contentType, want := range map[string]string{
		"":                                "application/json",
		"text/html":                       "application/json",
		"application/problem+json":        "application/json",
		"application/json":                "application/json",
		"application/json; charset=utf-8": "application/json; charset=utf-8",
		"application/json; charset=ascii": "application/json",
		"application/json;;":              "application/json",
	} {
		h := http.Header{"Content-Type": {contentType}}
		PassedContentType(h)
		if got := h.Get("Content-Type"); got != want {
			t.Errorf("PassedContentType(%q): got %q, want %q", contentType, got, want)
		}
	}
}

func TestParseLoc(t *testing.T) {
	for path, want := range map[string][]any{
		"":                         nil,
		"$":                        nil,
		".":                        nil,
		"/":                        nil,
		"a":                        {"a"},
		"a.b":                      {"a", "b"},
		"a[0].b":                   {"a", int64(0), "b"},
		"a[b][0]":                  {"a", "b", int64(0)},
		"a.0.b":                    {"a", int64(0), "b"},
		"/a/0/b~1c":                {"a", int64(0), "b/c"},
		"#/a":                      {"a"},
		"$.a[1]":                   {"a", int64(1)},
		"$['a']":                   {"a"},
		"[3].x":                    {int64(3), "x"},
		"first name":               {"first name"},
		"007":                      {"007"},
		"a[":                       {"a"},
		"a..b":                     {"a", "b"},
		"9999999999999999999999":   {"9999999999999999999999"},
		strings.Repeat("a.", 1000): reading.ParseLoc(strings.Repeat("a.", reading.MaxLocDepth)),
	} {
		got := reading.ParseLoc(path)
		if len(got) != len(want) {
			t.Errorf("parseLoc(%q) = %v, want %v", reading.Cut(path, 40), got, want)
			continue
		}
		for i := range got {
			if got[i] != want[i] {
				t.Errorf("parseLoc(%q) = %v, want %v", reading.Cut(path, 40), got, want)
			}
		}
	}
}

// TestRedactBySecretName: a value goes by the name it stands under, however the
// two are written.
func TestRedactBySecretName(t *testing.T) {
	names := []string{
		"SECRET_KEY", "DB_PASS", "DB_PASSWORD", "private_key", "X-Auth-Token", "encryption_key", "ENCRYPTION_KEY", "encryptionKey", "API_KEY",
		"api-key", "apikey", "smtpPass", "smtp.pass", "AWS_SECRET_ACCESS_KEY", "clientSecret", "JWT_SIGNING_KEY", "signing_key", "credentials_file",
		"db.credential", "session_token", "refreshToken", "privateKey", "PRIVATE_KEY", "MASTER_KEY", "pass_phrase", "DJANGO_SECRET_KEY", "mypasswd",
		"DATABASE_PASSWORD_2", "hmac_key", "account_key", "TOKEN", "PASSWORD",
	}
	forms := []struct{ name, text string }{
		{"Python assignment", `NAME = "VALUE"`},
		{"Python single quotes", `NAME='VALUE'`},
		{"Python bytes", `NAME = b'VALUE'`},
		{"Python dict", `{'NAME': 'VALUE', 'debug': True}`},
		{"Python bytes in a dict", `{'NAME': b'VALUE'}`},
		{"Python keyword", `Settings(debug=True, NAME='VALUE')`},
		{"env", "A=1\nNAME=VALUE\nB=2"},
		{"exported", `export NAME=VALUE`},
		{"exported in quotes", `export NAME="VALUE"`},
		{"JSON", `{"a":1,"NAME":"VALUE"}`},
		{"JSON with space", `{"NAME" : "VALUE"}`},
		{"JSON in a string", `{"message":"settings {\"NAME\": \"VALUE\"}"}`},
		{"assignment in a string", `{"detail":"NAME = \"VALUE\""}`},
		{"env in a string", `{"detail":"A=1\nNAME=VALUE"}`},
		{"YAML", "a: 1\nNAME: VALUE\nb: 2"},
		{"YAML in quotes", `NAME: "VALUE"`},
		{"YAML in a list", `  - NAME: VALUE`},
		{"YAML with spaces", "NAME: one VALUE two"},
		{"YAML block", "NAME: |\n  VALUE\n  VALUE\nb: 2"},
		{"header", "Host: x\r\nNAME: VALUE\r\n"},
		{"in a sentence", `could not connect with NAME: VALUE at startup`},
		{"Ruby", `{"NAME"=>"VALUE"}`},
		{"Ruby symbol", `{:NAME=>"VALUE"}`},
		{"Go", `{A:1 NAME:VALUE}`},
		{"query", `/x?a=1&NAME=VALUE&b=2`},
		{"connection string", `Server=x;NAME=VALUE;Timeout=3`},
		{"XML", `<NAME>VALUE</NAME>`},
		{"cut off", `NAME = "VALUE`},
	}
	const value = "hunter2-xyzzy"
	for _, form := range forms {
		for _, name := range names {
			text := strings.NewReplacer("NAME", name, "VALUE", value).Replace(form.text)
			if got := redact(text); strings.Contains(got, value) {
				t.Errorf("%s: redact(%q) = %q", form.name, text, got)
			}
		}
	}
}

// TestRedactKeepsWhatSaysSomething: a log line without the cause is of no use.
func TestRedactKeepsWhatSaysSomething(t *testing.T) {
	for _, text := range []string{
		"reading token: unexpected EOF",
		"verifying signature: crypto/rsa: verification error",
		"loading the private key: no such file",
		`{"message":"bypass: off","passenger":"Ana","compass":"north"}`,
		"bypass=on passenger=Ana passed=3",
		"monkey: banana, turkey=2, key=7",
		"the primary_key: 12",
	} {
		if got := redact(text); got != text {
			t.Errorf("redact(%q) = %q, want it as it was", text, got)
		}
	}
}

func TestRedact(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{`{"email":"a@b.c","password":"hunter2","n":1}`, `{"email":"a@b.c","password":"[redacted]","n":1}`},
		{`{"access_token": "abc\"def", "x": 1}`, `{"access_token": "[redacted]", "x": 1}`},
		{`{"pin": 1234}`, `{"pin": [redacted]}`},
		{`could not connect to postgresql://app:s3cret@db:5432/shop`, `could not connect to postgresql://[redacted]@db:5432/shop`},
		{`Server=x;Password=Secret1;Timeout=3`, `Server=x;Password=[redacted];Timeout=3`},
		{`db_password='hunter2'; next`, `db_password=[redacted]; next`},
		{"Authorization: Bearer abcdefghijkl\nHost: x", `Authorization: [redacted]\nHost: x`},
		{`token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln is bad`, `token [redacted] is bad`},
		{`key sk_live_abcdefghijklmnop`, `key [redacted]`},
		{`AKIAIOSFODNN7EXAMPLE`, `[redacted]`},
		{"-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY----- after", `[redacted] after`},
		{"a\r\nb\x1b[31m\u202e", `a\r\nb\u001b[31m\u202e`},
		{"plain text", "plain text"},
		{`GET /x?api_key=abc123&y=1`, `GET /x?api_key=[redacted]&y=1`},
		{`card 4242 4242 4242 4242 declined`, `card [redacted] declined`},
	} {
		got := strings.Join(strings.Fields(redact(c.text)), " ")
		if got != c.want && strings.ReplaceAll(got, "[redacted]declined", "[redacted] declined") != c.want {
			t.Errorf("redact(%q)\ngot  %s\nwant %s", c.text, got, c.want)
		}
	}
	if got := redact(strings.Repeat("x y ", 1<<20)); len(got) > maxOriginal+8 {
		t.Errorf("%d bytes", len(got))
	}
}
