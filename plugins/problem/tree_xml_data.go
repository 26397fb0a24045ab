package problem

import "strings"

// listItems are the names that serializers give to the elements of a list.
var listItems = map[string]bool{"list-item": true, "item": true, "li": true, "element": true}

// node turns markup into data: elements of a list into an array, other elements
// into an object, in which a name that occurs again makes an array, and text into
// a string.
func (e *Element) node(depth int) *Node {
	switch {
	case len(e.children) == 0 || depth >= maxJSONDepth:
		return &Node{kind: jsonString, str: e.content()}
	case e.isList():
		n := &Node{kind: jsonArray}
		for _, c := range e.children {
			n.vals = append(n.vals, c.node(depth+1))
		}
		return n
	}
	n := &Node{kind: jsonObject}
	seen := make(map[string]*Node)
	for _, c := range e.children {
		v := c.node(depth + 1)
		if before := seen[c.name]; before == nil {
			n.keys, n.vals = append(n.keys, c.name), append(n.vals, v)
			seen[c.name] = v
		} else if before.repeated {
			before.vals = append(before.vals, v)
		} else {
			first := *before
			*before = Node{kind: jsonArray, vals: []*Node{&first, v}, repeated: true}
		}
	}
	return n
}

// isList reports whether the children are the elements of a list.
func (e *Element) isList() bool {
	if t := e.attr("type"); t == "list" || t == "array" {
		return true
	}
	for _, c := range e.children {
		if !listItems[strings.ToLower(c.name)] {
			return false
		}
	}
	return true
}

// asJSON is the document with its markup read as data. Its text is shorter, as
// that of every Instead has to be.
func (d *Document) asJSON() *Document {
	return &Document{Status: d.Status, Header: d.Header, Text: d.Text[:len(d.Text)-1], JSON: d.XML.node(0)}
}

// dataTypes are the types that serializers note in the attribute `type`.
var dataTypes = map[string]bool{
	"list": true, "dict": true, "str": true, "int": true, "float": true, "bool": true, "null": true, "array": true, "string": true, "object": true,
}

// hasTypes reports whether the element or one below it notes its type.
func (e *Element) hasTypes(depth int) bool {
	if dataTypes[e.attr("type")] {
		return true
	}
	for _, c := range e.children {
		if depth < 4 && c.hasTypes(depth+1) {
			return true
		}
	}
	return false
}
