package problem

// odataReader reads the error of Azure and OData:
// {"error": {"code": "InvalidParameter", "message": ..., "target": ..., "details": [...], "innererror": {...}}},
// where OData 2 has {"lang", "value"} for the message.
var odataReader = reader{"azure", func(d *Document) (Finding, bool) {
	e := d.JSON.get("error")
	if !e.isObject() {
		e = d.JSON.get("odata.error")
	}
	message := e.text("message")
	if message == "" {
		message = e.get("message").text("value")
	}
	if !e.get("code").is(jsonString) || message == "" || e.has("type") || e.has("doc_url") {
		return Finding{}, false
	}
	f := Finding{Message: message}
	if details := e.get("details"); details.is(jsonArray) {
		if fields := fieldList(details, nil); located(fields) {
			f.Fields = fields
		}
	} else if fields := fieldsOf(e); len(fields) > 0 {
		f.Fields = fields
	}
	return f, true
}}
