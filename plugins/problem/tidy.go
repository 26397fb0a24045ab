package problem

import "regexp"

// dropEcho removes the submitted value that some put before the reason:
// "Invalid value: -1: must be positive" (Kubernetes).
var dropEcho = regexp.MustCompile(`^(?:Invalid|Unsupported|Duplicate|Not found|Too long|Too many) value: (?:"(?:[^"\\]|\\.)*"|[^\s:]+): `)

// tidy makes field errors fit to send: cleaned, guarded, distinct, bounded. It
// reports what class of leak was held back, if any.
func tidy(status int, fields []FieldError) (out []FieldError, leak string) {
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
