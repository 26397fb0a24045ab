package problem

// expressValidatorReader reads {"errors": [{"msg", "path" or "param", "location", "value"}]}
// of express-validator, and Mongoose's {"errors": {"email": {"message", "path", "kind"}}}.
var expressValidatorReader = reader{"express-validator", func(d *Document) (Finding, bool) {
	errs := d.JSON.get("errors")
	switch {
	case errs.is(jsonArray):
		for _, e := range errs.vals {
			if !e.has("msg") || !e.has("path") && !e.has("param") {
				return Finding{}, false
			}
		}
		if len(errs.vals) == 0 {
			return Finding{}, false
		}
	case d.JSON.has("_message"):
	default:
		return Finding{}, false
	}
	return envelopeFinding(d)
}}
