package readers

import (
	"strings"

	"github.com/ainative/portcullis/plugins/problem/internal/reading"
)

// soapReader reads SOAP 1.1 (section 4.4) and 1.2 (part 1, section 5.4) faults.
// 1.1 sends all of them with status 500; a Client fault is the caller's to know.
var soapReader = reader{"soap", func(d *reading.Document) (reading.Finding, bool) {
	if d.XML == nil || d.XML.Name != "Envelope" && d.XML.Name != "Fault" {
		return reading.Finding{}, false
	}
	fault := d.XML.Find("Fault")
	if fault == nil {
		return reading.Finding{}, false
	}
	code := fault.Child("faultcode").Content()
	text := fault.Child("faultstring").Content()
	if reason := fault.Child("Reason"); reason != nil {
		text = reason.Child("Text").Content()
		code = fault.Child("Code").Child("Value").Content()
	}
	if _, local, ok := strings.Cut(code, ":"); ok {
		code = local
	}
	f := reading.Finding{Message: text, ClientFault: strings.HasPrefix(code, "Client") || strings.HasPrefix(code, "Sender")}
	// libxml's own report of the schema says more about it than about the mistake.
	if strings.Contains(text, ":SCHEMASV:") || strings.Contains(text, ":PARSER:") {
		f.Message = ""
	}
	return f, true
}}
