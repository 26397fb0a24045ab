package problem

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// maxFields bounds the field errors of one Problem.
const maxFields = 100

// defaultType is the type of a field error whose upstream gave none.
const defaultType = "value_error"

// fieldKeys name the collection of field errors, the most specific first.
var fieldKeys = []string{
	"violations", "fieldErrors", "field_errors", "validationErrors", "validation_errors", "invalid-params", "invalid_params",
	"invalidParams", "constraintViolations", "fieldViolations", "issues", "formErrors", "errors", "subErrors", "sub_errors", "_errors",
	"errorCauses", "causes", "validation", "validationMessages", "failures", "problems", "details", "messages", "fields", "params",
	"propertyViolations", "parameterViolations", "classViolations", "returnValueViolations", "error_fields", "invalidFields",
	"invalid_fields", "modelState", "ModelState", "error_details", "errorDetails", "detail", "message", "error", "data", "_embedded",
	"cause", "response", "body", "result", "meta", "zodError", "extensions", "description",
}

// fieldsOf finds field errors anywhere an envelope has them. It returns nil
// unless at least one names its field.
func fieldsOf(n *Node) []FieldError {
	return searchFields(n, 0)
}

func searchFields(n *Node, depth int) []FieldError {
	if n == nil || depth > 4 || n.kind != jsonObject {
		return nil
	}
	for _, key := range fieldKeys {
		v := n.get(key)
		if v == nil {
			continue
		}
		if inner := inString(v); inner != nil {
			v = inner
		}
		switch v.kind {
		case jsonArray:
			if f := fieldList(v, nil); located(f) {
				return f
			}
			// google.rpc: details are typed messages, one of which holds the fields.
			for _, one := range v.vals {
				if f := searchFields(one, depth+1); f != nil {
					return f
				}
			}
		case jsonObject:
			if f := searchFields(v, depth+1); f != nil {
				return f
			}
			if !hasEnvelope(v) && fieldMapLike(v, fieldHolders[key], 0) && (fieldHolders[key] || saysSomething(v)) {
				if f := fieldMap(v, nil, nil); located(f) {
					return f
				}
			}
		}
	}
	return nil
}

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

// located reports whether an error names a field, rather than the whole input.
func located(fields []FieldError) bool {
	for _, f := range fields {
		if len(f.Loc) > 1 || len(f.Loc) == 1 && f.Loc[0] != "body" {
			return true
		}
	}
	return false
}

// wholeInput are the names frameworks give to errors of no field in particular.
var wholeInput = map[string]bool{
	"": true, "$": true, "base": true, "non_field_errors": true, "nonfielderrors": true, "__all__": true, "_schema": true,
	"global": true, "_global": true, "_error": true, "_errors": true, "*": true, "form": true, "root": true, "general": true,
	"formerrors": true, "_": true, "#": true, "__root__": true, "_form": true, "_other": true, "common": true,
}

// envelope are members that show an object to be an error rather than a map of
// fields.
var envelope = map[string]bool{
	"code": true, "message": true, "msg": true, "error": true, "status": true, "statuscode": true, "detail": true, "title": true,
	"type": true, "reason": true, "timestamp": true, "success": true, "ok": true, "trace": true, "stack": true, "exception": true,
	"error_description": true, "errorcode": true, "errormessage": true, "requestid": true, "request_id": true, "traceid": true,
	"instance": true, "data": true, "errors": true, "details": true, "path": true, "url": true, "documentation_url": true,
	"id": true, "name": true, "description": true, "result": true, "meta": true, "info": true, "state": true, "hint": true, "links": true,
	"more_info": true, "fault": true, "cause": true, "@type": true, "domain": true, "metadata": true, "locale": true, "value": true,
}

// fieldNames are members of envelope that are common names of fields too. Under
// a member that holds field errors and nothing else, a sentence there is one.
var fieldNames = map[string]bool{
	"name": true, "title": true, "description": true, "type": true, "status": true, "id": true, "path": true, "url": true, "state": true,
	"value": true, "domain": true, "locale": true, "links": true, "data": true, "info": true, "reason": true, "code": true,
}

// safeNames are those of fieldNames that a sentence is hardly ever an error's own
// under, so that they count as fields beside others at the top too.
var safeNames = map[string]bool{
	"name": true, "url": true, "path": true, "state": true, "value": true, "locale": true, "domain": true, "id": true, "type": true,
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

// fieldHolders hold field errors and nothing else where they are objects.
var fieldHolders = map[string]bool{
	"errors": true, "fields": true, "fieldErrors": true, "field_errors": true, "validationErrors": true, "validation_errors": true,
	"invalid_fields": true, "invalidFields": true, "modelState": true, "ModelState": true, "error_fields": true, "params": true,
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

// itemMessageKeys name the message in one field error.
var itemMessageKeys = []string{
	"msg", "message", "defaultMessage", "detail", "description", "errorMessage", "error_message", "messageText", "reason", "issue",
	"errorSummary", "error_description", "text", "error", "title", "details", "hint", "summary", "interpolatedMessage", "explanation",
}

// itemCodeKeys name a machine's word that has to do where there is no message.
var itemCodeKeys = []string{"code", "errorCode", "error_code", "keyword", "rule", "constraint", "tag", "kind", "type", "key"}

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

// itemLocKeys name the field in one field error, the most specific first.
var itemLocKeys = []string{
	"loc", "instancePath", "dataPath", "pointer", "propertyPath", "property_path", "fieldPath", "field_path", "jsonPath", "field", "fieldName",
	"field_name", "property", "propertyName", "property_name", "path", "param", "parameter", "paramName", "target", "attribute", "attributeName", "attr",
	"argument", "column", "element", "member", "input_name", "name", "key", "location", "expression", "item", "id",
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

// dropEcho removes the submitted value that some put before the reason:
// "Invalid value: -1: must be positive" (Kubernetes).
var dropEcho = regexp.MustCompile(`^(?:Invalid|Unsupported|Duplicate|Not found|Too long|Too many) value: (?:"(?:[^"\\]|\\.)*"|[^\s:]+): `)

// tidy makes field errors fit to send: cleaned, guarded, distinct, bounded. It
// reports what class of leak was held back, if any.
func (t *Translator) tidy(status int, fields []FieldError) (out []FieldError, leak string) {
	seen := make(map[string]bool)
	for _, f := range fields {
		if len(out) == maxFields {
			break
		}
		msg := humanize(status, dropEcho.ReplaceAllString(f.Msg, ""), maxFieldMessage)
		if class := leakOf(msg); class != "" {
			leak, msg = class, ""
		}
		if msg == "" {
			msg = "Invalid value"
		}
		loc := f.Loc
		if len(loc) > maxLocDepth {
			loc = loc[:maxLocDepth]
		}
		clean := true
		for _, e := range loc {
			if s, ok := e.(string); ok {
				if class := leakOf(s); class != "" {
					leak, clean = class, false
				}
			}
		}
		if clean && len(loc) > 1 && leakOf(locText(loc)) == "type" {
			// com.acme.UserDto.name
			leak, loc = "type", loc[len(loc)-1:]
		}
		if len(loc) == 0 || !clean {
			loc = []any{"body"}
		}
		if f.Type == "" || leakOf(f.Type) != "" {
			f.Type = defaultType
		}
		one := FieldError{Loc: loc, Msg: msg, Type: f.Type}
		key := string(appendFields(nil, []FieldError{one}))
		if seen[key] {
			continue
		}
		seen[key] = true
		out = append(out, one)
	}
	return out, leak
}

// summary puts field errors into one text, for where no list can stand.
func summary(fields []FieldError) string {
	var msgs []string
	for _, f := range fields {
		if located([]FieldError{f}) && !strings.Contains(f.Msg, " ") {
			msgs = append(msgs, locText(f.Loc)+": "+f.Msg)
			continue
		}
		msgs = append(msgs, f.Msg)
	}
	return cut(joinMessages(msgs), maxMessage)
}

// locText writes a location for people: a.b.0.
func locText(loc []any) string {
	var b strings.Builder
	for i, e := range loc {
		if i > 0 {
			b.WriteByte('.')
		}
		switch e := e.(type) {
		case string:
			b.WriteString(e)
		case int64:
			b.WriteString(strconv.FormatInt(e, 10))
		}
	}
	return b.String()
}
