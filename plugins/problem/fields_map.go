package problem

import (
	"slices"
	"strings"
)

// saysSomething reports whether a map that may be of fields has a message, rather
// than lists of names: {"missing": ["name"]} is data of the error's own.
func saysSomething(n *Node) bool {
	for i := range n.vals {
		v := n.vals[i]
		if !v.is(jsonArray) {
			return true
		}
		for _, e := range v.vals {
			if !e.is(jsonString) || strings.Contains(e.str, " ") {
				return true
			}
		}
	}
	return false
}

// isEnvelope reports whether a member's name is one of an error rather than of a
// field: error_msg, errorSummary and the like too.
func isEnvelope(lower string) bool {
	if envelope[lower] {
		return true
	}
	for _, word := range []string{"error", "message", "exception", "fault", "errmsg", "_msg"} {
		if strings.Contains(lower, word) {
			return true
		}
	}
	return false
}

// isFieldMap reports whether an object maps fields to messages: values are
// messages, lists of them, or such maps. Values that are plain strings are only
// taken for messages where no name is an envelope's.
func isFieldMap(n *Node) bool { return fieldMapLike(n, false, 0) }

func fieldMapLike(n *Node, held bool, depth int) bool {
	if !n.isObject() || len(n.keys) == 0 || len(n.keys) > maxFields || depth > 6 {
		return false
	}
	strong, weak, plain, safe := 0, 0, 0, 0
	for i, key := range n.keys {
		v, lower := n.vals[i], strings.ToLower(key)
		switch v.kind {
		case jsonArray:
			if len(v.vals) == 0 {
				continue
			}
			good := true
			for _, e := range v.vals {
				if !e.is(jsonString) && !(e.isObject() && (hasItem(e) || len(e.keys) == 0 || fieldMapLike(e, held, depth+1))) {
					good = false
				}
			}
			if !good {
				return false
			}
			strong++
		case jsonObject:
			if itemMessage(v) == "" && !fieldMapLike(v, held, depth+1) {
				return false
			}
			if !held && depth == 0 && (isEnvelope(lower) && !fieldNames[lower] || len(n.keys) == 1 && errorLike(lower)) {
				// {"detail": {"code": ..., "message": ...}} is an error, not a field.
				weak++
			} else {
				strong++
			}
		case jsonString:
			sentence := strings.Contains(v.str, " ")
			switch {
			case held && fieldNames[lower] && sentence:
			case !held && safeNames[lower] && sentence:
				safe++
			case isEnvelope(lower):
				weak++
			case sentence:
				plain++
			}
		case jsonNull:
		default:
			return false
		}
	}
	if safe > 0 && strong+plain == 0 {
		return false
	}
	return weak == 0 || strong > 0 && weak < strong
}

// errorLike reports whether a name wraps the whole error: responseStatus,
// serviceException.
func errorLike(lower string) bool {
	for _, word := range []string{"error", "fault", "exception", "status", "response", "result", "problem", "failure"} {
		if strings.Contains(lower, word) {
			return true
		}
	}
	return false
}

// hasItem reports whether an object is one field error of a list under the
// field's name: with a message, or with a code alone.
func hasItem(v *Node) bool {
	return itemMessage(v) != "" || v.get("code").is(jsonString) && v.get("code").str != ""
}

// fieldMap reads {"field": ["message"], "nested": {"field": ...}}.
func fieldMap(n *Node, at []any, out []FieldError) []FieldError {
	for i, key := range n.keys {
		if len(out) >= maxFields || len(at) > maxLocDepth {
			break
		}
		loc := at
		switch lower := strings.ToLower(key); {
		case wholeInput[lower]:
		case strings.EqualFold(key, "fieldErrors"), key == "children", key == "errors" && len(at) > 0:
			// Zod's flatten and Symfony's form tree put a level between.
		case len(at) == 0 && places[lower] != "" && (n.vals[i].isObject() || lower == "json"):
			// webargs: {"json": {"name": [...]}} and {"json": ["Invalid JSON body."]}
			loc = []any{places[lower]}
		default:
			loc = append(slices.Clip(loc), parseLoc(key)...)
		}
		out = fieldValue(n.vals[i], loc, out)
	}
	return out
}

// fieldValue reads what a field map has for one field.
func fieldValue(v *Node, loc []any, out []FieldError) []FieldError {
	switch v.kind {
	case jsonString:
		if !isBlank(v.str) {
			out = append(out, FieldError{Loc: loc, Msg: v.str, Type: defaultType})
		}
	case jsonArray:
		for i, e := range v.vals {
			if len(out) >= maxFields {
				break
			}
			switch {
			case e.is(jsonString):
				out = fieldValue(e, loc, out)
			case e.isObject() && hasItem(e):
				out = append(out, fieldItem(e, loc))
			case e.isObject():
				// Many objects, an error map for each (DRF with many=True).
				out = fieldMap(e, append(slices.Clip(loc), int64(i)), out)
			}
		}
	case jsonObject:
		if itemMessage(v) != "" {
			return append(out, fieldItem(v, loc))
		}
		return fieldMap(v, loc, out)
	}
	return out
}

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
