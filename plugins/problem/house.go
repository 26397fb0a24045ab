package problem

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/ainative/portcullis/plugins/problem/internal/leak"
	"github.com/ainative/portcullis/plugins/problem/internal/reading"
)

// inHouse reports whether a body is in the fastapi format: a JSON object with
// `detail` a string that is not empty, or a list, whatever else it has. Two
// details are not: readers differ on which one counts.
func inHouse(d *reading.Document) bool {
	if !d.JSON.IsObject() || !strings.HasPrefix(d.Text, "{") {
		return false
	}
	var detail *reading.Node
	for i, key := range d.JSON.Keys {
		if key == "detail" {
			if detail != nil {
				return false
			}
			detail = d.JSON.Vals[i]
		}
	}
	return detail.Is(reading.Array) || detail.Is(reading.String) && detail.Str != "" || detail.Is(reading.Skipped) && detail.Str[0] == '['
}

// house reads a body in the fastapi format and reports whether all of it may pass.
// Where `detail` is clean and something else leaks, only the detail is kept.
func (t *Translator) house(p *Problem, d *reading.Document) bool {
	p.Reader, p.Message = "fastapi", FateKept
	detail := d.JSON.Get("detail")
	if detail.Is(reading.String) {
		if class := leak.Of(detail.Str); class != "" {
			p.Leak, p.Message = class, FateLeak
			if p.Status < 500 {
				// The sentence before a stack may be for people.
				message := reading.Humanize(p.Status, detail.Str, reading.MaxMessage)
				if message != "" && leak.Of(message) == "" {
					p.Detail, p.Message = message, FateKept
				}
			}
			if p.Message == FateLeak && reading.TakesFields(p.Status) {
				// The detail may only put into one text what stands in a list beside it.
				if fields, _ := tidy(p.Status, fieldsBeside(d.JSON)); reading.Located(fields) {
					p.Fields, p.Detail, p.Message = fields, reading.Phrase(p.Status), FateKept
				}
			}
			return false
		}
		p.Detail = reading.CleanLine(detail.Str, reading.MaxMessage)
	} else {
		p.Fields = reading.FieldList(detail, nil)
		listed := len(p.Fields)
		for i := range p.Fields {
			if len(p.Fields[i].Loc) == 0 {
				p.Fields[i].Loc = []any{"body"}
			}
		}
		var leak string
		p.Fields, leak = tidy(p.Status, p.Fields)
		p.Detail = reading.Phrase(p.Status)
		if !reading.Located(p.Fields) {
			if s := reading.Summary(p.Fields); s != "" {
				p.Detail = s
			}
			if leak == "" && listed > 0 {
				p.Fields = nil
			}
		}
		if leak != "" {
			p.Leak = leak
			if p.Status >= 500 || !reading.Located(p.Fields) {
				p.Fields, p.Detail, p.Message = nil, t.text(p.Status), FateLeak
			}
			return false
		}
		if class := listLeak(detail); class != "" {
			p.Leak = class
			if p.Status >= 500 {
				p.Fields, p.Detail, p.Message = nil, t.text(p.Status), FateLeak
			}
			return false
		}
	}
	p.Title = ""
	if s := d.JSON.Text("title"); s != "" && leak.Of(s) == "" {
		p.Title = reading.CleanLine(s, reading.MaxFieldMessage)
	}
	if s := d.JSON.Text("type"); typeURI(s) {
		p.Type = s
	}
	if class := restLeak(d); class != "" {
		p.Leak = class
		if class == "stack" && p.Status >= 500 {
			// The detail is then the text of the exception that the stack is of.
			p.Fields, p.Title, p.Detail, p.Message = nil, "", t.text(p.Status), FateLeak
		}
		return false
	}
	return true
}

// withRetryAfter puts a delay into a body in the fastapi format, which a 429 has to
// have, and leaves every other byte as it was. It reports false where the body has
// that delay already.
func withRetryAfter(text string, seconds int) (body []byte, changed bool) {
	return reading.SetNumber(text, "retry_after", strconv.Itoa(seconds))
}

// fieldsBeside finds field errors beside a `detail` that is a text.
func fieldsBeside(n *reading.Node) []reading.FieldError {
	rest := &reading.Node{Kind: reading.Object}
	for i, key := range n.Keys {
		if key != "detail" {
			rest.Keys, rest.Vals = append(rest.Keys, key), append(rest.Vals, n.Vals[i])
		}
	}
	return reading.FieldsOf(rest)
}

// submitted are members that hold the caller's own input or public links of the
// framework. Nothing in them counts as a leak.
var submitted = reading.Words(`
	rejectedValue rejected_value invalidValue invalid_value attemptedValue actualValue received given parameters input ctx body url
	loc type value instance path documentation_url more_info pattern
`)

// listLeak looks for leaks in all strings of a list, also in members that are not part
// of a field error.
func listLeak(n *reading.Node) (class string) { return walkLeak(n, 0) }

// restLeak looks for leaks beside `detail`.
func restLeak(d *reading.Document) string {
	if d.Partial {
		return leak.Of(d.Text)
	}
	for i, key := range d.JSON.Keys {
		if key == "detail" || submitted[key] {
			continue
		}
		if class := memberLeak(key, d.JSON.Vals[i], 0); class != "" {
			return class
		}
	}
	return ""
}

// memberLeak looks at one member. A stack or a password is known by the member's
// name, whatever the value looks like.
func memberLeak(key string, v *reading.Node, depth int) string {
	switch lower := strings.ToLower(key); {
	case namesStack(lower):
		if v.Is(reading.Array) && len(v.Vals) > 0 || v.Is(reading.String) && strings.ContainsAny(v.Str, "\n(") {
			return "stack"
		}
	case strings.HasSuffix(lower, "password") || strings.HasSuffix(lower, "secret"):
		if v.Is(reading.String) && v.Str != "" && !strings.Contains(v.Str, " ") {
			return "credential"
		}
	}
	return walkLeak(v, depth)
}

// namesStack reports whether a member is called as a stack is: stackTrace,
// error_traceback, exc_info. The ids of distributed tracing are something else.
func namesStack(lower string) bool {
	switch {
	case strings.Contains(lower, "stack"), lower == "exc_info", lower == "frames":
		return true
	case !strings.Contains(lower, "trace"):
		return false
	}
	return !strings.HasSuffix(lower, "id") && lower != "traceparent" && lower != "tracestate"
}

func walkLeak(n *reading.Node, depth int) string {
	if n == nil {
		return ""
	}
	switch n.Kind {
	case reading.String, reading.Skipped:
		return leak.Of(n.Str)
	case reading.Array:
		for _, v := range n.Vals {
			if class := walkLeak(v, depth+1); class != "" {
				return class
			}
		}
	case reading.Object:
		for i, key := range n.Keys {
			if submitted[key] {
				continue
			}
			if class := memberLeak(key, n.Vals[i], depth+1); class != "" {
				return class
			}
		}
	}
	return ""
}

// typeURIPattern matches a public URI that can name a kind of problem.
var typeURIPattern = regexp.MustCompile(`^(?:https?://[\w.-]+(?::\d+)?/[\w./#?=&%~+:-]*|urn:[\w:.%-]+|tag:[\w:.,/%-]+|/[\w./#-]+)$`)

// typeURI reports whether an upstream's `type` may be passed on.
func typeURI(s string) bool {
	return s != "" && len(s) <= 256 && typeURIPattern.MatchString(s) && leak.Of(s) == ""
}

// goTypes match the names of Go types in the errors of encoding/json and echo,
// which say something without them too.
var goTypes = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`Go struct field \w+\.([\w.]+)`), "field $1"},
	{regexp.MustCompile(`Go value of type \*?(?:\[\])?[a-z]\w*\.[A-Z]\w*`), "Go value"},
	{regexp.MustCompile(`(field [\w.]+|value) of type \*?(?:\[\])?[a-z]\w*\.[A-Z]\w*`), "$1"},
	{regexp.MustCompile(`expected=\*?(?:\[\])?[a-z]\w*\.[A-Z]\w*`), "expected=object"},
}

// withoutGoTypes leaves the names of Go types out of a message.
func withoutGoTypes(s string) string {
	if strings.Contains(s, "Go struct") || strings.Contains(s, "Go value") || strings.Contains(s, "expected=") {
		for _, t := range goTypes {
			s = t.pattern.ReplaceAllString(s, t.with)
		}
	}
	return s
}
