package readers

import (
	"github.com/ainative/portcullis/plugins/problem/internal/reading"
)

// graphQLReader reads GraphQL's errors (https://spec.graphql.org, section 7.1.2)
// sent with an error status. `path` is of the answer, not of the input.
var graphQLReader = reader{"graphql", func(d *reading.Document) (reading.Finding, bool) {
	errs := d.JSON.Get("errors").Items()
	if len(errs) == 0 {
		return reading.Finding{}, false
	}
	signed := false
	var msgs []string
	for _, e := range errs {
		if !e.Get("message").Is(reading.String) {
			return reading.Finding{}, false
		}
		signed = signed || e.Has("locations") || e.Has("extensions") || d.JSON.Has("data") && e.Has("path")
		msgs = append(msgs, e.Text("message"))
	}
	return reading.Finding{Message: joinTelling(d.Status, msgs)}, signed
}}
