package reading

import "strings"

// listItems are the names that serializers give to the elements of a list.
var listItems = Words("list-item item li element")

// node turns markup into data: elements of a list into an array, other elements
// into an object, in which a name that occurs again makes an array, and text into
// a string.
func (e *Element) node(depth int) *Node {
	switch {
	case len(e.Children) == 0 || depth >= MaxJSONDepth:
		return &Node{Kind: String, Str: e.Content()}
	case e.isList():
		n := &Node{Kind: Array}
		for _, c := range e.Children {
			n.Vals = append(n.Vals, c.node(depth+1))
		}
		return n
	}
	n := &Node{Kind: Object}
	seen := make(map[string]*Node)
	for _, c := range e.Children {
		v := c.node(depth + 1)
		if before := seen[c.Name]; before == nil {
			n.Keys, n.Vals = append(n.Keys, c.Name), append(n.Vals, v)
			seen[c.Name] = v
		} else if before.repeated {
			before.Vals = append(before.Vals, v)
		} else {
			first := *before
			*before = Node{Kind: Array, Vals: []*Node{&first, v}, repeated: true}
		}
	}
	return n
}

// isList reports whether the children are the elements of a list.
func (e *Element) isList() bool {
	if t := e.attr("type"); t == "list" || t == "array" {
		return true
	}
	for _, c := range e.Children {
		if !listItems[strings.ToLower(c.Name)] {
			return false
		}
	}
	return true
}

// AsJSON is the document with its markup read as data. Its text is shorter, as
// that of every Instead has to be.
func (d *Document) AsJSON() *Document {
	return &Document{Status: d.Status, Header: d.Header, Text: d.Text[:len(d.Text)-1], JSON: d.XML.node(0)}
}

// dataTypes are the types that serializers note in the attribute `type`.
var dataTypes = Words("list dict str int float bool null array string object")

// HasTypes reports whether the element or one below it notes its type.
func (e *Element) HasTypes(depth int) bool {
	if dataTypes[e.attr("type")] {
		return true
	}
	for _, c := range e.Children {
		if depth < 4 && c.HasTypes(depth+1) {
			return true
		}
	}
	return false
}
