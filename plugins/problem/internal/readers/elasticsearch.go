package readers

import "github.com/ainative/portcullis/plugins/problem/internal/reading"

// elasticsearchReader reads Elasticsearch and OpenSearch: {"error": {"root_cause": [...], "type", "reason"}, "status": 404}.
var elasticsearchReader = reader{"elasticsearch", func(d *reading.Document) (reading.Finding, bool) {
	e := d.JSON.Get("error")
	if !e.Has("type", "reason") {
		return reading.Finding{}, false
	}
	message := firstTelling(e.Text("reason"), reading.MessageOf(d.Status, e.Get("root_cause")), e.Text("type"))
	return reading.Finding{Message: message}, true
}}
