package readers

import "github.com/ainative/portcullis/plugins/problem/internal/reading"

// stripeReader reads {"error": {"type", "message", "code", "param"}} of Stripe,
// and OpenAI, Anthropic, Facebook and others that write alike. The object that
// failed may ride along; nothing of it is used.
var stripeReader = reader{"stripe", func(d *reading.Document) (reading.Finding, bool) {
	e := d.JSON.Get("error")
	if !e.Has("type", "message") || !e.Get("message").Is(reading.String) || e.Has("errors") || e.Has("details") {
		return reading.Finding{}, false
	}
	return reading.Finding{Message: firstTelling(e.Text("message"), reading.FirstText(e, "code", "type"))}, true
}}
