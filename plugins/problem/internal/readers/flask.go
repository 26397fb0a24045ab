package readers

import "github.com/ainative/portcullis/plugins/problem/internal/reading"

// flaskReader reads werkzeug's {"code", "name", "description"}, flask-restful's
// {"message": {"field": "text"}}, and webargs' {"errors" or "messages": {"json": {...}}}.
var flaskReader = reader{"flask", func(d *reading.Document) (reading.Finding, bool) {
	switch {
	case d.JSON.Has("name", "description") && d.JSON.Has("code"):
		return reading.Finding{Message: d.JSON.Text("description")}, d.JSON.Text("description") != ""
	case d.JSON.Get("message").IsObject() && reading.IsFieldMap(d.JSON.Get("message")):
		f := fieldsFinding(reading.FieldMap(d.JSON.Get("message"), nil, nil))
		return f, f.Message != ""
	}
	return reading.Finding{}, false
}}
