package readers

import "github.com/ainative/portcullis/plugins/problem/internal/reading"

// xmlDictReader reads XML that is JSON in other clothes, as Python frameworks write
// it: Django REST framework's renderer, <root><email><list-item>...</list-item></email></root>,
// and dicttoxml, <root><email type="list"><item type="str">...</item></email></root>.
// Rails' to_xml, <hash><errors type="array">..., is alike. The JSON readers know
// what the data means.
var xmlDictReader = reader{"xml-dict", func(d *reading.Document) (reading.Finding, bool) {
	if d.XML == nil || len(d.XML.Children) == 0 || !isXMLDict(d.XML) {
		return reading.Finding{}, false
	}
	return reading.Finding{Instead: d.AsJSON()}, true
}}

// isXMLDict reports whether an element is a serialized map or list.
func isXMLDict(e *reading.Element) bool {
	return e.Name == "root" || e.Name == "hash" || e.Find("list-item") != nil || e.HasTypes(0)
}
