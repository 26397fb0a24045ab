package readers

import "github.com/ainative/portcullis/plugins/problem/internal/reading"

// expressValidatorReader reads {"errors": [{"msg", "path" or "param", "location", "value"}]}
// of express-validator, and Mongoose's {"errors": {"email": {"message", "path", "kind"}}}.
var expressValidatorReader = reader{"express-validator", func(d *reading.Document) (reading.Finding, bool) {
	errs := d.JSON.Get("errors")
	switch {
	case errs.Is(reading.Array):
		for _, e := range errs.Vals {
			if !e.Has("msg") || !e.Has("path") && !e.Has("param") {
				return reading.Finding{}, false
			}
		}
		if len(errs.Vals) == 0 {
			return reading.Finding{}, false
		}
	case d.JSON.Has("_message"):
	default:
		return reading.Finding{}, false
	}
	return envelopeFinding(d)
}}
