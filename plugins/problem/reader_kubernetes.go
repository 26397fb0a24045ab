package problem

import "strconv"

// kubernetesReader reads the Status object of Kubernetes' API.
var kubernetesReader = reader{"kubernetes", func(d *Document) (Finding, bool) {
	if d.JSON.text("kind") != "Status" || !d.JSON.has("apiVersion") {
		return Finding{}, false
	}
	f := Finding{Message: d.JSON.text("message")}
	details := d.JSON.get("details")
	for _, c := range details.get("causes").items() {
		// `reason` is the machine's word here, `message` the person's.
		f.Fields = append(f.Fields, FieldError{Loc: parseLoc(c.text("field")), Msg: c.text("message"), Type: typeWord(c.text("reason"))})
	}
	if !located(f.Fields) {
		f.Fields = nil
	}
	if s, err := strconv.Atoi(details.get("retryAfterSeconds").scalar()); err == nil {
		f.RetryAfter = s
	}
	if f.Message == "" {
		f.Message = d.JSON.text("reason")
	}
	return f, true
}}
