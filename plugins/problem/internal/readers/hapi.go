package readers

import (
	"strings"

	"github.com/ainative/portcullis/plugins/problem/internal/reading"
)

// hapiReader reads what hapi and celebrate say when Joi refuses: hapi's
// {"validation": {"source": "payload", "keys": ["a.b"]}} and celebrate's
// {"validation": {"body": {"source", "keys", "message"}}}.
var hapiReader = reader{"hapi", func(d *reading.Document) (reading.Finding, bool) {
	v := d.JSON.Get("validation")
	if !v.IsObject() || !d.JSON.Has("message") {
		return reading.Finding{}, false
	}
	f := reading.Finding{Message: d.JSON.Text("message")}
	add := func(part *reading.Node, message string) {
		for _, key := range part.Get("keys").Items() {
			loc := reading.ParseLoc(key.String())
			if place := reading.Places[part.Text("source")]; place != "" {
				loc = append([]any{place}, loc...)
			}
			f.Fields = append(f.Fields, reading.FieldError{Loc: loc, Msg: joiPart(message, key.String()), Type: reading.DefaultType})
		}
	}
	add(v, f.Message)
	for _, part := range v.Vals {
		if part.IsObject() {
			add(part, part.Text("message"))
		}
	}
	return f, true
}}

// joiPart is the sentence of a joined message that is about one key: `"name" is
// required. "age" is required`.
func joiPart(message, key string) string {
	for part := range strings.SplitSeq(message, ". ") {
		if strings.HasPrefix(part, `"`+key+`" `) {
			return part
		}
	}
	return message
}
