package problem

// couchDBReader reads {"error": "not_found", "reason": "missing"}. A reason of
// one word needs the error to be understood.
var couchDBReader = reader{"couchdb", func(d *Document) (Finding, bool) {
	e, reason := d.JSON.text("error"), d.JSON.text("reason")
	if e == "" || reason == "" || !isCode(e) || len(d.JSON.keys) > 4 || d.JSON.has("message") {
		return Finding{}, false
	}
	if isCode(reason) {
		reason = e + ": " + reason
	}
	return Finding{Message: reason}, true
}}
