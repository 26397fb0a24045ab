package problem

// problemXMLReader reads application/problem+xml (RFC 9457 appendix B).
var problemXMLReader = reader{"problem+xml", func(d *Document) (Finding, bool) {
	if d.XML == nil || d.XML.name != "problem" {
		return Finding{}, false
	}
	f := Finding{Message: d.XML.child("detail").content(), Title: d.XML.child("title").content(), Type: d.XML.child("type").content()}
	if isBlank(f.Message) {
		f.Message = f.Title
	}
	return f, true
}}
