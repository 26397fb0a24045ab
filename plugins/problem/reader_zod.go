package problem

import "strings"

// zodReader reads a ZodError: {"issues": [{"code", "path", "message"}]}, its
// flattened form, and the array that Zod prints as its own message.
var zodReader = reader{"zod", func(d *Document) (Finding, bool) {
	n := d.JSON
	if e := n.get("error"); e.isObject() {
		n = e
	}
	list := n.get("issues")
	if list == nil && strings.HasPrefix(strings.TrimSpace(n.text("message")), "[") {
		list, _, _ = parseJSON(n.text("message"))
	}
	if list == nil && d.JSON.is(jsonArray) {
		list = d.JSON
	}
	for _, issue := range list.items() {
		if !issue.has("code", "path", "message") {
			return Finding{}, false
		}
	}
	if len(list.items()) == 0 {
		if !n.has("fieldErrors", "formErrors") {
			return Finding{}, false
		}
		var fields []FieldError
		for _, e := range n.get("formErrors").items() {
			fields = append(fields, FieldError{Msg: e.string(), Type: defaultType})
		}
		if m := n.get("fieldErrors"); m.isObject() {
			fields = fieldMap(m, nil, fields)
		}
		return zodFinding(fields), true
	}
	return zodFinding(fieldList(list, nil)), true
}}

func zodFinding(fields []FieldError) Finding {
	f := Finding{Fields: fields, Message: summary(fields)}
	if !located(fields) {
		f.Fields = nil
	}
	return f
}
