package readers

import (
	"regexp"
	"strings"

	"github.com/ainative/portcullis/plugins/problem/internal/leak"
	"github.com/ainative/portcullis/plugins/problem/internal/reading"
)

// springReader reads Spring Boot's error attributes: {"timestamp", "status",
// "error", "message", "path", "errors", "trace"}.
// Its page for browsers is the Whitelabel Error Page.
var springReader = reader{"spring", func(d *reading.Document) (reading.Finding, bool) {
	if d.Page != nil {
		if m := whitelabel.FindStringSubmatch(d.Text[:min(len(d.Text), 8192)]); m != nil {
			return reading.Finding{Message: m[1]}, true
		}
		return reading.Finding{}, false
	}
	if !d.JSON.Has("timestamp", "status") || !d.JSON.Has("error") && !d.JSON.Has("message") {
		return reading.Finding{}, false
	}
	var f reading.Finding
	for _, e := range d.JSON.Get("errors").Items() {
		if !e.Has("defaultMessage") {
			continue
		}
		f.Fields = append(f.Fields, reading.FieldError{Loc: reading.ParseLoc(e.Text("field")), Msg: e.Text("defaultMessage"), Type: reading.TypeWord(e.Text("code"))})
	}
	if len(f.Fields) == 0 {
		f.Fields = reading.FieldsOf(d.JSON)
	}
	message := d.JSON.Text("message")
	// The default text of binding errors names classes and quotes the values.
	if i := strings.Index(message, "Error count:"); i >= 0 && strings.HasPrefix(message, "Validation failed for ") {
		message = "Validation failed"
	}
	message = messageOr(d, message)
	if leak.Of(message) != "" {
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
