package problem

import "strings"

// githubReader reads {"message", "errors": [{"resource", "field", "code"}], "documentation_url"}.
var githubReader = reader{"github", func(d *Document) (Finding, bool) {
	if !d.JSON.has("documentation_url") || !d.JSON.get("message").is(jsonString) {
		return Finding{}, false
	}
	f := Finding{Message: d.JSON.text("message")}
	var texts []string
	for _, e := range d.JSON.get("errors").items() {
		if e.is(jsonString) {
			texts = append(texts, e.str)
			continue
		}
		if text := e.text("message"); text != "" && e.text("field") == "" {
			texts = append(texts, text)
		}
	}
	f.Fields = fieldsOf(d.JSON)
	if len(texts) > 0 {
		f.Message = strings.TrimRight(f.Message, ".:") + ": " + joinMessages(texts)
	}
	return f, true
}}
