package problem

// laravelReader reads {"message", "errors": {"field": ["text"]}}, and the debug
// form with exception, file, line and trace.
var laravelReader = reader{"laravel", func(d *Document) (Finding, bool) {
	if !d.JSON.get("message").is(jsonString) || !d.JSON.get("errors").isObject() && !d.JSON.has("exception", "file", "line") {
		return Finding{}, false
	}
	f := Finding{Message: d.JSON.text("message"), Fields: fieldsOf(d.JSON)}
	if isBlank(f.Message) {
		f.Message = messageOf(d.Status, d.JSON)
	}
	if errs := d.JSON.get("errors"); f.Fields == nil && isFieldMap(errs) {
		if s := summary(fieldMap(errs, nil, nil)); s != "" {
			f.Message = s
		}
	}
	return f, true
}}
