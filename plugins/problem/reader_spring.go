package problem

import (
	"regexp"
	"strings"
)

// springReader reads Spring Boot's error attributes: {"timestamp", "status",
// "error", "message", "path", "errors", "trace"}.
// Its page for browsers is the Whitelabel Error Page.
var springReader = reader{"spring", func(d *Document) (Finding, bool) {
	if d.Page != nil {
		if m := whitelabel.FindStringSubmatch(d.Text[:min(len(d.Text), 8192)]); m != nil {
			return Finding{Message: m[1]}, true
		}
		return Finding{}, false
	}
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
	if leakOf(message) != "" {
		message = springInside.ReplaceAllString(message, "")
	}
	f.Message = message
	return f, true
}}

var (
	whitelabel = regexp.MustCompile(`Whitelabel Error Page[\s\S]*?\(type=([^,)<]+), status=\d+\)`)
	// springInside matches where Spring's sentence turns to the code inside: "JSON
	// parse error: Cannot deserialize value of type `java.time.LocalDate`".
	springInside = regexp.MustCompile("(?s)(?:; nested exception is .*|: (?:public|private|protected) .*|: (?:Cannot|Can not|Unrecognized|Unexpected|Failed) .*| of type ['`].*)$")
)
