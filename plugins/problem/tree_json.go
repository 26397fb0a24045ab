package problem

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Bounds of a JSON tree. What lies beyond is kept as text, unparsed.
const (
	maxJSONDepth = 32
	maxJSONNodes = 20000
)

type jsonKind uint8

const (
	jsonNull jsonKind = iota
	jsonBool
	jsonNumber
	jsonString
	jsonArray
	jsonObject
	// jsonSkipped is a value beyond the bounds; str is its source.
	jsonSkipped
)

// Node is a value of a JSON body. Members keep their order and numbers their
// digits. All methods take a nil Node for an absent value.
type Node struct {
	kind jsonKind
	str  string // string value, digits of a number, source of a skipped value
	yes  bool
	// repeated says that an array was made of elements of one name.
	repeated bool
	keys     []string
	vals     []*Node
}

// parseJSON reads one JSON value (RFC 8259) that makes up all of text. It is
// bounded in depth and in memory whatever the text; whole reports whether the
// tree holds every value.
func parseJSON(text string) (n *Node, whole, ok bool) {
	p := jsonParser{s: text}
	if n, ok = p.value(0); !ok {
		return nil, false, false
	}
	p.space()
	return n, p.nodes <= maxJSONNodes, p.i == len(p.s)
}

type jsonParser struct {
	s     string
	i     int
	nodes int
}

func (p *jsonParser) space() {
	for p.i < len(p.s) {
		switch p.s[p.i] {
		case ' ', '\t', '\n', '\r':
			p.i++
		default:
			return
		}
	}
}

func (p *jsonParser) value(depth int) (*Node, bool) {
	p.space()
	if p.i >= len(p.s) {
		return nil, false
	}
	p.nodes++
	if c := p.s[p.i]; (c == '{' || c == '[') && (depth >= maxJSONDepth || p.nodes > maxJSONNodes) {
		return p.skip()
	}
	switch p.s[p.i] {
	case '{':
		return p.object(depth)
	case '[':
		return p.array(depth)
	case '"':
		s, ok := p.string()
		return &Node{kind: jsonString, str: s}, ok
	case 't':
		return &Node{kind: jsonBool, yes: true}, p.word("true")
	case 'f':
		return &Node{kind: jsonBool}, p.word("false")
	case 'n':
		return &Node{}, p.word("null")
	}
	return p.number()
}

func (p *jsonParser) word(w string) bool {
	if !strings.HasPrefix(p.s[p.i:], w) {
		return false
	}
	p.i += len(w)
	return true
}

func (p *jsonParser) number() (*Node, bool) {
	start := p.i
	for p.i < len(p.s) && strings.IndexByte("+-.eE0123456789", p.s[p.i]) >= 0 {
		p.i++
	}
	s := p.s[start:p.i]
	return &Node{kind: jsonNumber, str: s}, s != "" && json.Valid([]byte(s))
}

func (p *jsonParser) array(depth int) (*Node, bool) {
	n := &Node{kind: jsonArray}
	p.i++
	p.space()
	if p.i < len(p.s) && p.s[p.i] == ']' {
		p.i++
		return n, true
	}
	for {
		v, ok := p.value(depth + 1)
		if !ok {
			return nil, false
		}
		if p.nodes <= maxJSONNodes {
			n.vals = append(n.vals, v)
		}
		p.space()
		if p.i >= len(p.s) {
			return nil, false
		}
		p.i++
		switch p.s[p.i-1] {
		case ',':
		case ']':
			return n, true
		default:
			return nil, false
		}
	}
}

func (p *jsonParser) object(depth int) (*Node, bool) {
	n := &Node{kind: jsonObject}
	p.i++
	p.space()
	if p.i < len(p.s) && p.s[p.i] == '}' {
		p.i++
		return n, true
	}
	for {
		p.space()
		if p.i >= len(p.s) || p.s[p.i] != '"' {
			return nil, false
		}
		key, ok := p.string()
		if !ok {
			return nil, false
		}
		p.space()
		if p.i >= len(p.s) || p.s[p.i] != ':' {
			return nil, false
		}
		p.i++
		v, ok := p.value(depth + 1)
		if !ok {
			return nil, false
		}
		if p.nodes <= maxJSONNodes {
			n.keys = append(n.keys, key)
			n.vals = append(n.vals, v)
		}
		p.space()
		if p.i >= len(p.s) {
			return nil, false
		}
		p.i++
		switch p.s[p.i-1] {
		case ',':
		case '}':
			return n, true
		default:
			return nil, false
		}
	}
}

// skip passes over a container without recursion. Its inside is not checked
// beyond the balance of brackets; it never becomes output.
func (p *jsonParser) skip() (*Node, bool) {
	start, depth := p.i, 0
	for p.i < len(p.s) {
		switch p.s[p.i] {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case '"':
			if !p.skipString() {
				return nil, false
			}
			continue
		}
		p.i++
		if depth == 0 {
			return &Node{kind: jsonSkipped, str: p.s[start:p.i]}, true
		}
	}
	return nil, false
}

func (p *jsonParser) skipString() bool {
	for p.i++; p.i < len(p.s); p.i++ {
		switch p.s[p.i] {
		case '\\':
			p.i++
		case '"':
			p.i++
			return true
		}
	}
	return false
}

// string reads a string. Lone surrogates become U+FFFD, as in encoding/json.
func (p *jsonParser) string() (string, bool) {
	start := p.i + 1
	for i := start; i < len(p.s); i++ {
		switch c := p.s[i]; {
		case c == '"':
			p.i = i + 1
			return p.s[start:i], true
		case c == '\\':
			return p.escapedString(start, i)
		case c < 0x20:
			return "", false
		}
	}
	return "", false
}

func (p *jsonParser) escapedString(start, i int) (string, bool) {
	var b strings.Builder
	b.WriteString(p.s[start:i])
	for i < len(p.s) {
		switch c := p.s[i]; {
		case c == '"':
			p.i = i + 1
			return b.String(), true
		case c < 0x20:
			return "", false
		case c != '\\':
			b.WriteByte(c)
			i++
			continue
		}
		if i+1 >= len(p.s) {
			return "", false
		}
		i += 2
		switch c := p.s[i-1]; c {
		case '"', '\\', '/':
			b.WriteByte(c)
		case 'b':
			b.WriteByte('\b')
		case 'f':
			b.WriteByte('\f')
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		case 't':
			b.WriteByte('\t')
		case 'u':
			r, ok := hex4(p.s, i)
			if !ok {
				return "", false
			}
			i += 4
			if utf16.IsSurrogate(r) {
				low, ok := rune(0), false
				if strings.HasPrefix(p.s[i:], `\u`) {
					low, ok = hex4(p.s, i+2)
				}
				if pair := utf16.DecodeRune(r, low); ok && pair != utf8.RuneError {
					r = pair
					i += 6
				} else {
					r = utf8.RuneError
				}
			}
			b.WriteRune(r)
		default:
			return "", false
		}
	}
	return "", false
}

func hex4(s string, i int) (rune, bool) {
	if i+4 > len(s) {
		return 0, false
	}
	var r rune
	for _, c := range []byte(s[i : i+4]) {
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	return r, true
}

// get returns a member, the exact name before one in other case: AWS sends
// "message" and "Message". Of duplicates the last counts, as in encoding/json.
func (n *Node) get(key string) *Node {
	if n == nil || n.kind != jsonObject {
		return nil
	}
	var other *Node
	for i, v := range slices.Backward(n.keys) {
		if v == key {
			return n.vals[i]
		}
		if other == nil && strings.EqualFold(v, key) {
			other = n.vals[i]
		}
	}
	return other
}

// at follows members down.
func (n *Node) at(path ...string) *Node {
	for _, key := range path {
		n = n.get(key)
	}
	return n
}

// text returns a string member's value, or "".
func (n *Node) text(key string) string { return n.get(key).string() }

// string returns a string's value, or "".
func (n *Node) string() string {
	if n == nil || n.kind != jsonString {
		return ""
	}
	return n.str
}

// scalar returns a string's value or a number's digits, or "".
func (n *Node) scalar() string {
	if n == nil || n.kind != jsonString && n.kind != jsonNumber {
		return ""
	}
	return n.str
}

// items returns an array's elements.
func (n *Node) items() []*Node {
	if n == nil || n.kind != jsonArray {
		return nil
	}
	return n.vals
}

func (n *Node) is(kind jsonKind) bool { return n != nil && n.kind == kind }

func (n *Node) isObject() bool { return n.is(jsonObject) }

// has reports whether all members are there, in this very spelling.
func (n *Node) has(keys ...string) bool {
	if n == nil || n.kind != jsonObject {
		return false
	}
	for _, key := range keys {
		found := slices.Contains(n.keys, key)
		if !found {
			return false
		}
	}
	return true
}

// anyString reports whether f holds for a string value of the tree, or for the
// source of a skipped one.
func (n *Node) anyString(f func(string) bool) bool {
	if n == nil {
		return false
	}
	switch n.kind {
	case jsonString, jsonSkipped:
		return f(n.str)
	}
	for _, v := range n.vals {
		if v.anyString(f) {
			return true
		}
	}
	return false
}
