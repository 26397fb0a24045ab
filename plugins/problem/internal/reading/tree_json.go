package reading

import (
	"slices"
	"strings"

	"github.com/ainative/portcullis/plugins/internal/jsontext"
)

// Bounds of a JSON tree. What lies beyond is kept as text, unparsed.
const (
	MaxJSONDepth = 32
	maxJSONNodes = 20000
)

// Kind is what a Node is.
type Kind uint8

// The kinds.
const (
	Null Kind = iota
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
	Kind Kind
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
	p := jsonParser{Scanner: jsontext.Scanner{Src: text, LoneSurrogates: true}}
	if n, ok = p.value(0); !ok {
		return nil, false, false
	}
	p.Space()
	return n, p.nodes <= maxJSONNodes, p.Pos == len(p.Src)
}

type jsonParser struct {
	jsontext.Scanner
	nodes int
}

func (p *jsonParser) value(depth int) (*Node, bool) {
	p.Space()
	p.nodes++
	c := p.Peek()
	if (c == '{' || c == '[') && (depth >= MaxJSONDepth || p.nodes > maxJSONNodes) {
		return p.skip()
	}
	switch c {
	case '{':
		return p.object(depth)
	case '[':
		return p.array(depth)
	case '"':
		s, ok := p.Text()
		return &Node{Kind: String, Str: s}, ok
	case 't':
		return &Node{Kind: Bool, Yes: true}, p.Literal("true")
	case 'f':
		return &Node{Kind: Bool}, p.Literal("false")
	case 'n':
		return &Node{}, p.Literal("null")
	}
	s, ok := p.Number()
	return &Node{Kind: Number, Str: s}, ok
}

func (p *jsonParser) array(depth int) (*Node, bool) {
	n := &Node{Kind: Array}
	for more := !p.Open(']'); more; {
		v, ok := p.value(depth + 1)
		if !ok {
			return nil, false
		}
		if p.nodes <= maxJSONNodes {
			n.Vals = append(n.Vals, v)
		}
		if more, ok = p.Next(']'); !ok {
			return nil, false
		}
	}
	return n, true
}

func (p *jsonParser) object(depth int) (*Node, bool) {
	n := &Node{Kind: Object}
	for more := !p.Open('}'); more; {
		name, ok := p.name()
		if !ok {
			return nil, false
		}
		v, ok := p.value(depth + 1)
		if !ok {
			return nil, false
		}
		if p.nodes <= maxJSONNodes {
			n.Keys, n.Vals = append(n.Keys, name), append(n.Vals, v)
		}
		if more, ok = p.Next('}'); !ok {
			return nil, false
		}
	}
	return n, true
}

// name reads the name of a member, up to its value.
func (p *jsonParser) name() (string, bool) {
	if p.Peek() != '"' {
		return "", false
	}
	name, ok := p.Text()
	return name, ok && p.Colon()
}

// skip passes over a container without recursion. Its inside is not checked
// beyond the balance of brackets; it never becomes output.
func (p *jsonParser) skip() (*Node, bool) {
	start, depth := p.Pos, 0
	for p.Pos < len(p.Src) {
		switch p.Src[p.Pos] {
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
		p.Pos++
		if depth == 0 {
			return &Node{Kind: Skipped, Str: p.Src[start:p.Pos]}, true
		}
	}
	return nil, false
}

func (p *jsonParser) skipString() bool {
	for p.Pos++; p.Pos < len(p.Src); p.Pos++ {
		switch p.Src[p.Pos] {
		case '\\':
			p.Pos++
		case '"':
			p.Pos++
			return true
		}
	}
	return false
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

// Is reports whether there is a node, and whether it is of the kind.
func (n *Node) Is(kind Kind) bool { return n != nil && n.Kind == kind }

// IsObject reports whether there is a node, and whether it is an object.
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
