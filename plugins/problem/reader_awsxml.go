package problem

// awsXMLReader reads S3 and its kin, <Error><Code/><Message/></Error>, and the
// query protocol of AWS, <ErrorResponse><Error>... or <Response><Errors><Error>...
var awsXMLReader = reader{"aws-xml", func(d *Document) (Finding, bool) {
	if d.XML == nil {
		return Finding{}, false
	}
	e := d.XML
	if e.name != "Error" {
		e = d.XML.find("Error")
	}
	if e == nil || e.child("Code") == nil {
		return Finding{}, false
	}
	f := Finding{Message: e.child("Message").content()}
	if isBlank(f.Message) {
		f.Message = e.child("Code").content()
	}
	return f, true
}}
