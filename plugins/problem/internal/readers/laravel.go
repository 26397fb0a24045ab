package readers

import "github.com/ainative/portcullis/plugins/problem/internal/reading"

// laravelReader reads {"message", "errors": {"field": ["text"]}}, and the debug
// form with exception, file, line and trace.
var laravelReader = reader{"laravel", func(d *reading.Document) (reading.Finding, bool) {
	if !d.JSON.Get("message").Is(reading.String) || !d.JSON.Get("errors").IsObject() && !d.JSON.Has("exception", "file", "line") {
		return reading.Finding{}, false
	}
	f := reading.Finding{Message: messageOr(d, d.JSON.Text("message")), Fields: reading.FieldsOf(d.JSON)}
	if errs := d.JSON.Get("errors"); f.Fields == nil && reading.IsFieldMap(errs) {
		if s := reading.Summary(reading.FieldMap(errs, nil, nil)); s != "" {
			f.Message = s
		}
	}
	return f, true
}}
