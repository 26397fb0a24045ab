package readers

import (
	"strings"

	"github.com/ainative/portcullis/plugins/problem/internal/reading"
)

// githubReader reads {"message", "errors": [{"resource", "field", "code"}], "documentation_url"}.
var githubReader = reader{"github", func(d *reading.Document) (reading.Finding, bool) {
	if !d.JSON.Has("documentation_url") || !d.JSON.Get("message").Is(reading.String) {
		return reading.Finding{}, false
	}
	f := reading.Finding{Message: d.JSON.Text("message")}
	var texts []string
	for _, e := range d.JSON.Get("errors").Items() {
		if e.Is(reading.String) {
			texts = append(texts, e.Str)
			continue
		}
		if text := e.Text("message"); text != "" && e.Text("field") == "" {
			texts = append(texts, text)
		}
	}
	f.Fields = reading.FieldsOf(d.JSON)
	if len(texts) > 0 {
		f.Message = strings.TrimRight(f.Message, ".:") + ": " + reading.JoinMessages(texts)
	}
	return f, true
}}
