package readers

import "github.com/ainative/portcullis/plugins/problem/internal/reading"

// twilioReader reads {"code": 20404, "message", "more_info", "status": 404}.
var twilioReader = reader{"twilio", func(d *reading.Document) (reading.Finding, bool) {
	if !d.JSON.Has("more_info") || !d.JSON.Get("message").Is(reading.String) {
		return reading.Finding{}, false
	}
	return reading.Finding{Message: d.JSON.Text("message")}, true
}}
