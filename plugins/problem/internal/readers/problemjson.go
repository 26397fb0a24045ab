package readers

import "github.com/ainative/portcullis/plugins/problem/internal/reading"

// problemJSONReader reads RFC 9457 and RFC 7807 documents that have no `detail`;
// those with one are in the house format already.
var problemJSONReader = reader{"problem+json", func(d *reading.Document) (reading.Finding, bool) {
	if !d.JSON.Get("title").Is(reading.String) || !d.JSON.Has("type") && !d.JSON.Has("status") && !d.JSON.Has("instance") && !d.JSON.Has("detail") && !d.JSON.Has("description") {
		return reading.Finding{}, false
	}
	f := reading.Finding{Title: d.JSON.Text("title"), Type: d.JSON.Text("type"), Fields: reading.FieldsOf(d.JSON)}
	f.Message = reading.MessageOf(d.Status, d.JSON)
	return f, true
}}
