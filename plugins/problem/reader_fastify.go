package problem

import (
	"regexp"
	"strings"
)

// fastifyReader reads {"statusCode", "code": "FST_ERR_VALIDATION", "error", "message"}.
// The message carries ajv's errors: "body/user/age must be integer, body must have required property 'name'".
var fastifyReader = reader{"fastify", func(d *Document) (Finding, bool) {
	if !d.JSON.has("statusCode", "message") || !d.JSON.get("code").is(jsonString) && !ajvText.MatchString(d.JSON.text("message")) {
		return Finding{}, false
	}
	message := d.JSON.text("message")
	f := Finding{Message: message}
	if isBlank(message) {
		f.Message = messageOf(d.Status, d.JSON)
		return f, true
	}
	code := d.JSON.text("code")
	if code != "FST_ERR_VALIDATION" && code != "" {
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
		if word := places[place]; word != "" {
			place = word
		}
		loc := append([]any{place}, parsePointer(m[2])...)
		if name := ajvRequired.FindStringSubmatch(m[3]); name != nil {
			loc = appendLoc(loc, name[1])
		}
		msg := m[3]
		if place != "body" {
			// The text names the place in its own word, which is not that of loc.
			msg = part
		}
		f.Fields = append(f.Fields, FieldError{Loc: loc, Msg: msg, Type: defaultType})
	}
	return f, true
}}

var (
	ajvText     = regexp.MustCompile(`^(body|querystring|params|headers|query)((?:/[^\s/]+)*)/? (must .+|should .+)$`)
	ajvRequired = regexp.MustCompile(`required property '([^']+)'`)
)
