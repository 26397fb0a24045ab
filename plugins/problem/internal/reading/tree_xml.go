package reading

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
	Name     string
	Attrs    []xml.Attr
	text     string
	Children []*Element
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
			e := &Element{Name: token.Name.Local, Attrs: token.Attr}
			if len(stack) > 0 {
				top := stack[len(stack)-1]
				top.Children = append(top.Children, e)
			} else if root == nil {
				root = e
			}
			stack = append(stack, e)
		case xml.EndElement:
			if len(stack) == 0 || stack[len(stack)-1].Name != token.Name.Local {
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

// Child returns the first child of one of the names, in any case, in the order
// of the names.
func (e *Element) Child(names ...string) *Element {
	if e == nil {
		return nil
	}
	for _, name := range names {
		for _, c := range e.Children {
			if strings.EqualFold(c.Name, name) {
				return c
			}
		}
	}
	return nil
}

// All returns the children of a name.
func (e *Element) All(name string) []*Element {
	if e == nil {
		return nil
	}
	var out []*Element
	for _, c := range e.Children {
		if strings.EqualFold(c.Name, name) {
			out = append(out, c)
		}
	}
	return out
}

// Find returns the first element of one of the names in document order.
func (e *Element) Find(names ...string) *Element {
	if e == nil {
		return nil
	}
	for _, name := range names {
		if strings.EqualFold(e.Name, name) {
			return e
		}
	}
	for _, c := range e.Children {
		if found := c.Find(names...); found != nil {
			return found
		}
	}
	return nil
}

// Content returns the element's own text.
func (e *Element) Content() string {
	if e == nil {
		return ""
	}
	return strings.TrimSpace(e.text)
}

// Value returns the `value` attribute (FHIR), or the text.
func (e *Element) Value() string {
	if s := e.attr("value"); s != "" {
		return s
	}
	return e.Content()
}

// attr returns an attribute, or "".
func (e *Element) attr(name string) string {
	if e == nil {
		return ""
	}
	for _, a := range e.Attrs {
		if a.Name.Local == name {
			return strings.TrimSpace(a.Value)
		}
	}
	return ""
}
