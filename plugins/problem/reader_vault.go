package problem

// vaultReader reads {"errors": ["permission denied"]} of Vault, Dropwizard and
// others that list texts.
var vaultReader = reader{"vault", func(d *Document) (Finding, bool) {
	errs := d.JSON.get("errors").items()
	if len(errs) == 0 || d.JSON.has("message") || d.JSON.has("error") || d.JSON.has("title") {
		return Finding{}, false
	}
	var msgs []string
	for _, e := range errs {
		if !e.is(jsonString) {
			return Finding{}, false
		}
		msgs = append(msgs, e.str)
	}
	return Finding{Message: joinMessages(humanizeAll(d.Status, msgs))}, true
}}
