package problem

// elasticsearchReader reads Elasticsearch and OpenSearch: {"error": {"root_cause": [...], "type", "reason"}, "status": 404}.
var elasticsearchReader = reader{"elasticsearch", func(d *Document) (Finding, bool) {
	e := d.JSON.get("error")
	if !e.has("type", "reason") {
		return Finding{}, false
	}
	f := Finding{Message: e.text("reason")}
	if isBlank(f.Message) {
		f.Message = messageOf(d.Status, e.get("root_cause"))
	}
	if isBlank(f.Message) {
		f.Message = e.text("type")
	}
	return f, true
}}
