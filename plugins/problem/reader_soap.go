package problem

import "strings"

// soapReader reads SOAP 1.1 (section 4.4) and 1.2 (part 1, section 5.4) faults.
// 1.1 sends all of them with status 500; a Client fault is the caller's to know.
var soapReader = reader{"soap", func(d *Document) (Finding, bool) {
	if d.XML == nil || d.XML.name != "Envelope" && d.XML.name != "Fault" {
		return Finding{}, false
	}
	fault := d.XML.find("Fault")
	if fault == nil {
		return Finding{}, false
	}
	code := fault.child("faultcode").content()
	text := fault.child("faultstring").content()
	if reason := fault.child("Reason"); reason != nil {
		text = reason.child("Text").content()
		code = fault.child("Code").child("Value").content()
	}
	if _, local, ok := strings.Cut(code, ":"); ok {
		code = local
	}
	f := Finding{Message: text, ClientFault: strings.HasPrefix(code, "Client") || strings.HasPrefix(code, "Sender")}
	// libxml's own report of the schema says more about it than about the mistake.
	if strings.Contains(text, ":SCHEMASV:") || strings.Contains(text, ":PARSER:") {
		f.Message = ""
	}
	return f, true
}}
