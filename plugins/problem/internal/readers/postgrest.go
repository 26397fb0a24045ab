package readers

import "github.com/ainative/portcullis/plugins/problem/internal/reading"

// postgRESTReader reads {"code", "details", "hint", "message"} of PostgREST and
// Supabase. `details` quotes rows and `hint` the schema, so only the message counts.
var postgRESTReader = reader{"postgrest", func(d *reading.Document) (reading.Finding, bool) {
	if !d.JSON.Has("code", "message") || !d.JSON.Has("details") && !d.JSON.Has("hint") || !d.JSON.Get("code").Is(reading.String) || !d.JSON.Has("hint") {
		return reading.Finding{}, false
	}
	return reading.Finding{Message: d.JSON.Text("message")}, true
}}
