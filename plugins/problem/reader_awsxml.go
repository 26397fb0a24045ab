package problem

import "strings"

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
	// Azure Storage appends lines with the request's id and time.
	message, _, _ := strings.Cut(e.child("Message").content(), "\nRequestId:")
	f := Finding{Message: message}
	if isBlank(f.Message) {
		f.Message = e.child("Code").content()
	}
	return f, true
}}
