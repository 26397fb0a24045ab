package readers

import "github.com/ainative/portcullis/plugins/problem/internal/reading"

// phoenixReader reads {"errors": {"detail": "Not Found"}}.
var phoenixReader = reader{"phoenix", func(d *reading.Document) (reading.Finding, bool) {
	errs := d.JSON.Get("errors")
	if !errs.Get("detail").Is(reading.String) || len(errs.Keys) > 2 {
		return reading.Finding{}, false
	}
	return reading.Finding{Message: errs.Text("detail")}, true
}}
