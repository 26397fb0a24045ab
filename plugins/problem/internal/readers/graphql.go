package readers

import (
	"github.com/ainative/portcullis/plugins/problem/internal/leak"
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
	return reading.Finding{Message: reading.JoinMessages(humanizeAll(d.Status, msgs))}, signed
}}

// humanizeAll cleans messages before they are joined, so that a stack in one
// does not end the rest.
func humanizeAll(status int, msgs []string) []string {
	out := make([]string, 0, min(len(msgs), reading.MaxMessages))
	for _, m := range msgs {
		if len(out) == reading.MaxMessages {
			break
		}
		if m = reading.Humanize(status, m, reading.MaxMessage); m != "" && leak.Of(m) == "" {
			out = append(out, m)
		}
	}
	if len(out) == 0 && len(msgs) > 0 {
		// All of them leak: let the guard see one and say so.
		return msgs[:1]
	}
	return out
}
