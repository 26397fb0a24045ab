package reading

import (
	"net/http"
	"strconv"
	"strings"
)

// MaxFields bounds the field errors of one Problem.
const MaxFields = 100

// DefaultType is the type of a field error whose upstream gave none.
const DefaultType = "value_error"

// FieldsOf finds field errors anywhere an envelope has them. It returns nil
// unless at least one names its field.
func FieldsOf(n *Node) []FieldError {
	return searchFields(n, 0)
}

func searchFields(n *Node, depth int) []FieldError {
	if n == nil || depth > 4 || n.Kind != Object {
		return nil
	}
	for _, key := range fieldKeys {
		v := n.Get(key)
		if v == nil {
			continue
		}
		if inner := inString(v); inner != nil {
			v = inner
		}
		switch v.Kind {
		case Array:
			if f := FieldList(v, nil); Located(f) {
				return f
			}
			// google.rpc: details are typed messages, one of which holds the fields.
			for _, one := range v.Vals {
				if f := searchFields(one, depth+1); f != nil {
					return f
				}
			}
		case Object:
			if f := searchFields(v, depth+1); f != nil {
				return f
			}
			if !HasEnvelope(v) && fieldMapLike(v, fieldHolders[key], 0) && (fieldHolders[key] || saysSomething(v)) {
				if f := FieldMap(v, nil, nil); Located(f) {
					return f
				}
			}
		}
	}
	return nil
}

// Located reports whether an error names a field, rather than the whole input.
func Located(fields []FieldError) bool {
	for _, f := range fields {
		if len(f.Loc) > 1 || len(f.Loc) == 1 && f.Loc[0] != "body" {
			return true
		}
	}
	return false
}

// Summary puts field errors into one text, for where no list can stand.
func Summary(fields []FieldError) string {
	var msgs []string
	for _, f := range fields {
		if Located([]FieldError{f}) && !strings.Contains(f.Msg, " ") {
			msgs = append(msgs, LocText(f.Loc)+": "+f.Msg)
			continue
		}
		msgs = append(msgs, f.Msg)
	}
	return Cut(JoinMessages(msgs), MaxMessage)
}

// LocText writes a location for people: a.b.0.
func LocText(loc []any) string {
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

// TakesFields reports whether field errors are the answer of a status: others
// name a field in passing, and their clients expect a text.
func TakesFields(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusConflict, http.StatusUnprocessableEntity, http.StatusPreconditionFailed, http.StatusFailedDependency:
		return true
	}
	return false
}
