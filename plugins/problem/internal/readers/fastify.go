package readers

import (
	"regexp"
	"strings"

	"github.com/ainative/portcullis/plugins/problem/internal/reading"
)

// fastifyReader reads {"statusCode", "code": "FST_ERR_VALIDATION", "error", "message"}.
// The message carries ajv's errors: "body/user/age must be integer, body must have required property 'name'".
var fastifyReader = reader{"fastify", func(d *reading.Document) (reading.Finding, bool) {
	if !d.JSON.Has("statusCode", "message") || !d.JSON.Get("code").Is(reading.String) && !ajvText.MatchString(d.JSON.Text("message")) {
		return reading.Finding{}, false
	}
	message := d.JSON.Text("message")
	f := reading.Finding{Message: messageOr(d, message)}
	if code := d.JSON.Text("code"); reading.IsBlank(message) || code != "FST_ERR_VALIDATION" && code != "" {
		return f, true
	}
	for part := range strings.SplitSeq(message, ", ") {
		m := ajvText.FindStringSubmatch(part)
		if m == nil {
			// A comma inside a text, or a text of the application's own.
			if len(f.Fields) > 0 {
				f.Fields[len(f.Fields)-1].Msg += ", " + part
				continue
			}
			return f, true
		}
		place := m[1]
		if word := reading.Places[place]; word != "" {
			place = word
		}
		loc := append([]any{place}, reading.ParsePointer(m[2])...)
		if name := ajvRequired.FindStringSubmatch(m[3]); name != nil {
			loc = reading.AppendLoc(loc, name[1])
		}
		msg := m[3]
		if place != "body" {
			// The text names the place in its own word, which is not that of loc.
			msg = part
		}
		f.Fields = append(f.Fields, reading.FieldError{Loc: loc, Msg: msg, Type: reading.DefaultType})
	}
	return f, true
}}

var (
	ajvText     = regexp.MustCompile(`^(body|querystring|params|headers|query)((?:/[^\s/]+)*)/? (must .+|should .+)$`)
	ajvRequired = regexp.MustCompile(`required property '([^']+)'`)
)
