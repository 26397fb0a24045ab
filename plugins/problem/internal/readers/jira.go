package readers

import "github.com/ainative/portcullis/plugins/problem/internal/reading"

// jiraReader reads Jira and its kin: {"errorMessages": ["..."], "errors": {"summary": "..."}},
// where errorMessages are about the whole input and errors about its fields.
var jiraReader = reader{"jira", func(d *reading.Document) (reading.Finding, bool) {
	if !d.JSON.Get("errorMessages").Is(reading.Array) || !d.JSON.Get("errors").IsObject() {
		return reading.Finding{}, false
	}
	var f reading.Finding
	var msgs []string
	for _, m := range d.JSON.Get("errorMessages").Vals {
		if s := m.String(); !reading.IsBlank(s) {
			msgs = append(msgs, s)
			f.Fields = append(f.Fields, reading.FieldError{Msg: s, Type: reading.DefaultType})
		}
	}
	f.Fields = reading.FieldMap(d.JSON.Get("errors"), nil, f.Fields)
	f.Message = joinTelling(d.Status, msgs)
	return f, true
}}
