package bearer

import (
	"errors"
	"unicode/utf8"

	"github.com/ainative/portcullis/plugins/internal/jsontext"
)

// Bounds of one JSON document of a token. Real tokens stay far below; together
// with maxTokenBytes they bound what an unsigned token can cost.
const (
	maxDepth    = 16
	maxMembers  = 256
	maxElements = 512
)

// mapDuplicatesFrom is the object size from which a set finds duplicate names
// faster than comparing each with each.
const mapDuplicatesFrom = 16

var (
	errJSON         = errors.New("not a JSON document")
	errJSONUTF8     = errors.New("not valid UTF-8")
	errJSONTrailing = errors.New("data after the JSON document")
	errJSONDepth    = errors.New("nested too deeply")
	errJSONMembers  = errors.New("too many members")
	errJSONElements = errors.New("too many list elements")
	errJSONObject   = errors.New("not a JSON object")
	// errJSONDuplicate is kept apart: it has a reason of its own in the log.
	errJSONDuplicate = errors.New("duplicate member")
)

type jsonKind uint8

const (
	jsonNull jsonKind = iota
	jsonBool
	jsonNumber
	jsonString
	jsonArray
	jsonObject
)

func (k jsonKind) String() string {
	return [...]string{"null", "a boolean", "a number", "a string", "a list", "an object"}[k]
}

// jsonValue is one parsed value. Text is the decoded string, or the literal of
// a number with every digit as it was sent.
type jsonValue struct {
	kind    jsonKind
	truth   bool
	text    string
	items   []jsonValue
	members []jsonMember
}

type jsonMember struct {
	name  string
	value jsonValue
}

// member returns the member of exactly this name, or nil.
func (v *jsonValue) member(name string) *jsonValue {
	for i := range v.members {
		if v.members[i].name == name {
			return &v.members[i].value
		}
	}
	return nil
}

// parseObject reads one JSON object in a single pass that both judges and
// decodes, so that no second parser can see another document. It is stricter
// than encoding/json: duplicate member names at any level, invalid UTF-8, lone
// surrogates and anything but white space after the object are refused (RFC
// 8259, and RFC 7493 section 2 for what RFC 8259 only advises).
//
// The result keeps parts of src alive.
func parseObject(src string) (jsonValue, error) {
	if !utf8.ValidString(src) {
		return jsonValue{}, errJSONUTF8
	}
	p := jsonParser{Scanner: jsontext.Scanner{Src: src}}
	p.Space()
	if p.Peek() != '{' {
		return jsonValue{}, errJSONObject
	}
	v, err := p.value(0)
	if err != nil {
		return jsonValue{}, err
	}
	p.Space()
	if p.Pos != len(p.Src) {
		return jsonValue{}, errJSONTrailing
	}
	return v, nil
}

type jsonParser struct {
	jsontext.Scanner
	members  int
	elements int
}

func (p *jsonParser) value(depth int) (jsonValue, error) {
	switch c := p.Peek(); {
	case c == '{':
		return p.object(depth + 1)
	case c == '[':
		return p.array(depth + 1)
	case c == '"':
		s, ok := p.Text()
		return jsonValue{kind: jsonString, text: s}, orJSON(ok)
	case c == '-' || '0' <= c && c <= '9':
		s, ok := p.Number()
		return jsonValue{kind: jsonNumber, text: s}, orJSON(ok)
	case p.Literal("true"):
		return jsonValue{kind: jsonBool, truth: true}, nil
	case p.Literal("false"):
		return jsonValue{kind: jsonBool}, nil
	case p.Literal("null"):
		return jsonValue{kind: jsonNull}, nil
	}
	return jsonValue{}, errJSON
}

// orJSON is errJSON where something is not.
func orJSON(ok bool) error {
	if !ok {
		return errJSON
	}
	return nil
}

func (p *jsonParser) object(depth int) (jsonValue, error) {
	v := jsonValue{kind: jsonObject}
	if depth > maxDepth {
		return v, errJSONDepth
	}
	var seen map[string]struct{}
	if p.Open('}') {
		return v, nil
	}
	for {
		if p.Peek() != '"' {
			return v, errJSON
		}
		if p.members++; p.members > maxMembers {
			return v, errJSONMembers
		}
		name, ok := p.Text()
		if !ok {
			return v, errJSON
		}
		if len(v.members) == mapDuplicatesFrom {
			seen = make(map[string]struct{}, 4*mapDuplicatesFrom)
			for i := range v.members {
				seen[v.members[i].name] = struct{}{}
			}
		}
		if seen == nil {
			if v.member(name) != nil {
				return v, errJSONDuplicate
			}
		} else {
			if _, dup := seen[name]; dup {
				return v, errJSONDuplicate
			}
			seen[name] = struct{}{}
		}
		if !p.Colon() {
			return v, errJSON
		}
		item, err := p.value(depth)
		if err != nil {
			return v, err
		}
		v.members = append(v.members, jsonMember{name: name, value: item})
		if more, ok := p.Next('}'); !more {
			return v, orJSON(ok)
		}
	}
}

func (p *jsonParser) array(depth int) (jsonValue, error) {
	v := jsonValue{kind: jsonArray}
	if depth > maxDepth {
		return v, errJSONDepth
	}
	if p.Open(']') {
		return v, nil
	}
	for {
		if p.elements++; p.elements > maxElements {
			return v, errJSONElements
		}
		item, err := p.value(depth)
		if err != nil {
			return v, err
		}
		v.items = append(v.items, item)
		if more, ok := p.Next(']'); !more {
			return v, orJSON(ok)
		}
	}
}
