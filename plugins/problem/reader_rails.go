package problem

// railsReader reads ActiveModel errors, {"errors": {"name": ["can't be blank"]}}
// or bare, and the debug form with "traces". "base" is the whole object.
var railsReader = reader{"rails", func(d *Document) (Finding, bool) {
	switch {
	case d.JSON.get("traces").isObject():
		return Finding{Message: firstText(d.JSON, "error", "message")}, true
	case d.JSON.has("message") || d.JSON.has("title") || d.JSON.at("errors", "detail").is(jsonString):
		return Finding{}, false
	}
	errs := d.JSON.get("errors")
	if !errs.isObject() {
		errs = d.JSON.get("error")
		for i := 0; errs.isObject() && i < len(errs.vals); i++ {
			if errs.vals[i].isObject() {
				return Finding{}, false
			}
		}
	}
	if !errs.isObject() || itemMessage(errs) != "" || !isFieldMap(errs) {
		return Finding{}, false
	}
	fields := fieldMap(errs, nil, nil)
	f := Finding{Fields: fields, Message: summary(fields)}
	if !located(fields) {
		f.Fields = nil
	}
	return f, f.Message != ""
}}
