package readers

import "github.com/ainative/portcullis/plugins/problem/internal/reading"

// flaskReader reads werkzeug's {"code", "name", "description"}, flask-restful's
// {"message": {"field": "text"}}, and webargs' {"errors" or "messages": {"json": {...}}}.
var flaskReader = reader{"flask", func(d *reading.Document) (reading.Finding, bool) {
	switch {
	case d.JSON.Has("name", "description") && d.JSON.Has("code"):
		return reading.Finding{Message: d.JSON.Text("description")}, d.JSON.Text("description") != ""
	case d.JSON.Get("message").IsObject() && reading.IsFieldMap(d.JSON.Get("message")):
		fields := reading.FieldMap(d.JSON.Get("message"), nil, nil)
		f := reading.Finding{Fields: fields, Message: reading.Summary(fields)}
		if !reading.Located(fields) {
			f.Fields = nil
		}
		return f, f.Message != ""
	}
	return reading.Finding{}, false
}}
