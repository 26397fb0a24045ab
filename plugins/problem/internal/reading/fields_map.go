package reading

import (
	"slices"
	"strings"
)

// saysSomething reports whether a map that may be of fields has a message, rather
// than lists of names: {"missing": ["name"]} is data of the error's own.
func saysSomething(n *Node) bool {
	for i := range n.Vals {
		v := n.Vals[i]
		if !v.Is(Array) {
			return true
		}
		for _, e := range v.Vals {
			if !e.Is(String) || strings.Contains(e.Str, " ") {
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

// IsFieldMap reports whether an object maps fields to messages: values are
// messages, lists of them, or such maps. Values that are plain strings are only
// taken for messages where no name is an envelope's.
func IsFieldMap(n *Node) bool { return fieldMapLike(n, false, 0) }

func fieldMapLike(n *Node, held bool, depth int) bool {
	if !n.IsObject() || len(n.Keys) == 0 || len(n.Keys) > MaxFields || depth > 6 {
		return false
	}
	strong, weak, plain, safe := 0, 0, 0, 0
	for i, key := range n.Keys {
		v, lower := n.Vals[i], strings.ToLower(key)
		switch v.Kind {
		case Array:
			if len(v.Vals) == 0 {
				continue
			}
			good := true
			for _, e := range v.Vals {
				if !e.Is(String) && !(e.IsObject() && (hasItem(e) || len(e.Keys) == 0 || fieldMapLike(e, held, depth+1))) {
					good = false
				}
			}
			if !good {
				return false
			}
			strong++
		case Object:
			if ItemMessage(v) == "" && !fieldMapLike(v, held, depth+1) {
				return false
			}
			if !held && depth == 0 && (isEnvelope(lower) && !fieldNames[lower] || len(n.Keys) == 1 && errorLike(lower)) {
				// {"detail": {"code": ..., "message": ...}} is an error, not a field.
				weak++
			} else {
				strong++
			}
		case String:
			sentence := strings.Contains(v.Str, " ")
			switch {
			case held && fieldNames[lower] && sentence:
			case !held && safeNames[lower] && sentence:
				safe++
			case isEnvelope(lower):
				weak++
			case sentence:
				plain++
			}
		case Null:
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
	return ItemMessage(v) != "" || v.Get("code").Is(String) && v.Get("code").Str != ""
}

// FieldMap reads {"field": ["message"], "nested": {"field": ...}}.
func FieldMap(n *Node, at []any, out []FieldError) []FieldError {
	for i, key := range n.Keys {
		if len(out) >= MaxFields || len(at) > MaxLocDepth {
			break
		}
		loc := at
		switch lower := strings.ToLower(key); {
		case key == "", wholeInput[lower]:
		case strings.EqualFold(key, "fieldErrors"), key == "children", key == "errors" && len(at) > 0:
			// Zod's flatten and Symfony's form tree put a level between.
		case len(at) == 0 && Places[lower] != "" && (n.Vals[i].IsObject() || lower == "json"):
			// webargs: {"json": {"name": [...]}} and {"json": ["Invalid JSON body."]}
			loc = []any{Places[lower]}
		default:
			loc = append(slices.Clip(loc), ParseLoc(key)...)
		}
		out = FieldValue(n.Vals[i], loc, out)
	}
	return out
}

// FieldValue reads what a field map has for one field.
func FieldValue(v *Node, loc []any, out []FieldError) []FieldError {
	switch v.Kind {
	case String:
		if !IsBlank(v.Str) {
			out = append(out, FieldError{Loc: loc, Msg: v.Str, Type: DefaultType})
		}
	case Array:
		for i, e := range v.Vals {
			if len(out) >= MaxFields {
				break
			}
			switch {
			case e.Is(String):
				out = FieldValue(e, loc, out)
			case e.IsObject() && hasItem(e):
				out = append(out, fieldItem(e, loc))
			case e.IsObject():
				// Many objects, an error map for each (DRF with many=True).
				out = FieldMap(e, append(slices.Clip(loc), int64(i)), out)
			}
		}
	case Object:
		if ItemMessage(v) != "" {
			return append(out, fieldItem(v, loc))
		}
		return FieldMap(v, loc, out)
	}
	return out
}

// HasEnvelope reports whether an object's members are those of an error, under
// which the fields are, rather than the fields.
func HasEnvelope(n *Node) bool {
	for _, key := range envelopeKeys {
		if n.Has(key) {
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
	for i, key := range n.Keys {
		v := n.Vals[i]
		switch {
		case v.Is(Array) && len(v.Vals) > 0:
			for _, e := range v.Vals {
				if !e.Is(String) && !(e.IsObject() && ItemMessage(e) == "" && (len(e.Keys) == 0 || IsFieldMap(e))) {
					return false
				}
			}
			lists++
		case v.IsObject() && ItemMessage(v) == "" && IsFieldMap(v):
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
	return own && len(n.Keys) > 1 && lists > 0
}
