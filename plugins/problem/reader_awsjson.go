package problem

// awsJSONReader reads the JSON protocols of AWS: {"__type": "ns#Code", "message"
// or "Message": ...}, and API Gateway's bare {"message": ...} with its header.
var awsJSONReader = reader{"aws-json", func(d *Document) (Finding, bool) {
	if !d.JSON.isObject() || !d.JSON.has("__type") && header(d.Header, "X-Amzn-Errortype") == "" {
		return Finding{}, false
	}
	f := Finding{Message: d.JSON.text("message")}
	if isBlank(f.Message) {
		f.Message = firstText(d.JSON, "errorMessage", "Reason", "detail")
	}
	if fields := d.JSON.get("fieldList"); fields.is(jsonArray) {
		if list := fieldList(fields, nil); located(list) {
			f.Fields = list
		}
	}
	if isBlank(f.Message) {
		f.Message = afterNamespace(d.JSON.text("__type"))
	}
	return f, true
}}
