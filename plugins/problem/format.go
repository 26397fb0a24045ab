package problem

import "fmt"

// Format is a way to write a Problem.
type Format uint8

// The formats.
const (
	// FormatFastAPI is {"detail": <string or list>}; a 429 adds "retry_after".
	FormatFastAPI Format = iota
	// FormatProblem is RFC 9457, application/problem+json.
	FormatProblem
	// FormatCustom is the operator's JSON template.
	FormatCustom
)

var formatNames = [...]string{"fastapi", "problem", "custom"}

// ParseFormat reads a format's name as the Caddyfile has it.
func ParseFormat(name string) (Format, error) {
	for i, n := range formatNames {
		if n == name {
			return Format(i), nil
		}
	}
	return 0, fmt.Errorf("unknown format %q: want fastapi, problem or custom", name)
}

// String returns the format's name.
func (f Format) String() string {
	if int(f) < len(formatNames) {
		return formatNames[f]
	}
	return fmt.Sprintf("format(%d)", uint8(f))
}

// ContentType is the media type of the format.
func (f Format) ContentType() string {
	if f == FormatProblem {
		return "application/problem+json"
	}
	return "application/json"
}

// Format is the house format.
func (t *Translator) Format() Format { return t.format }

// Negotiate is the format to answer a request with: RFC 9457 if the client asks for
// it, else the house format.
func (t *Translator) Negotiate(accept []string) Format {
	if t.format != FormatProblem && len(accept) > 0 && AcceptsProblem(accept) {
		return FormatProblem
	}
	return t.format
}
