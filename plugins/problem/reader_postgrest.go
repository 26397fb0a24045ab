package problem

// postgRESTReader reads {"code", "details", "hint", "message"} of PostgREST and
// Supabase. `details` quotes rows and `hint` the schema, so only the message counts.
var postgRESTReader = reader{"postgrest", func(d *Document) (Finding, bool) {
	if !d.JSON.has("code", "message") || !d.JSON.has("details") && !d.JSON.has("hint") || !d.JSON.get("code").is(jsonString) || !d.JSON.has("hint") {
		return Finding{}, false
	}
	return Finding{Message: d.JSON.text("message")}, true
}}
