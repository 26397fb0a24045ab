package readers

import "github.com/ainative/portcullis/plugins/problem/internal/reading"

// odataReader reads the error of Azure and OData:
// {"error": {"code": "InvalidParameter", "message": ..., "target": ..., "details": [...], "innererror": {...}}},
// where OData 2 has {"lang", "value"} for the message.
var odataReader = reader{"azure", func(d *reading.Document) (reading.Finding, bool) {
	e := d.JSON.Get("error")
	if !e.IsObject() {
		e = d.JSON.Get("odata.error")
	}
	message := e.Text("message")
	if message == "" {
		message = e.Get("message").Text("value")
	}
	if !e.Get("code").Is(reading.String) || message == "" || e.Has("type") || e.Has("doc_url") {
		return reading.Finding{}, false
	}
	f := reading.Finding{Message: message}
	if details := e.Get("details"); details.Is(reading.Array) {
		f.Fields = listedFields(details)
	} else {
		f.Fields = reading.FieldsOf(e)
	}
	return f, true
}}
