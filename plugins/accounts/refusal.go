package accounts

import (
	"net/http"
	"strings"

	"github.com/ainative/portcullis/plugins"
)

// The public texts of refusals. That of a failed log-in does not tell a wrong
// password from an unknown address.
const (
	DetailLogin       = "Incorrect email or password"
	DetailEmailTaken  = "Email already registered"
	DetailCredentials = "Could not validate credentials"
	DetailForbidden   = "Insufficient permissions"
	DetailNotFound    = "Not found"
)

// Refusal is a "no": a denial and, where the body of the request is wrong, what
// is wrong with it.
type Refusal struct {
	Denial *plugins.Denial
	Fields []Field
}

// Field is one wrong field, in the shape that FastAPI's clients know.
type Field struct {
	// Loc leads to the field: "body", its name, and for an element of a list its
	// number, an int.
	Loc []any
	// Msg is for people, Type for programs. Neither holds what was sent.
	Msg, Type string
}

// refuse makes a refusal. Value and bound are for `explain`, without secrets.
func refuse(status int, reason plugins.Reason, detail, value, bound string) *Refusal {
	return &Refusal{Denial: &plugins.Denial{Status: status, Reason: reason, Detail: detail, Value: value, Bound: bound}}
}

// noToken refuses a token for what it is.
func noToken(reason plugins.Reason, value string) *Refusal {
	return refuse(http.StatusUnauthorized, reason, DetailCredentials, value, "")
}

// Wrong refuses a body for its fields: 422.
func Wrong(fields ...Field) *Refusal {
	var names []string
	for _, f := range fields {
		var name []string
		for _, l := range f.Loc {
			if s, ok := l.(string); ok {
				name = append(name, s)
			}
		}
		names = append(names, strings.Join(name, ".")+": "+f.Type)
	}
	r := refuse(http.StatusUnprocessableEntity, plugins.ReasonBodyInvalid, "", strings.Join(names, ", "), "")
	r.Fields = fields
	return r
}

// TooLarge refuses a body that is longer than most bytes: 413.
func TooLarge() *Refusal {
	return refuse(http.StatusRequestEntityTooLarge, plugins.ReasonBodyTooLarge, "", "", "64 KiB at most")
}
