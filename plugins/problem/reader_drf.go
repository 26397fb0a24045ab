package problem

// drfReader reads Django REST framework's serializer errors, which are the whole
// body: {"email": ["Enter a valid email address."], "non_field_errors": [...]},
// nested, or a list with one map for each object. Marshmallow writes alike, and
// ozzo and Spring advice with plain strings for the lists.
var drfReader = reader{"drf", func(d *Document) (Finding, bool) {
	var fields []FieldError
	switch {
	case hasEnvelope(d.JSON):
		return Finding{}, false
	case isFieldMap(d.JSON):
		fields = fieldMap(d.JSON, nil, nil)
	case d.JSON.is(jsonArray):
		maps := 0
		for _, v := range d.JSON.vals {
			if !v.isObject() || len(v.keys) > 0 && (itemMessage(v) != "" || !isFieldMap(v)) {
				return Finding{}, false
			}
			maps += len(v.keys)
		}
		if maps == 0 {
			return Finding{}, false
		}
		fields = fieldValue(d.JSON, nil, nil)
	default:
		return Finding{}, false
	}
	if len(fields) == 0 {
		return Finding{}, false
	}
	f := Finding{Message: summary(fields)}
	if located(fields) && takesFields(d.Status) {
		f.Fields = fields
	}
	return f, true
}}
