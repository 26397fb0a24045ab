package readers

import "github.com/ainative/portcullis/plugins/problem/internal/reading"

// couchDBReader reads {"error": "not_found", "reason": "missing"}. A reason of
// one word needs the error to be understood.
var couchDBReader = reader{"couchdb", func(d *reading.Document) (reading.Finding, bool) {
	e, reason := d.JSON.Text("error"), d.JSON.Text("reason")
	if e == "" || reason == "" || !reading.IsCode(e) || len(d.JSON.Keys) > 4 || d.JSON.Has("message") {
		return reading.Finding{}, false
	}
	if reading.IsCode(reason) {
		reason = e + ": " + reason
	}
	return reading.Finding{Message: reason}, true
}}
