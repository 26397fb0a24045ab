package readers

import "github.com/ainative/portcullis/plugins/problem/internal/reading"

// nestReader reads NestJS: {"statusCode": 400, "message": text, list of texts or
// list of class-validator errors, "error": "Bad Request"}; boom alike.
var nestReader = reader{"nest", func(d *reading.Document) (reading.Finding, bool) {
	if !d.JSON.Get("statusCode").Is(reading.Number) || !d.JSON.Has("message") || d.JSON.Has("validation") || d.JSON.Has("code") {
		return reading.Finding{}, false
	}
	message := d.JSON.Get("message")
	text := message.String()
	if message.Is(reading.Array) {
		var msgs []string
		for _, m := range message.Vals {
			msgs = append(msgs, m.String())
		}
		text = joinTelling(d.Status, msgs)
	}
	return reading.Finding{Message: messageOr(d, text), Fields: reading.FieldsOf(d.JSON)}, true
}}
