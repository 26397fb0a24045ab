package problem

import (
	"net/http"
	"strconv"
	"strings"
)

// maxFields bounds the field errors of one Problem.
const maxFields = 100

// defaultType is the type of a field error whose upstream gave none.
const defaultType = "value_error"

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

// located reports whether an error names a field, rather than the whole input.
func located(fields []FieldError) bool {
	for _, f := range fields {
		if len(f.Loc) > 1 || len(f.Loc) == 1 && f.Loc[0] != "body" {
			return true
		}
	}
	return false
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

// takesFields reports whether field errors are the answer of a status: others
// name a field in passing, and their clients expect a text.
func takesFields(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusConflict, http.StatusUnprocessableEntity, http.StatusPreconditionFailed, http.StatusFailedDependency:
		return true
	}
	return false
}
