package problem

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/ainative/portcullis/plugins/problem/internal/reading"
)

// Template is a house format of the operator's: JSON whose strings hold
// placeholders. The Problem's own are
//
//	{problem.status}       number
//	{problem.detail}       string, or the list of field errors where there are any
//	{problem.message}      string, always
//	{problem.title}        string
//	{problem.type}         string, a URI
//	{problem.errors}       list of {"loc", "msg", "type"}, empty where there are none
//	{problem.retry_after}  number of seconds, or null
//	{problem.request_id}   string
//
// and any other name is asked of Env.Lookup, as a string. A string that is one
// placeholder alone becomes a value of its type; within other text it becomes
// text, which a list can't. Names of members are literal.
type Template struct {
	parts []part
}

// part is a literal piece of JSON, or a value.
type part struct {
	literal string
	// text are the pieces of a string with placeholders; nil for the rest.
	text []piece
	// alone is the placeholder that makes up a whole string.
	alone string
}

// piece is literal text, or the placeholder of a name.
type piece struct {
	literal, name string
}

var placeholder = regexp.MustCompile(`\{([A-Za-z_][A-Za-z0-9_.>:*/-]*)\}`)

// ownPlaceholders are the Problem's; those that are lists can't be within text.
var ownPlaceholders = map[string]bool{
	"problem.status": true, "problem.detail": true, "problem.message": true, "problem.title": true, "problem.type": true,
	"problem.errors": true, "problem.retry_after": true, "problem.request_id": true,
}

// ParseTemplate checks a template: it must be one JSON object, use one of the
// Problem's placeholders, and none that does not exist.
func ParseTemplate(text string) (*Template, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return nil, errors.New("template is empty")
	}
	n, whole, ok := reading.ParseJSON(text)
	switch {
	case !ok:
		return nil, errors.New("template is not JSON")
	case !whole:
		return nil, errors.New("template is too large")
	case !n.IsObject():
		return nil, errors.New("template is not a JSON object")
	}
	t := &Template{}
	var literal []byte
	var own bool
	var add func(n *reading.Node) error
	flush := func() {
		if len(literal) > 0 {
			t.parts = append(t.parts, part{literal: string(literal)})
			literal = nil
		}
	}
	add = func(n *reading.Node) error {
		switch n.Kind {
		case reading.Skipped:
			return fmt.Errorf("template is nested deeper than %d", reading.MaxJSONDepth)
		case reading.Null:
			literal = append(literal, "null"...)
		case reading.Bool:
			literal = strconv.AppendBool(literal, n.Yes)
		case reading.Number:
			literal = append(literal, n.Str...)
		case reading.String:
			pieces, err := split(n.Str)
			if err != nil {
				return err
			}
			if pieces == nil {
				literal = appendJSONString(literal, n.Str)
				return nil
			}
			for _, p := range pieces {
				own = own || ownPlaceholders[p.name]
			}
			flush()
			if len(pieces) == 1 {
				t.parts = append(t.parts, part{alone: pieces[0].name})
				return nil
			}
			t.parts = append(t.parts, part{text: pieces})
		case reading.Array, reading.Object:
			brackets := "[]"
			if n.Kind == reading.Object {
				brackets = "{}"
			}
			literal = append(literal, brackets[0])
			seen := make(map[string]bool)
			for i, v := range n.Vals {
				if i > 0 {
					literal = append(literal, ',')
				}
				if n.Kind == reading.Object {
					if seen[n.Keys[i]] {
						return fmt.Errorf("member %q is there twice", n.Keys[i])
					}
					seen[n.Keys[i]] = true
					literal = append(appendJSONString(literal, n.Keys[i]), ':')
				}
				if err := add(v); err != nil {
					return err
				}
			}
			literal = append(literal, brackets[1])
		}
		return nil
	}
	if err := add(n); err != nil {
		return nil, err
	}
	flush()
	if !own {
		return nil, errors.New("template has none of the {problem.*} placeholders: every error would look the same")
	}
	return t, nil
}

// split takes a string apart at its placeholders; nil where it has none.
func split(s string) ([]piece, error) {
	found := placeholder.FindAllStringSubmatchIndex(s, -1)
	if found == nil {
		return nil, nil
	}
	var out []piece
	at := 0
	for _, m := range found {
		name := s[m[2]:m[3]]
		if strings.HasPrefix(name, "problem.") && !ownPlaceholders[name] {
			return nil, fmt.Errorf("unknown placeholder {%s}", name)
		}
		if name == "problem.errors" && m[1]-m[0] != len(s) {
			return nil, errors.New("{problem.errors} is a list and must be alone in its string")
		}
		if m[0] > at {
			out = append(out, piece{literal: s[at:m[0]]})
		}
		out = append(out, piece{name: name})
		at = m[1]
	}
	if at < len(s) {
		out = append(out, piece{literal: s[at:]})
	}
	return out, nil
}

func (t *Template) append(dst []byte, p Problem, env Env) []byte {
	for _, part := range t.parts {
		switch {
		case part.literal != "":
			dst = append(dst, part.literal...)
		case part.alone != "":
			dst = appendPlaceholder(dst, part.alone, p, env)
		default:
			var text strings.Builder
			for _, piece := range part.text {
				text.WriteString(piece.literal)
				if piece.name != "" {
					text.WriteString(placeholderText(piece.name, p, env))
				}
			}
			dst = appendJSONString(dst, text.String())
		}
	}
	return dst
}

// appendPlaceholder writes a placeholder as a value of its type.
func appendPlaceholder(dst []byte, name string, p Problem, env Env) []byte {
	switch name {
	case "problem.status":
		return strconv.AppendInt(dst, int64(p.Status), 10)
	case "problem.detail":
		if len(p.Fields) > 0 {
			return appendFields(dst, p.Fields)
		}
	case "problem.errors":
		return appendFields(dst, p.Fields)
	case "problem.retry_after":
		if s := floorRetryAfter(p.Status, p.RetryAfter); s > 0 {
			return strconv.AppendInt(dst, int64(s), 10)
		}
		return append(dst, "null"...)
	}
	return appendJSONString(dst, placeholderText(name, p, env))
}

func placeholderText(name string, p Problem, env Env) string {
	switch name {
	case "problem.status":
		return strconv.Itoa(p.Status)
	case "problem.detail", "problem.message":
		return p.Detail
	case "problem.title":
		return p.title()
	case "problem.type":
		return p.typeURI()
	case "problem.request_id":
		return env.RequestID
	case "problem.retry_after":
		if s := floorRetryAfter(p.Status, p.RetryAfter); s > 0 {
			return strconv.Itoa(s)
		}
		return ""
	}
	if env.Lookup != nil {
		if s, ok := env.Lookup(name); ok {
			return s
		}
	}
	return ""
}
