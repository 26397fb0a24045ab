package readers

import "github.com/ainative/portcullis/plugins/problem/internal/reading"

// vaultReader reads {"errors": ["permission denied"]} of Vault, Dropwizard and
// others that list texts.
var vaultReader = reader{"vault", func(d *reading.Document) (reading.Finding, bool) {
	errs := d.JSON.Get("errors").Items()
	if len(errs) == 0 || d.JSON.Has("message") || d.JSON.Has("error") || d.JSON.Has("title") {
		return reading.Finding{}, false
	}
	var msgs []string
	for _, e := range errs {
		if !e.Is(reading.String) {
			return reading.Finding{}, false
		}
		msgs = append(msgs, e.Str)
	}
	return reading.Finding{Message: joinTelling(d.Status, msgs)}, true
}}
