package problem

// graphQLReader reads GraphQL's errors (https://spec.graphql.org, section 7.1.2)
// sent with an error status. `path` is of the answer, not of the input.
var graphQLReader = reader{"graphql", func(d *Document) (Finding, bool) {
	errs := d.JSON.get("errors").items()
	if len(errs) == 0 {
		return Finding{}, false
	}
	signed := false
	var msgs []string
	for _, e := range errs {
		if !e.get("message").is(jsonString) {
			return Finding{}, false
		}
		signed = signed || e.has("locations") || e.has("extensions") || d.JSON.has("data") && e.has("path")
		msgs = append(msgs, e.text("message"))
	}
	return Finding{Message: joinMessages(humanizeAll(d.Status, msgs))}, signed
}}

// humanizeAll cleans messages before they are joined, so that a stack in one
// does not end the rest.
func humanizeAll(status int, msgs []string) []string {
	out := make([]string, 0, min(len(msgs), maxMessages))
	for _, m := range msgs {
		if len(out) == maxMessages {
			break
		}
		if m = humanize(status, m, maxMessage); m != "" && leakOf(m) == "" {
			out = append(out, m)
		}
	}
	if len(out) == 0 && len(msgs) > 0 {
		// All of them leak: let the guard see one and say so.
		return msgs[:1]
	}
	return out
}
