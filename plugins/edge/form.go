package edge

import (
	"fmt"
	"strings"
)

// Form is a way of writing a path that servers read differently. Forms are bits,
// so that a set of them is one value.
type Form uint16

// The forms. Those with a name for `allow` are needed by some APIs; the others
// never are.
const (
	// EncodedSlash is %2F. Starlette, Django, Flask, nginx and PHP decode it before
	// they route; Express, Jetty and Tomcat do not, or refuse it.
	EncodedSlash Form = 1 << iota
	// PathParameters is a semicolon in a segment. Servlet containers and Spring cut
	// `;name=value` off before they route; the others keep it.
	PathParameters
	// EncodedSemicolon is %3B. Servlet containers keep it in the name; a server that
	// decodes before it looks for path parameters cuts there.
	EncodedSemicolon
	// EmptySegment is `//` inside a path. nginx and Caddy's matchers merge slashes;
	// most frameworks do not.
	EmptySegment
	// Backslash is `\` or %5C, which servers on Windows take for a slash.
	Backslash
	// DoubleEscape is an escape that is left after decoding once, such as %252e.
	DoubleEscape
	// TrailingDot is a dot at the end of a segment, which Windows drops.
	TrailingDot
	// TrailingSpace is white space at an end of a segment, which Windows and some
	// frameworks drop.
	TrailingSpace
	// DotSegment is `.` or `..`, in any encoding and with path parameters behind it.
	DotSegment
	// Control is a control character, NUL included.
	Control
	// InvalidUTF8 is an escape that is not UTF-8, such as the overlong %C0%AF.
	InvalidUTF8
	// Lookalike is a character that compatibility normalisation (NFKC) turns into a
	// slash, a backslash, a percent sign, a semicolon or a dot segment.
	Lookalike
	// BadEscape is a percent sign that begins no escape.
	BadEscape
)

// allowable are the forms that a configuration may allow.
const allowable = EncodedSlash | PathParameters | EncodedSemicolon | EmptySegment | Backslash | DoubleEscape | TrailingDot | TrailingSpace

// cleanable are the forms that Normalize has one cleaned form for.
const cleanable = EncodedSlash | PathParameters | EmptySegment | Backslash | TrailingDot | TrailingSpace | DotSegment

var formNames = []struct {
	form Form
	name string
	text string
}{
	{DotSegment, "dot_segments", "dot segments"},
	{EncodedSlash, "encoded_slash", "encoded slashes"},
	{PathParameters, "path_parameters", "path parameters (;)"},
	{EncodedSemicolon, "encoded_semicolon", "encoded semicolons"},
	{EmptySegment, "empty_segments", "empty segments (//)"},
	{Backslash, "backslash", "backslashes"},
	{DoubleEscape, "double_escape", "escapes of escapes"},
	{TrailingDot, "trailing_dot", "segments that end with a dot"},
	{TrailingSpace, "trailing_space", "segments that begin or end with white space"},
	{Control, "control_characters", "control characters"},
	{InvalidUTF8, "invalid_utf8", "bytes that are not UTF-8"},
	{Lookalike, "lookalikes", "characters that some servers turn into slashes or dots"},
	{BadEscape, "bad_escape", "percent signs that begin no escape"},
}

// ParseForm reads the name of a form that may be allowed.
func ParseForm(name string) (Form, error) {
	var names []string
	for _, f := range formNames {
		if f.form&allowable == 0 {
			if f.name == name {
				return 0, fmt.Errorf("%s can't be allowed: no two servers agree on what it means", name)
			}
			continue
		}
		if f.name == name {
			return f.form, nil
		}
		names = append(names, f.name)
	}
	return 0, fmt.Errorf("unknown form %s: write one or more of %s", name, strings.Join(names, ", "))
}

// describe says what is in a set of forms, and what to write to allow it, where
// that is possible.
func (f Form) describe() (texts, allow string) {
	var found, names []string
	for _, n := range formNames {
		if f&n.form != 0 {
			found = append(found, n.text)
			if n.form&allowable != 0 {
				names = append(names, n.name)
			}
		}
	}
	if len(names) == len(found) {
		allow = "`allow " + strings.Join(names, " ") + "` in gateway_site"
	}
	return strings.Join(found, " and "), allow
}
