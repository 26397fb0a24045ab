package readers

import "github.com/ainative/portcullis/plugins/problem/internal/reading"

// problemXMLReader reads application/problem+xml (RFC 9457 appendix B).
var problemXMLReader = reader{"problem+xml", func(d *reading.Document) (reading.Finding, bool) {
	if d.XML == nil || d.XML.Name != "problem" {
		return reading.Finding{}, false
	}
	f := reading.Finding{Message: d.XML.Child("detail").Content(), Title: d.XML.Child("title").Content(), Type: d.XML.Child("type").Content()}
	if reading.IsBlank(f.Message) {
		f.Message = f.Title
	}
	return f, true
}}
