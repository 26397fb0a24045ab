package problem

import (
	"encoding/xml"
	"io"
	"strings"
)

// Bounds of an XML tree.
const (
	maxXMLDepth  = 48
	maxXMLTokens = 20000
)

// Element is an element of an XML body. Names are local: prefixes are the
// server's own choice. All methods take a nil Element for an absent one.
type Element struct {
	name     string
	attrs    []xml.Attr
	text     string
	children []*Element
}

// parseXML reads markup as XML. It resolves no entities but the five of XML and
// character references, so that entity bombs and external entities are inert,
// and gives up beyond its bounds.
func parseXML(text string) (*Element, bool) {
	d := xml.NewDecoder(strings.NewReader(text))
	d.Strict = false
	// The text is UTF-8 by now, whatever its declaration says.
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	var root *Element
	var stack []*Element
	for range maxXMLTokens {
		token, err := d.RawToken()
		if err != nil {
			return root, root != nil && len(stack) == 0
		}
		switch token := token.(type) {
		case xml.StartElement:
			if len(stack) >= maxXMLDepth {
				return nil, false
			}
			e := &Element{name: token.Name.Local, attrs: token.Attr}
			if len(stack) > 0 {
				top := stack[len(stack)-1]
				top.children = append(top.children, e)
			} else if root == nil {
				root = e
			}
			stack = append(stack, e)
		case xml.EndElement:
			if len(stack) == 0 || stack[len(stack)-1].name != token.Name.Local {
				return nil, false
			}
			stack = stack[:len(stack)-1]
		case xml.CharData:
			if len(stack) > 0 && len(strings.TrimSpace(string(token))) > 0 {
				top := stack[len(stack)-1]
				top.text += string(token)
			}
		}
	}
	return nil, false
}

// child returns the first child of one of the names, in any case, in the order
// of the names.
func (e *Element) child(names ...string) *Element {
	if e == nil {
		return nil
	}
	for _, name := range names {
		for _, c := range e.children {
			if strings.EqualFold(c.name, name) {
				return c
			}
		}
	}
	return nil
}

// all returns the children of a name.
func (e *Element) all(name string) []*Element {
	if e == nil {
		return nil
	}
	var out []*Element
	for _, c := range e.children {
		if strings.EqualFold(c.name, name) {
			out = append(out, c)
		}
	}
	return out
}

// find returns the first element of one of the names in document order.
func (e *Element) find(names ...string) *Element {
	if e == nil {
		return nil
	}
	for _, name := range names {
		if strings.EqualFold(e.name, name) {
			return e
		}
	}
	for _, c := range e.children {
		if found := c.find(names...); found != nil {
			return found
		}
	}
	return nil
}

// content returns the element's own text.
func (e *Element) content() string {
	if e == nil {
		return ""
	}
	return strings.TrimSpace(e.text)
}

// value returns the `value` attribute (FHIR), or the text.
func (e *Element) value() string {
	if s := e.attr("value"); s != "" {
		return s
	}
	return e.content()
}

// attr returns an attribute, or "".
func (e *Element) attr(name string) string {
	if e == nil {
		return ""
	}
	for _, a := range e.attrs {
		if a.Name.Local == name {
			return strings.TrimSpace(a.Value)
		}
	}
	return ""
}
