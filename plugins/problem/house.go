package problem

import (
	"regexp"
	"strconv"
	"strings"
)

// inHouse reports whether a body is in the fastapi format: a JSON object with
// `detail` a string that is not empty, or a list, whatever else it has. Two
// details are not: readers differ on which one counts.
func inHouse(d *Document) bool {
	if !d.JSON.isObject() || !strings.HasPrefix(d.Text, "{") {
		return false
	}
	var detail *Node
	for i, key := range d.JSON.keys {
		if key == "detail" {
			if detail != nil {
				return false
			}
			detail = d.JSON.vals[i]
		}
	}
	return detail.is(jsonArray) || detail.is(jsonString) && detail.str != "" || detail.is(jsonSkipped) && detail.str[0] == '['
}

// house reads a body in the fastapi format and reports whether all of it may
// pass. Where `detail` is clean and something else leaks, the detail stays and
// the rest goes.
func (t *Translator) house(p *Problem, d *Document) bool {
	p.Reader, p.Message = "fastapi", FateKept
	detail := d.JSON.get("detail")
	if detail.is(jsonString) {
		if class := leakOf(detail.str); class != "" {
			p.Leak, p.Message = class, FateLeak
			if p.Status < 500 {
				// The sentence before a stack may be for people.
				message := humanize(p.Status, detail.str, maxMessage)
				if message != "" && leakOf(message) == "" {
					p.Detail, p.Message = message, FateKept
				}
			}
			if p.Message == FateLeak && takesFields(p.Status) {
				// The detail may only put into one text what stands in a list beside it.
				if fields, _ := tidy(p.Status, fieldsBeside(d.JSON)); located(fields) {
					p.Fields, p.Detail, p.Message = fields, phrase(p.Status), FateKept
				}
			}
			return false
		}
		p.Detail = cleanLine(detail.str, maxMessage)
	} else {
		p.Fields = fieldList(detail, nil)
		listed := len(p.Fields)
		for i := range p.Fields {
			if len(p.Fields[i].Loc) == 0 {
				p.Fields[i].Loc = []any{"body"}
			}
		}
		var leak string
		p.Fields, leak = tidy(p.Status, p.Fields)
		p.Detail = phrase(p.Status)
		if !located(p.Fields) {
			if s := summary(p.Fields); s != "" {
				p.Detail = s
			}
			if leak == "" && listed > 0 {
				p.Fields = nil
			}
		}
		if leak != "" {
			p.Leak = leak
			if p.Status >= 500 || !located(p.Fields) {
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
	if s := d.JSON.text("title"); s != "" && leakOf(s) == "" {
		p.Title = cleanLine(s, maxFieldMessage)
	}
	if s := d.JSON.text("type"); typeURI(s) {
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
	return setNumber(text, "retry_after", strconv.Itoa(seconds))
}

// fieldsBeside finds field errors beside a `detail` that is a text.
func fieldsBeside(n *Node) []FieldError {
	rest := &Node{kind: jsonObject}
	for i, key := range n.keys {
		if key != "detail" {
			rest.keys, rest.vals = append(rest.keys, key), append(rest.vals, n.vals[i])
		}
	}
	return fieldsOf(rest)
}

// submitted are members that hold the caller's own input, or the framework's
// public links: what looks like a leak there is none.
var submitted = map[string]bool{
	"rejectedValue": true, "rejected_value": true, "invalidValue": true, "invalid_value": true, "attemptedValue": true, "actualValue": true,
	"received": true, "given": true, "parameters": true,
	"input": true, "ctx": true, "body": true, "url": true, "loc": true, "type": true, "value": true, "instance": true, "path": true,
	"documentation_url": true, "more_info": true, "pattern": true,
}

// listLeak looks for leaks in the strings of a list that is no list of field
// errors, or has more than those.
func listLeak(n *Node) (class string) { return walkLeak(n, 0) }

// restLeak looks for leaks beside `detail`.
func restLeak(d *Document) string {
	if d.Partial {
		return leakOf(d.Text)
	}
	for i, key := range d.JSON.keys {
		if key == "detail" || submitted[key] {
			continue
		}
		if class := memberLeak(key, d.JSON.vals[i], 0); class != "" {
			return class
		}
	}
	return ""
}

// memberLeak looks at one member: a stack under its usual name is one whatever
// it looks like, and so is a password.
func memberLeak(key string, v *Node, depth int) string {
	switch lower := strings.ToLower(key); {
	case namesStack(lower):
		if v.is(jsonArray) && len(v.vals) > 0 || v.is(jsonString) && strings.ContainsAny(v.str, "\n(") {
			return "stack"
		}
	case strings.HasSuffix(lower, "password") || strings.HasSuffix(lower, "secret"):
		if v.is(jsonString) && v.str != "" && !strings.Contains(v.str, " ") {
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

func walkLeak(n *Node, depth int) string {
	if n == nil {
		return ""
	}
	switch n.kind {
	case jsonString, jsonSkipped:
		return leakOf(n.str)
	case jsonArray:
		for _, v := range n.vals {
			if class := walkLeak(v, depth+1); class != "" {
				return class
			}
		}
	case jsonObject:
		for i, key := range n.keys {
			if submitted[key] {
				continue
			}
			if class := memberLeak(key, n.vals[i], depth+1); class != "" {
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
	return s != "" && len(s) <= 256 && typeURIPattern.MatchString(s) && leakOf(s) == ""
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
