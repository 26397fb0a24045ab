package readers

import "github.com/ainative/portcullis/plugins/problem/internal/reading"

// drfReader reads Django REST framework's serializer errors, which are the whole
// body: {"email": ["Enter a valid email address."], "non_field_errors": [...]},
// nested, or a list with one map for each object. Marshmallow writes alike, and
// ozzo and Spring advice with plain strings for the lists.
var drfReader = reader{"drf", func(d *reading.Document) (reading.Finding, bool) {
	var fields []reading.FieldError
	switch {
	case reading.HasEnvelope(d.JSON):
		return reading.Finding{}, false
	case reading.IsFieldMap(d.JSON):
		fields = reading.FieldMap(d.JSON, nil, nil)
	case d.JSON.Is(reading.Array):
		maps := 0
		for _, v := range d.JSON.Vals {
			if !v.IsObject() || len(v.Keys) > 0 && (reading.ItemMessage(v) != "" || !reading.IsFieldMap(v)) {
				return reading.Finding{}, false
			}
			maps += len(v.Keys)
		}
		if maps == 0 {
			return reading.Finding{}, false
		}
		fields = reading.FieldValue(d.JSON, nil, nil)
	default:
		return reading.Finding{}, false
	}
	if len(fields) == 0 {
		return reading.Finding{}, false
	}
	f := reading.Finding{Message: reading.Summary(fields)}
	if reading.Located(fields) && reading.TakesFields(d.Status) {
		f.Fields = fields
	}
	return f, true
}}
