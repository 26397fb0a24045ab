package readers

import (
	"strings"

	"github.com/ainative/portcullis/plugins/problem/internal/reading"
)

// scimReader reads SCIM errors (RFC 7644 section 3.12) without a `detail`; those
// with one are in the house format already.
var scimReader = reader{"scim", func(d *reading.Document) (reading.Finding, bool) {
	for _, schema := range d.JSON.Get("schemas").Items() {
		if strings.Contains(schema.String(), "scim") {
			return reading.Finding{Message: firstTelling(d.JSON.Text("detail"), d.JSON.Text("scimType"))}, true
		}
	}
	// SCIM 1.1: {"Errors": [{"description": ..., "code": "404"}]}
	if d.JSON.Has("Errors") && d.JSON.Get("Errors").Is(reading.Array) {
		return reading.Finding{Message: reading.MessageOf(d.Status, d.JSON)}, true
	}
	return reading.Finding{}, false
}}
