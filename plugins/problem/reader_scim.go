package problem

import "strings"

// scimReader reads SCIM errors (RFC 7644 section 3.12) without a `detail`; those
// with one are in the house format already.
var scimReader = reader{"scim", func(d *Document) (Finding, bool) {
	for _, schema := range d.JSON.get("schemas").items() {
		if strings.Contains(schema.string(), "scim") {
			f := Finding{Message: d.JSON.text("detail")}
			if isBlank(f.Message) {
				f.Message = d.JSON.text("scimType")
			}
			return f, true
		}
	}
	// SCIM 1.1: {"Errors": [{"description": ..., "code": "404"}]}
	if d.JSON.has("Errors") && d.JSON.get("Errors").is(jsonArray) {
		return Finding{Message: messageOf(d.Status, d.JSON)}, true
	}
	return Finding{}, false
}}
