package readers

import (
	"strings"

	"github.com/ainative/portcullis/plugins/problem/internal/reading"
)

// zodReader reads a ZodError: {"issues": [{"code", "path", "message"}]}, its
// flattened form, and the array that Zod prints as its own message.
var zodReader = reader{"zod", func(d *reading.Document) (reading.Finding, bool) {
	n := d.JSON
	if e := n.Get("error"); e.IsObject() {
		n = e
	}
	list := n.Get("issues")
	if list == nil && strings.HasPrefix(strings.TrimSpace(n.Text("message")), "[") {
		list, _, _ = reading.ParseJSON(n.Text("message"))
	}
	if list == nil && d.JSON.Is(reading.Array) {
		list = d.JSON
	}
	for _, issue := range list.Items() {
		if !issue.Has("code", "path", "message") {
			return reading.Finding{}, false
		}
	}
	if len(list.Items()) == 0 {
		if !n.Has("fieldErrors", "formErrors") {
			return reading.Finding{}, false
		}
		var fields []reading.FieldError
		for _, e := range n.Get("formErrors").Items() {
			fields = append(fields, reading.FieldError{Msg: e.String(), Type: reading.DefaultType})
		}
		if m := n.Get("fieldErrors"); m.IsObject() {
			fields = reading.FieldMap(m, nil, fields)
		}
		return fieldsFinding(fields), true
	}
	return fieldsFinding(listedFields(list)), true
}}
