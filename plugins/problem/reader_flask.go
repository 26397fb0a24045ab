package problem

// flaskReader reads werkzeug's {"code", "name", "description"}, flask-restful's
// {"message": {"field": "text"}}, and webargs' {"errors" or "messages": {"json": {...}}}.
var flaskReader = reader{"flask", func(d *Document) (Finding, bool) {
	switch {
	case d.JSON.has("name", "description") && d.JSON.has("code"):
		return Finding{Message: d.JSON.text("description")}, d.JSON.text("description") != ""
	case d.JSON.get("message").isObject() && isFieldMap(d.JSON.get("message")):
		fields := fieldMap(d.JSON.get("message"), nil, nil)
		f := Finding{Fields: fields, Message: summary(fields)}
		if !located(fields) {
			f.Fields = nil
		}
		return f, f.Message != ""
	}
	return Finding{}, false
}}
