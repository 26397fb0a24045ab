package readers

import "github.com/ainative/portcullis/plugins/problem/internal/reading"

// awsJSONReader reads the JSON protocols of AWS: {"__type": "ns#Code", "message"
// or "Message": ...}, and API Gateway's bare {"message": ...} with its header.
var awsJSONReader = reader{"aws-json", func(d *reading.Document) (reading.Finding, bool) {
	if !d.JSON.IsObject() || !d.JSON.Has("__type") && reading.Header(d.Header, "X-Amzn-Errortype") == "" {
		return reading.Finding{}, false
	}
	return reading.Finding{Message: firstTelling(
		d.JSON.Text("message"),
		reading.FirstText(d.JSON, "errorMessage", "Reason", "detail"),
		reading.AfterNamespace(d.JSON.Text("__type")),
	), Fields: listedFields(d.JSON.Get("fieldList"))}, true
}}
