package problem

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// fieldList reads [{"field": ..., "message": ...}].
func fieldList(n *Node, at []any) []FieldError {
	var out []FieldError
	for _, v := range n.vals {
		if len(out) >= maxFields {
			break
		}
		if v.is(jsonString) {
			if !isBlank(v.str) {
				out = append(out, FieldError{Loc: at, Msg: v.str, Type: defaultType})
			}
			continue
		}
		if !v.isObject() {
			continue
		}
		loc := append(slices.Clip(at), itemLoc(v)...)
		if children := v.get("children"); len(children.items()) > 0 {
			// class-validator nests the errors of nested objects.
			out = append(out, fieldList(children, loc)...)
			if v.get("constraints") == nil {
				continue
			}
		}
		if c := v.get("constraints"); c.isObject() && firstText(v, "message", "msg") == "" {
			for i, rule := range c.keys {
				if s := c.vals[i].string(); s != "" && len(out) < maxFields {
					out = append(out, FieldError{Loc: loc, Msg: s, Type: typeWord(rule)})
				}
			}
			continue
		}
		if len(itemLoc(v)) == 0 && itemMessage(v) == "" {
			if !hasEnvelope(v) && isFieldMap(v) {
				out = fieldMap(v, at, out)
			}
			continue
		}
		if many := v.get("fields"); many.is(jsonArray) || v.get("memberNames").is(jsonArray) {
			if many == nil {
				many = v.get("memberNames")
			}
			for _, name := range many.items() {
				if s := name.string(); s != "" {
					out = append(out, fieldItem(v, append(slices.Clip(at), parseLoc(s)...)))
				}
			}
			if len(many.items()) > 0 {
				continue
			}
		}
		if msgs := v.get("errors"); itemMessage(v) == "" && len(msgs.items()) > 0 {
			out = fieldValue(msgs, loc, out)
			continue
		}
		out = append(out, fieldItem(v, loc))
	}
	return out
}

// itemMessage is the message of one field error, or "".
func itemMessage(v *Node) string {
	for _, key := range itemMessageKeys {
		m := v.get(key)
		switch {
		case m.is(jsonString) && !isBlank(m.str):
			return m.str
		case m.is(jsonArray):
			var all []string
			for _, s := range m.vals {
				if s.is(jsonString) {
					all = append(all, s.str)
				}
			}
			if s := joinMessages(all); s != "" {
				return s
			}
		case m.isObject():
			// OData: {"lang": "en", "value": "..."}; FHIR: {"text": "..."}.
			if s := firstText(m, "value", "text", "message"); s != "" && !isBlank(s) {
				return s
			}
		}
	}
	return ""
}

// itemLoc is the location of one field error, or nil.
func itemLoc(v *Node) []any {
	if src := v.get("source"); src.isObject() {
		// JSON:API: https://jsonapi.org/format/#error-objects
		if p := src.get("pointer"); p.is(jsonString) {
			return parseLoc(p.str)
		}
		for _, place := range []string{"parameter", "header"} {
			if s := src.text(place); s != "" {
				if place == "parameter" {
					place = "query"
				}
				return append([]any{place}, parseLoc(s)...)
			}
		}
	}
	var loc []any
	for _, key := range itemLocKeys {
		m := v.get(key)
		if m == nil {
			continue
		}
		switch key {
		case "location":
			if places[strings.ToLower(m.string())] != "" {
				continue
			}
		case "name", "key", "id", "target", "item", "column", "element":
			// Words that also name the error itself: {"name": "ValidationError"}.
			s := m.string()
			if s == "" || strings.HasSuffix(s, "Error") || strings.HasSuffix(s, "Exception") || key == "key" && strings.Contains(s, ".required") || key == "id" && itemMessage(v) == "" {
				continue
			}
			if key == "id" && (!v.has("message") || strings.Contains(s, ".")) {
				continue
			}
		case "path":
			if s := m.string(); strings.HasPrefix(s, "http") {
				continue
			}
		}
		if loc = locOf(m); len(loc) > 0 {
			if key == "location" && len(loc) > 1 {
				// huma: "headers.x-tenant"
				if first, ok := loc[0].(string); ok && places[strings.ToLower(first)] != "" {
					loc[0] = places[strings.ToLower(first)]
				}
			}
			break
		}
		if m.is(jsonString) && m.str == "" {
			break
		}
	}
	// ajv names a missing property beside the object that lacks it.
	if v.has("keyword", "params") {
		if s := firstText(v.get("params"), "missingProperty", "additionalProperty"); s != "" {
			loc = appendLoc(loc, s)
		}
	}
	if len(loc) > 0 {
		place := v.text("location")
		if place == "" {
			place = v.text("in")
		}
		if word := places[strings.ToLower(place)]; word != "" && loc[0] != word {
			loc = append([]any{word}, loc...)
		}
	}
	return loc
}

// fieldItem makes one field error.
func fieldItem(v *Node, loc []any) FieldError {
	if len(loc) == 0 {
		loc = itemLoc(v)
	}
	f := FieldError{Loc: loc, Msg: itemMessage(v), Type: defaultType}
	for _, key := range []string{"type", "code", "keyword", "errorCode", "error_code", "rule", "kind", "constraint", "tag", "issue", "reason", "field_type"} {
		if w := typeWord(v.get(key).scalar()); w != "" && w != defaultType && w != "field" {
			f.Type = w
			break
		}
	}
	if f.Msg == "" {
		for _, key := range itemCodeKeys {
			if s := v.get(key).scalar(); !isBlank(s) {
				f.Msg = s
				break
			}
		}
	}
	return f
}

// typeWordPattern matches a machine's word.
var typeWordPattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.:-]{0,63}$`)

// typeWord returns s where it can be a field error's type, else the default for
// something and "" for nothing.
func typeWord(s string) string {
	if s == "" {
		return ""
	}
	if _, err := strconv.Atoi(s); err == nil || !typeWordPattern.MatchString(s) {
		return defaultType
	}
	return s
}
