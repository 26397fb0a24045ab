package problem

// stripeReader reads {"error": {"type", "message", "code", "param"}} of Stripe,
// and OpenAI, Anthropic, Facebook and others that write alike. The object that
// failed may ride along; nothing of it is used.
var stripeReader = reader{"stripe", func(d *Document) (Finding, bool) {
	e := d.JSON.get("error")
	if !e.has("type", "message") || !e.get("message").is(jsonString) || e.has("errors") || e.has("details") {
		return Finding{}, false
	}
	f := Finding{Message: e.text("message")}
	if isBlank(f.Message) {
		f.Message = firstText(e, "code", "type")
	}
	return f, true
}}
