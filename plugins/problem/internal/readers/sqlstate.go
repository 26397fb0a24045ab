package readers

import (
	"regexp"

	"github.com/ainative/portcullis/plugins/problem/internal/reading"
)

// sqlStateReader reads what an application passes on of a database that refused the
// caller's own input: {"code": "22P02", "message": "invalid input syntax for type
// integer: \"abc\""}, as PostgREST, Supabase and handlers of node-postgres do. Class
// 22 of SQLSTATE is a data exception (ISO/IEC 9075-2). Everything else that a
// database says is left to the other readers and to the guard.
var sqlStateReader = reader{"sqlstate", func(d *reading.Document) (reading.Finding, bool) {
	if d.Status >= 500 {
		return reading.Finding{}, false
	}
	n := d.JSON
	if e := n.Get("error"); e.IsObject() {
		n = e
	}
	if !dataException.MatchString(n.Text("code")) {
		return reading.Finding{}, false
	}
	message := reading.FirstText(n, "message", "msg", "error", "detail")
	m := safeDataException.FindStringSubmatch(message)
	if m == nil {
		return reading.Finding{}, false
	}
	if m[1] != "" {
		// The name of the enum is the schema's.
		message = "invalid input value: " + m[1]
	}
	return reading.Finding{Message: message, SafeSQL: true}, true
}}

var (
	dataException = regexp.MustCompile(`^22[0-9A-Z]{3}$`)
	// safeDataException matches PostgreSQL's messages that name nothing but the type
	// and the value that was sent. Types with a capital or an underscore are the
	// schema's own.
	safeDataException = regexp.MustCompile(`^(?:` +
		`invalid input syntax for (?:type )?[a-z0-9 ]+(?:: "[^"\n]{0,200}")?` +
		`|invalid input value for enum [\w."]+: ("[^"\n]{0,200}")` +
		`|value too long for type [a-z ]+(?:\(\d+\))?` +
		`|(?:value "[^"\n]{0,200}" is )?out of range for type [a-z ]+` +
		`|(?:smallint|integer|bigint|timestamp|interval|date) out of range` +
		`|numeric field overflow|division by zero|invalid (?:byte sequence|text representation|regular expression)[^"/\n]{0,80}` +
		`|(?:date/time|time zone displacement|interval) field value out of range: "[^"\n]{0,200}"` +
		`)$`)
)
