package readers

import "github.com/ainative/portcullis/plugins/problem/internal/reading"

// problemXMLReader reads application/problem+xml (RFC 9457 appendix B).
var problemXMLReader = reader{"problem+xml", func(d *reading.Document) (reading.Finding, bool) {
	if d.XML == nil || d.XML.Name != "problem" {
		return reading.Finding{}, false
	}
	title := d.XML.Child("title").Content()
	return reading.Finding{Message: firstTelling(d.XML.Child("detail").Content(), title), Title: title, Type: d.XML.Child("type").Content()}, true
}}
