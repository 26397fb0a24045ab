package problem

import "net/http"

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

// hasEnvelope reports whether an object's members are those of an error, under
// which the fields are, rather than the fields.
func hasEnvelope(n *Node) bool {
	for _, key := range envelopeKeys {
		if n.has(key) {
			return !allFields(n)
		}
	}
	return false
}

var envelopeKeys = []string{
	"errors", "error", "message", "messages", "errorMessages", "details", "violations", "_embedded", "_links", "success", "issues", "fieldErrors",
	"meta", "response", "fault", "err", "parameterViolations", "propertyViolations", "responseStatus",
}

// allFields reports whether an object can be nothing but a map of fields, some of
// which happen to be called as an error's members are: each of at least two has a
// list of texts, or a map of such, and one of them is no error's at all or each
// is a list.
func allFields(n *Node) bool {
	lists, own := 0, false
	for i, key := range n.keys {
		v := n.vals[i]
		switch {
		case v.is(jsonArray) && len(v.vals) > 0:
			for _, e := range v.vals {
				if !e.is(jsonString) && !(e.isObject() && itemMessage(e) == "" && (len(e.keys) == 0 || isFieldMap(e))) {
					return false
				}
			}
			lists++
		case v.isObject() && itemMessage(v) == "" && isFieldMap(v):
		default:
			return false
		}
		switch key {
		case "errors", "error", "violations", "_embedded", "_links", "success", "issues", "fieldErrors", "err":
			return false
		case "message", "messages", "errorMessages", "details", "meta", "response", "fault":
		default:
			own = true
		}
	}
	return own && len(n.keys) > 1 && lists > 0
}

// takesFields reports whether field errors are the answer of a status: others
// name a field in passing, and their clients expect a text.
func takesFields(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusConflict, http.StatusUnprocessableEntity, http.StatusPreconditionFailed, http.StatusFailedDependency:
		return true
	}
	return false
}
