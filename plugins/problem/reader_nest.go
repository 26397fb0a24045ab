package problem

// nestReader reads NestJS: {"statusCode": 400, "message": text, list of texts or
// list of class-validator errors, "error": "Bad Request"}; boom alike.
var nestReader = reader{"nest", func(d *Document) (Finding, bool) {
	if !d.JSON.get("statusCode").is(jsonNumber) || !d.JSON.has("message") || d.JSON.has("validation") || d.JSON.has("code") {
		return Finding{}, false
	}
	message := d.JSON.get("message")
	f := Finding{Fields: fieldsOf(d.JSON)}
	if message.is(jsonArray) {
		var msgs []string
		for _, m := range message.vals {
			msgs = append(msgs, m.string())
		}
		f.Message = joinMessages(humanizeAll(d.Status, msgs))
	} else {
		f.Message = message.string()
	}
	if isBlank(f.Message) {
		f.Message = messageOf(d.Status, d.JSON)
	}
	return f, true
}}
