package problem

import "strings"

// hapiReader reads what hapi and celebrate say when Joi refuses: hapi's
// {"validation": {"source": "payload", "keys": ["a.b"]}} and celebrate's
// {"validation": {"body": {"source", "keys", "message"}}}.
var hapiReader = reader{"hapi", func(d *Document) (Finding, bool) {
	v := d.JSON.get("validation")
	if !v.isObject() || !d.JSON.has("message") {
		return Finding{}, false
	}
	f := Finding{Message: d.JSON.text("message")}
	add := func(part *Node, message string) {
		for _, key := range part.get("keys").items() {
			loc := parseLoc(key.string())
			if place := places[part.text("source")]; place != "" {
				loc = append([]any{place}, loc...)
			}
			f.Fields = append(f.Fields, FieldError{Loc: loc, Msg: joiPart(message, key.string()), Type: defaultType})
		}
	}
	add(v, f.Message)
	for _, part := range v.vals {
		if part.isObject() {
			add(part, part.text("message"))
		}
	}
	if !located(f.Fields) {
		f.Fields = nil
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
