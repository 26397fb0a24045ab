package problem

// xmlDictReader reads XML that is JSON in other clothes, as Python frameworks write
// it: Django REST framework's renderer, <root><email><list-item>...</list-item></email></root>,
// and dicttoxml, <root><email type="list"><item type="str">...</item></email></root>.
// Rails' to_xml, <hash><errors type="array">..., is alike. The JSON readers know
// what the data means.
var xmlDictReader = reader{"xml-dict", func(d *Document) (Finding, bool) {
	if d.XML == nil || len(d.XML.children) == 0 || !isXMLDict(d.XML) {
		return Finding{}, false
	}
	return Finding{Instead: d.asJSON()}, true
}}

// isXMLDict reports whether an element is a serialized map or list.
func isXMLDict(e *Element) bool {
	return e.name == "root" || e.name == "hash" || e.find("list-item") != nil || e.hasTypes(0)
}
