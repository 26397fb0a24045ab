package reading

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Bounds of a JSON tree. What lies beyond is kept as text, unparsed.
const (
	MaxJSONDepth = 32
	maxJSONNodes = 20000
)

type jsonKind uint8

const (
	Null jsonKind = iota
	Bool
	Number
	String
	Array
	Object
	// Skipped is a value beyond the bounds; str is its source.
	Skipped
)

// Node is a value of a JSON body. Members keep their order and numbers their
// digits. All methods take a nil Node for an absent value.
type Node struct {
	Kind jsonKind
	Str  string // string value, digits of a number, source of a skipped value
	Yes  bool
	// repeated says that an array was made of elements of one name.
	repeated bool
	Keys     []string
	Vals     []*Node
}

// ParseJSON reads one JSON value (RFC 8259) that makes up all of text. It is
// bounded in depth and in memory whatever the text; whole reports whether the
// tree holds every value.
func ParseJSON(text string) (n *Node, whole, ok bool) {
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
	if c := p.s[p.i]; (c == '{' || c == '[') && (depth >= MaxJSONDepth || p.nodes > maxJSONNodes) {
		return p.skip()
	}
	switch p.s[p.i] {
	case '{':
		return p.object(depth)
	case '[':
		return p.array(depth)
	case '"':
		s, ok := p.string()
		return &Node{Kind: String, Str: s}, ok
	case 't':
		return &Node{Kind: Bool, Yes: true}, p.word("true")
	case 'f':
		return &Node{Kind: Bool}, p.word("false")
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
	return &Node{Kind: Number, Str: s}, s != "" && json.Valid([]byte(s))
}

func (p *jsonParser) array(depth int) (*Node, bool) {
	n := &Node{Kind: Array}
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
			n.Vals = append(n.Vals, v)
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
	n := &Node{Kind: Object}
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
			n.Keys = append(n.Keys, key)
			n.Vals = append(n.Vals, v)
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
			return &Node{Kind: Skipped, Str: p.s[start:p.i]}, true
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

// Get returns a member, the exact name before one in other case: AWS sends
// "message" and "Message". Of duplicates the last counts, as in encoding/json.
func (n *Node) Get(key string) *Node {
	if n == nil || n.Kind != Object {
		return nil
	}
	var other *Node
	for i, v := range slices.Backward(n.Keys) {
		if v == key {
			return n.Vals[i]
		}
		if other == nil && strings.EqualFold(v, key) {
			other = n.Vals[i]
		}
	}
	return other
}

// At follows members down.
func (n *Node) At(path ...string) *Node {
	for _, key := range path {
		n = n.Get(key)
	}
	return n
}

// Text returns a string member's value, or "".
func (n *Node) Text(key string) string { return n.Get(key).String() }

// String returns a string's value, or "".
func (n *Node) String() string {
	if n == nil || n.Kind != String {
		return ""
	}
	return n.Str
}

// Scalar returns a string's value or a number's digits, or "".
func (n *Node) Scalar() string {
	if n == nil || n.Kind != String && n.Kind != Number {
		return ""
	}
	return n.Str
}

// Items returns an array's elements.
func (n *Node) Items() []*Node {
	if n == nil || n.Kind != Array {
		return nil
	}
	return n.Vals
}

func (n *Node) Is(kind jsonKind) bool { return n != nil && n.Kind == kind }

func (n *Node) IsObject() bool { return n.Is(Object) }

// Has reports whether all members are there, in this very spelling.
func (n *Node) Has(keys ...string) bool {
	if n == nil || n.Kind != Object {
		return false
	}
	for _, key := range keys {
		found := slices.Contains(n.Keys, key)
		if !found {
			return false
		}
	}
	return true
}

// AnyString reports whether f holds for a string value of the tree, or for the
// source of a skipped one.
func (n *Node) AnyString(f func(string) bool) bool {
	if n == nil {
		return false
	}
	switch n.Kind {
	case String, Skipped:
		return f(n.Str)
	}
	for _, v := range n.Vals {
		if v.AnyString(f) {
			return true
		}
	}
	return false
}
