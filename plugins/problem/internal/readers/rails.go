package readers

import "github.com/ainative/portcullis/plugins/problem/internal/reading"

// railsReader reads ActiveModel errors, {"errors": {"name": ["can't be blank"]}}
// or bare, and the debug form with "traces". "base" is the whole object.
var railsReader = reader{"rails", func(d *reading.Document) (reading.Finding, bool) {
	switch {
	case d.JSON.Get("traces").IsObject():
		return reading.Finding{Message: reading.FirstText(d.JSON, "error", "message")}, true
	case d.JSON.Has("message") || d.JSON.Has("title") || d.JSON.At("errors", "detail").Is(reading.String):
		return reading.Finding{}, false
	}
	errs := d.JSON.Get("errors")
	if !errs.IsObject() {
		errs = d.JSON.Get("error")
		for i := 0; errs.IsObject() && i < len(errs.Vals); i++ {
			if errs.Vals[i].IsObject() {
				return reading.Finding{}, false
			}
		}
	}
	if !errs.IsObject() || reading.ItemMessage(errs) != "" || !reading.IsFieldMap(errs) {
		return reading.Finding{}, false
	}
	f := fieldsFinding(reading.FieldMap(errs, nil, nil))
	return f, f.Message != ""
}}
