package readers

import (
	"strings"

	"github.com/ainative/portcullis/plugins/problem/internal/reading"
)

// awsXMLReader reads S3 and its kin, <Error><Code/><Message/></Error>, and the
// query protocol of AWS, <ErrorResponse><Error>... or <Response><Errors><Error>...
var awsXMLReader = reader{"aws-xml", func(d *reading.Document) (reading.Finding, bool) {
	if d.XML == nil {
		return reading.Finding{}, false
	}
	e := d.XML
	if e.Name != "Error" {
		e = d.XML.Find("Error")
	}
	if e == nil || e.Child("Code") == nil {
		return reading.Finding{}, false
	}
	// Azure Storage appends lines with the request's id and time.
	message, _, _ := strings.Cut(e.Child("Message").Content(), "\nRequestId:")
	return reading.Finding{Message: firstTelling(message, e.Child("Code").Content())}, true
}}
