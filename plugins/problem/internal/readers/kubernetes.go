package readers

import (
	"strconv"

	"github.com/ainative/portcullis/plugins/problem/internal/reading"
)

// kubernetesReader reads the Status object of Kubernetes' API.
var kubernetesReader = reader{"kubernetes", func(d *reading.Document) (reading.Finding, bool) {
	if d.JSON.Text("kind") != "Status" || !d.JSON.Has("apiVersion") {
		return reading.Finding{}, false
	}
	f := reading.Finding{Message: d.JSON.Text("message")}
	details := d.JSON.Get("details")
	for _, c := range details.Get("causes").Items() {
		// `reason` is the machine's word here, `message` the person's.
		f.Fields = append(f.Fields, reading.FieldError{Loc: reading.ParseLoc(c.Text("field")), Msg: c.Text("message"), Type: reading.TypeWord(c.Text("reason"))})
	}
	if s, err := strconv.Atoi(details.Get("retryAfterSeconds").Scalar()); err == nil {
		f.RetryAfter = s
	}
	if f.Message == "" {
		f.Message = d.JSON.Text("reason")
	}
	return f, true
}}
