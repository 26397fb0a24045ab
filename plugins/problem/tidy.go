package problem

import (
	"regexp"

	"github.com/ainative/portcullis/plugins/problem/internal/leak"
	"github.com/ainative/portcullis/plugins/problem/internal/reading"
)

// dropEcho removes the submitted value that some put before the reason:
// "Invalid value: -1: must be positive" (Kubernetes).
var dropEcho = regexp.MustCompile(`^(?:Invalid|Unsupported|Duplicate|Not found|Too long|Too many) value: (?:"(?:[^"\\]|\\.)*"|[^\s:]+): `)

// tidy makes field errors fit to send: cleaned, guarded, distinct, bounded. It
// reports what class of leak was held back, if any.
func tidy(status int, fields []reading.FieldError) (out []reading.FieldError, leaked string) {
	seen := make(map[string]bool)
	for _, f := range fields {
		if len(out) == reading.MaxFields {
			break
		}
		msg := reading.Humanize(status, dropEcho.ReplaceAllString(f.Msg, ""), reading.MaxFieldMessage)
		if class := leak.Of(msg); class != "" {
			leaked, msg = class, ""
		}
		if msg == "" {
			msg = "Invalid value"
		}
		loc := f.Loc
		if len(loc) > reading.MaxLocDepth {
			loc = loc[:reading.MaxLocDepth]
		}
		clean := true
		for _, e := range loc {
			if s, ok := e.(string); ok {
				if class := leak.Of(s); class != "" {
					leaked, clean = class, false
				}
			}
		}
		if clean && len(loc) > 1 && leak.Of(reading.LocText(loc)) == "type" {
			// com.acme.UserDto.name
			leaked, loc = "type", loc[len(loc)-1:]
		}
		if len(loc) == 0 || !clean {
			loc = []any{"body"}
		}
		if f.Type == "" || leak.Of(f.Type) != "" {
			f.Type = reading.DefaultType
		}
		one := reading.FieldError{Loc: loc, Msg: msg, Type: f.Type}
		key := string(appendFields(nil, []reading.FieldError{one}))
		if seen[key] {
			continue
		}
		seen[key] = true
		out = append(out, one)
	}
	return out, leaked
}
