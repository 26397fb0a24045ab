package problem

// phoenixReader reads {"errors": {"detail": "Not Found"}}.
var phoenixReader = reader{"phoenix", func(d *Document) (Finding, bool) {
	errs := d.JSON.get("errors")
	if !errs.get("detail").is(jsonString) || len(errs.keys) > 2 {
		return Finding{}, false
	}
	return Finding{Message: errs.text("detail")}, true
}}
