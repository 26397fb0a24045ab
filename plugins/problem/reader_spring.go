package problem

import "strings"

// springReader reads Spring Boot's error attributes: {"timestamp", "status",
// "error", "message", "path", "errors", "trace"}.
var springReader = reader{"spring", func(d *Document) (Finding, bool) {
	if !d.JSON.has("timestamp", "status") || !d.JSON.has("error") && !d.JSON.has("message") {
		return Finding{}, false
	}
	var f Finding
	for _, e := range d.JSON.get("errors").items() {
		if !e.has("defaultMessage") {
			continue
		}
		item := FieldError{Loc: parseLoc(e.text("field")), Msg: e.text("defaultMessage"), Type: typeWord(e.text("code"))}
		f.Fields = append(f.Fields, item)
	}
	if len(f.Fields) == 0 {
		f.Fields = fieldsOf(d.JSON)
	}
	if !located(f.Fields) {
		f.Fields = nil
	}
	message := d.JSON.text("message")
	// The default text of binding errors names classes and quotes the values.
	if i := strings.Index(message, "Error count:"); i >= 0 && strings.HasPrefix(message, "Validation failed for ") {
		message = "Validation failed"
	}
	if isBlank(message) {
		message = messageOf(d.Status, d.JSON)
	}
	f.Message = message
	return f, true
}}
