package problem

// problemJSONReader reads RFC 9457 and RFC 7807 documents that have no `detail`;
// those with one are in the house format already.
var problemJSONReader = reader{"problem+json", func(d *Document) (Finding, bool) {
	if !d.JSON.get("title").is(jsonString) || !d.JSON.has("type") && !d.JSON.has("status") && !d.JSON.has("instance") && !d.JSON.has("detail") && !d.JSON.has("description") {
		return Finding{}, false
	}
	f := Finding{Title: d.JSON.text("title"), Type: d.JSON.text("type"), Fields: fieldsOf(d.JSON)}
	f.Message = messageOf(d.Status, d.JSON)
	return f, true
}}
