package problem

// twilioReader reads {"code": 20404, "message", "more_info", "status": 404}.
var twilioReader = reader{"twilio", func(d *Document) (Finding, bool) {
	if !d.JSON.has("more_info") || !d.JSON.get("message").is(jsonString) {
		return Finding{}, false
	}
	return Finding{Message: d.JSON.text("message")}, true
}}
