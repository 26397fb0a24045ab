package bearer

import (
	"errors"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
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
	p := jsonParser{src: src}
	p.space()
	if p.peek() != '{' {
		return jsonValue{}, errJSONObject
	}
	v, err := p.value(0)
	if err != nil {
		return jsonValue{}, err
	}
	p.space()
	if p.pos != len(p.src) {
		return jsonValue{}, errJSONTrailing
	}
	return v, nil
}

type jsonParser struct {
	src      string
	pos      int
	members  int
	elements int
}

// peek returns the next byte, or 0 at the end; a NUL byte is valid nowhere
// that peek is asked, so the two need not be told apart.
func (p *jsonParser) peek() byte {
	if p.pos < len(p.src) {
		return p.src[p.pos]
	}
	return 0
}

func (p *jsonParser) space() {
	for p.pos < len(p.src) {
		switch p.src[p.pos] {
		case ' ', '\t', '\n', '\r':
			p.pos++
		default:
			return
		}
	}
}

func (p *jsonParser) value(depth int) (jsonValue, error) {
	switch c := p.peek(); {
	case c == '{':
		return p.object(depth + 1)
	case c == '[':
		return p.array(depth + 1)
	case c == '"':
		s, err := p.string()
		return jsonValue{kind: jsonString, text: s}, err
	case c == '-' || isDigit(c):
		s, err := p.number()
		return jsonValue{kind: jsonNumber, text: s}, err
	case p.literal("true"):
		return jsonValue{kind: jsonBool, truth: true}, nil
	case p.literal("false"):
		return jsonValue{kind: jsonBool}, nil
	case p.literal("null"):
		return jsonValue{kind: jsonNull}, nil
	}
	return jsonValue{}, errJSON
}

func (p *jsonParser) literal(word string) bool {
	if strings.HasPrefix(p.src[p.pos:], word) {
		p.pos += len(word)
		return true
	}
	return false
}

func (p *jsonParser) object(depth int) (jsonValue, error) {
	v := jsonValue{kind: jsonObject}
	if depth > maxDepth {
		return v, errJSONDepth
	}
	var seen map[string]struct{}
	p.pos++
	p.space()
	if p.peek() == '}' {
		p.pos++
		return v, nil
	}
	for {
		if p.peek() != '"' {
			return v, errJSON
		}
		if p.members++; p.members > maxMembers {
			return v, errJSONMembers
		}
		name, err := p.string()
		if err != nil {
			return v, err
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
		p.space()
		if p.peek() != ':' {
			return v, errJSON
		}
		p.pos++
		p.space()
		item, err := p.value(depth)
		if err != nil {
			return v, err
		}
		v.members = append(v.members, jsonMember{name: name, value: item})
		p.space()
		switch p.peek() {
		case ',':
			p.pos++
			p.space()
		case '}':
			p.pos++
			return v, nil
		default:
			return v, errJSON
		}
	}
}

func (p *jsonParser) array(depth int) (jsonValue, error) {
	v := jsonValue{kind: jsonArray}
	if depth > maxDepth {
		return v, errJSONDepth
	}
	p.pos++
	p.space()
	if p.peek() == ']' {
		p.pos++
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
		p.space()
		switch p.peek() {
		case ',':
			p.pos++
			p.space()
		case ']':
			p.pos++
			return v, nil
		default:
			return v, errJSON
		}
	}
}

// number reads the grammar of RFC 8259 section 6 and returns the literal.
func (p *jsonParser) number() (string, error) {
	start := p.pos
	if p.peek() == '-' {
		p.pos++
	}
	switch c := p.peek(); {
	case c == '0':
		p.pos++
	case isDigit(c):
		p.digits()
	default:
		return "", errJSON
	}
	if p.peek() == '.' {
		p.pos++
		if !p.digits() {
			return "", errJSON
		}
	}
	if c := p.peek(); c == 'e' || c == 'E' {
		p.pos++
		if c := p.peek(); c == '+' || c == '-' {
			p.pos++
		}
		if !p.digits() {
			return "", errJSON
		}
	}
	return p.src[start:p.pos], nil
}

// digits skips a run of digits and reports whether there was one.
func (p *jsonParser) digits() bool {
	start := p.pos
	for isDigit(p.peek()) {
		p.pos++
	}
	return p.pos > start
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// string reads a string from its opening quote. Without escapes the result is
// a part of src.
func (p *jsonParser) string() (string, error) {
	p.pos++
	start := p.pos
	for p.pos < len(p.src) {
		switch c := p.src[p.pos]; {
		case c == '"':
			s := p.src[start:p.pos]
			p.pos++
			return s, nil
		case c == '\\':
			return p.escapedString(start)
		case c < 0x20:
			return "", errJSON
		default:
			p.pos++
		}
	}
	return "", errJSON
}

// escapedString goes on where string met the first backslash.
func (p *jsonParser) escapedString(start int) (string, error) {
	var b strings.Builder
	b.WriteString(p.src[start:p.pos])
	for p.pos < len(p.src) {
		switch c := p.src[p.pos]; {
		case c == '"':
			p.pos++
			return b.String(), nil
		case c == '\\':
			r, err := p.escape()
			if err != nil {
				return "", err
			}
			b.WriteRune(r)
		case c < 0x20:
			return "", errJSON
		default:
			b.WriteByte(c)
			p.pos++
		}
	}
	return "", errJSON
}

func (p *jsonParser) escape() (rune, error) {
	p.pos++
	c := p.peek()
	p.pos++
	switch c {
	case '"', '\\', '/':
		return rune(c), nil
	case 'b':
		return '\b', nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case 'u':
	default:
		return 0, errJSON
	}
	r, err := p.hex4()
	if !utf16.IsSurrogate(r) {
		return r, err
	}
	if !p.literal(`\u`) {
		return 0, errJSON
	}
	low, _ := p.hex4() // of none 0, which makes no pair
	// DecodeRune answers U+FFFD for anything but a proper pair, and a proper pair
	// never means U+FFFD.
	if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
		return 0, errJSON
	}
	return r, nil
}

func (p *jsonParser) hex4() (rune, error) {
	var r rune
	for range 4 {
		c := p.peek()
		p.pos++
		switch {
		case isDigit(c):
			r = r<<4 | rune(c-'0')
		case 'a' <= c && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case 'A' <= c && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			return 0, errJSON
		}
	}
	return r, nil
}
