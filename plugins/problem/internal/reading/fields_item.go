package reading

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// FieldList reads [{"field": ..., "message": ...}].
func FieldList(n *Node, at []any) []FieldError {
	var out []FieldError
	for _, v := range n.Vals {
		if len(out) >= MaxFields {
			break
		}
		if v.Is(String) {
			if !IsBlank(v.Str) {
				out = append(out, FieldError{Loc: at, Msg: v.Str, Type: DefaultType})
			}
			continue
		}
		if !v.IsObject() {
			continue
		}
		loc := append(slices.Clip(at), ItemLoc(v)...)
		if children := v.Get("children"); len(children.Items()) > 0 {
			// class-validator nests the errors of nested objects.
			out = append(out, FieldList(children, loc)...)
			if v.Get("constraints") == nil {
				continue
			}
		}
		if c := v.Get("constraints"); c.IsObject() && FirstText(v, "message", "msg") == "" {
			for i, rule := range c.Keys {
				if s := c.Vals[i].String(); s != "" && len(out) < MaxFields {
					out = append(out, FieldError{Loc: loc, Msg: s, Type: TypeWord(rule)})
				}
			}
			continue
		}
		if len(ItemLoc(v)) == 0 && ItemMessage(v) == "" {
			if !HasEnvelope(v) && IsFieldMap(v) {
				out = FieldMap(v, at, out)
			}
			continue
		}
		if many := v.Get("fields"); many.Is(Array) || v.Get("memberNames").Is(Array) {
			if many == nil {
				many = v.Get("memberNames")
			}
			for _, name := range many.Items() {
				if s := name.String(); s != "" {
					out = append(out, fieldItem(v, append(slices.Clip(at), ParseLoc(s)...)))
				}
			}
			if len(many.Items()) > 0 {
				continue
			}
		}
		if msgs := v.Get("errors"); ItemMessage(v) == "" && len(msgs.Items()) > 0 {
			out = FieldValue(msgs, loc, out)
			continue
		}
		out = append(out, fieldItem(v, loc))
	}
	return out
}

// ItemMessage is the message of one field error, or "".
func ItemMessage(v *Node) string {
	for _, key := range itemMessageKeys {
		m := v.Get(key)
		switch {
		case m.Is(String) && !IsBlank(m.Str):
			return m.Str
		case m.Is(Array):
			var all []string
			for _, s := range m.Vals {
				if s.Is(String) {
					all = append(all, s.Str)
				}
			}
			if s := JoinMessages(all); s != "" {
				return s
			}
		case m.IsObject():
			// OData: {"lang": "en", "value": "..."}; FHIR: {"text": "..."}.
			if s := FirstText(m, "value", "text", "message"); s != "" && !IsBlank(s) {
				return s
			}
		}
	}
	return ""
}

// ItemLoc is the location of one field error, or nil.
func ItemLoc(v *Node) []any {
	if src := v.Get("source"); src.IsObject() {
		// JSON:API: https://jsonapi.org/format/#error-objects
		if p := src.Get("pointer"); p.Is(String) {
			return ParseLoc(p.Str)
		}
		for _, place := range []string{"parameter", "header"} {
			if s := src.Text(place); s != "" {
				if place == "parameter" {
					place = "query"
				}
				return append([]any{place}, ParseLoc(s)...)
			}
		}
	}
	var loc []any
	for _, key := range itemLocKeys {
		m := v.Get(key)
		if m == nil {
			continue
		}
		switch key {
		case "location":
			if Places[strings.ToLower(m.String())] != "" {
				continue
			}
		case "name", "key", "id", "target", "item", "column", "element":
			// Words that also name the error itself: {"name": "ValidationError"}.
			s := m.String()
			if s == "" || strings.HasSuffix(s, "Error") || strings.HasSuffix(s, "Exception") || key == "key" && strings.Contains(s, ".required") || key == "id" && ItemMessage(v) == "" {
				continue
			}
			if key == "id" && (!v.Has("message") || strings.Contains(s, ".")) {
				continue
			}
		case "path":
			if s := m.String(); strings.HasPrefix(s, "http") {
				continue
			}
		}
		if loc = locOf(m); len(loc) > 0 {
			if key == "location" && len(loc) > 1 {
				// huma: "headers.x-tenant"
				if first, ok := loc[0].(string); ok && Places[strings.ToLower(first)] != "" {
					loc[0] = Places[strings.ToLower(first)]
				}
			}
			break
		}
		if m.Is(String) && m.Str == "" {
			break
		}
	}
	// ajv names a missing property beside the object that lacks it.
	if v.Has("keyword", "params") {
		if s := FirstText(v.Get("params"), "missingProperty", "additionalProperty"); s != "" {
			loc = AppendLoc(loc, s)
		}
	}
	if len(loc) > 0 {
		place := v.Text("location")
		if place == "" {
			place = v.Text("in")
		}
		if word := Places[strings.ToLower(place)]; word != "" && loc[0] != word {
			loc = append([]any{word}, loc...)
		}
	}
	return loc
}

// fieldItem makes one field error.
func fieldItem(v *Node, loc []any) FieldError {
	if len(loc) == 0 {
		loc = ItemLoc(v)
	}
	f := FieldError{Loc: loc, Msg: ItemMessage(v), Type: DefaultType}
	for _, key := range itemTypeKeys {
		if w := TypeWord(v.Get(key).Scalar()); w != "" && w != DefaultType && w != "field" {
			f.Type = w
			break
		}
	}
	if f.Msg == "" {
		for _, key := range itemCodeKeys {
			if s := v.Get(key).Scalar(); !IsBlank(s) {
				f.Msg = s
				break
			}
		}
	}
	return f
}

// typeWordPattern matches a machine's word.
var typeWordPattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.:-]{0,63}$`)

// TypeWord returns s where it can be a field error's type, else the default for
// something and "" for nothing.
func TypeWord(s string) string {
	if s == "" {
		return ""
	}
	if _, err := strconv.Atoi(s); err == nil || !typeWordPattern.MatchString(s) {
		return DefaultType
	}
	return s
}
