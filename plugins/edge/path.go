package edge

import (
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/ainative/portcullis/plugins"
)

// Mode says what happens to a path that servers read differently.
type Mode uint8

// The modes.
const (
	// Strict refuses it.
	Strict Mode = iota
	// Normalize forwards its cleaned form, and refuses a path that has none.
	Normalize
	// Off lets it pass. Matchers and upstream may then see different paths.
	Off
)

var modeNames = [...]string{"strict", "normalize", "off"}

// String is the mode's name in the configuration.
func (m Mode) String() string { return modeNames[m] }

// ParseMode reads a mode's name.
func ParseMode(name string) (Mode, error) {
	for i, n := range modeNames {
		if n == name {
			return Mode(i), nil
		}
	}
	return 0, fmt.Errorf("path_policy %s: write `path_policy strict`, `path_policy normalize` or `path_policy off`", name)
}

// PathPolicy decides on paths. The zero value is strict and allows nothing.
type PathPolicy struct {
	Mode Mode
	// Allow are the forms that pass as they are. The path that policies see then is
	// the one that the upstream reads: an encoded slash is kept as the text %2F
	// inside its segment, path parameters are cut off, and empty segments merged.
	Allow Form
}

// Apply checks the path of a request target, or refuses it with 400. It sets u.Path to the
// path that policies read. The upstream gets the same path, u.RequestURI(). If an allowed
// form needs another spelling there, u.Opaque holds it.
//
// u is the result of net/url: u.Path is decoded once, and u.RawPath is the encoded form if
// that is not the default one.
func (p PathPolicy) Apply(u *url.URL) *plugins.Denial {
	switch {
	case u.Path == "" && u.Opaque == "":
		// `http://host` and `http://host/` are the same (RFC 9110 section 4.2.3).
		u.Path = "/"
		return nil
	case u.Opaque != "" || u.Path[0] != '/':
		// The target of CONNECT, `*`, and others that are no path.
		target := u.Opaque
		if target == "" {
			target = u.Path
		}
		return refuse(plugins.ReasonAmbiguousPath, target, "a path that begins with a slash")
	case p.Mode == Off || plain(u):
		return nil
	}
	raw := u.EscapedPath()
	found := inspect(raw)
	if p.Mode == Normalize && found&cleanable&^p.Allow != 0 {
		// One form can hide another: all of them are cleaned.
		raw = clean(raw, cleanable&^p.Allow)
		decoded, err := url.PathUnescape(raw)
		if err != nil {
			return refuse(plugins.ReasonAmbiguousPath, raw, "a path that can be decoded")
		}
		u.Path, u.RawPath = decoded, raw
		found = inspect(raw)
	}
	if refused := found &^ p.Allow; refused != 0 {
		texts, allow := refused.describe()
		bound := "a path without " + texts
		if allow != "" {
			bound += "; if the API needs it: " + allow
		}
		return refuse(plugins.ReasonAmbiguousPath, raw, bound)
	}
	if found&(EncodedSlash|PathParameters|EmptySegment) != 0 {
		if strings.HasPrefix(raw, "//") {
			return refuse(plugins.ReasonAmbiguousPath, raw, "a path that begins with one slash")
		}
		u.Opaque = raw
		u.Path, u.RawPath = asUpstreamReads(raw), ""
	}
	return nil
}

// CheckRewritten checks a path that was rewritten after Apply. It refuses one that servers
// read differently, and one that is no longer the path that Apply spelled for the
// upstream. judged is the URL after Apply, and u the current one.
func (p PathPolicy) CheckRewritten(judged, u *url.URL) *plugins.Denial {
	switch {
	case u.Path == judged.Path && u.Opaque == judged.Opaque && (u.Opaque != "" || u.RawPath == judged.RawPath):
		return nil
	case u.Opaque != "":
		return refuse(plugins.ReasonAmbiguousPath, u.Path, "no rewrite of a path with an allowed form: the upstream gets "+u.Opaque)
	}
	again := *u
	if d := p.Apply(&again); d != nil {
		return d
	}
	if again.Path != u.Path || again.Opaque != "" {
		return refuse(plugins.ReasonAmbiguousPath, u.EscapedPath(), "a rewrite to "+again.Path)
	}
	return nil
}

// CheckForwarded is CheckRewritten for what a handler is about to send or serve.
// byTarget says that the handler sends u.RequestURI(); others read u.Path alone, in
// which an encoded slash is the text that policies read.
func (p PathPolicy) CheckForwarded(judged, u *url.URL, byTarget bool) *plugins.Denial {
	if !byTarget && u.Opaque != "" && u.Path != judged.Path {
		read := *u
		read.Opaque = ""
		u = &read
		p.Allow |= DoubleEscape
	}
	return p.CheckRewritten(judged, u)
}

// TrimPrefix spells for the upstream what is left of a path with an allowed form when
// its first segments are taken away, as handle_path does: the last segments of what
// Apply has spelled. It returns "" where path is no such rest.
func TrimPrefix(opaque, path string) string {
	segments := strings.Split(strings.TrimPrefix(opaque, "/"), "/")
	wanted := strings.Count(path, "/")
	for i := len(segments) - 1; i >= 0 && wanted > 0; i-- {
		if i == len(segments)-1 || cutParameters(segments[i]) != "" {
			wanted--
		}
		if wanted == 0 {
			if rest := "/" + strings.Join(segments[i:], "/"); asUpstreamReads(rest) == path {
				return rest
			}
		}
	}
	return ""
}

// plain reports whether a path needs no inspection: ASCII, no escapes but the default ones,
// no empty segment, and no segment that ends with a dot or begins or ends with a space.
func plain(u *url.URL) bool {
	p := u.Path
	if u.RawPath != "" {
		return false
	}
	for i := range len(p) {
		switch c := p[i]; {
		case c == '/':
			// The end of a segment, or an empty one. The first byte is a slash.
			if i > 0 && (p[i-1] == '/' || p[i-1] == '.' || p[i-1] == ' ') {
				return false
			}
			if i+1 < len(p) && p[i+1] == ' ' {
				return false
			}
		case c <= ' ' || c >= 0x7f || c == ';' || c == '\\' || c == '%':
			if c != ' ' {
				return false
			}
		}
	}
	last := p[len(p)-1]
	return last != '.' && last != ' '
}

// inspect finds the forms in an encoded path.
func inspect(raw string) Form {
	var found Form
	rest := raw[1:]
	for last := false; !last; {
		segment, after, more := strings.Cut(rest, "/")
		last, rest = !more, after
		if segment == "" {
			if !last {
				found |= EmptySegment
			}
			continue
		}
		found |= inspectSegment(segment)
	}
	return found
}

// inspectSegment finds the forms in one segment of an encoded path.
func inspectSegment(raw string) Form {
	decoded, err := url.PathUnescape(raw)
	if err != nil {
		return BadEscape
	}
	found := inspectText(decoded)
	if name, _, cut := strings.Cut(raw, ";"); cut {
		found |= PathParameters
		if name == "" {
			// Without it, `//` remains: Tomcat merges that, Jetty does not.
			found |= EmptySegment
		}
	}
	if strings.Contains(raw, "%3B") || strings.Contains(raw, "%3b") {
		found |= EncodedSemicolon
	}
	if !strings.Contains(decoded, "/") {
		return found
	}
	found |= EncodedSlash
	for i, part := range strings.Split(decoded, "/") {
		found |= inspectText(part)
		if part == "" && i > 0 {
			found |= EmptySegment
		}
	}
	return found
}

// inspectText finds the forms in a decoded segment.
func inspectText(text string) Form {
	var found Form
	if !utf8.ValidString(text) {
		found |= InvalidUTF8
	}
	for i, r := range text {
		switch {
		case r == '\\':
			found |= Backslash
		case r == '%' && escapes(text[i+1:]):
			found |= DoubleEscape
		case unicode.IsControl(r):
			found |= Control
		}
	}
	// Inspect both readings of a path parameter: with it and without it.
	for part := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '\\' }) {
		found |= inspectName(part)
		if name, _, cut := strings.Cut(part, ";"); cut {
			found |= inspectName(name)
		}
	}
	if isASCII(text) {
		return found
	}
	folded := norm.NFKC.String(text)
	for _, c := range `/\%;` {
		if strings.Count(folded, string(c)) > strings.Count(text, string(c)) {
			found |= Lookalike
		}
	}
	if isDots(folded) {
		found |= Lookalike
	}
	return found
}

// inspectName finds the forms in a name that a server could look up.
func inspectName(name string) Form {
	var found Form
	trimmed := strings.TrimFunc(name, isBlank)
	if trimmed != name {
		found |= TrailingSpace
	}
	switch {
	case isDots(trimmed):
		found |= DotSegment
	case strings.HasSuffix(name, "."):
		found |= TrailingDot
	}
	return found
}

// isBlank reports whether r is white space and no control character.
func isBlank(r rune) bool { return unicode.IsSpace(r) && !unicode.IsControl(r) }

func isDots(s string) bool { return s == "." || s == ".." }

// escapes reports whether the text after a percent sign makes it an escape: two
// hexadecimal digits, or u and four, as old Microsoft servers read.
func escapes(after string) bool {
	if len(after) > 0 && (after[0] == 'u' || after[0] == 'U') {
		return len(after) >= 5 && isHex(after[1]) && isHex(after[2]) && isHex(after[3]) && isHex(after[4])
	}
	return len(after) >= 2 && isHex(after[0]) && isHex(after[1])
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// clean rewrites the forms of a set in an encoded path. A backslash and an encoded slash
// become slashes, path parameters and trailing dots and spaces are removed, slashes are
// merged, and dot segments are resolved (RFC 3986 section 5.2.4), never above the root.
func clean(raw string, forms Form) string {
	for _, r := range []struct {
		form Form
		old  []string
	}{
		{EncodedSlash, []string{"%2F", "%2f"}},
		{Backslash, []string{`\`, "%5C", "%5c"}},
	} {
		if forms&r.form != 0 {
			for _, old := range r.old {
				raw = strings.ReplaceAll(raw, old, "/")
			}
		}
	}
	directory := strings.HasSuffix(raw, "/")
	var kept []string
	for segment := range strings.SplitSeq(raw[1:], "/") {
		segment = cleanSegment(segment, forms)
		directory = directory || isDots(dots.Replace(segment))
		switch name := dots.Replace(segment); {
		case segment == "" && forms&(EmptySegment|EncodedSlash|Backslash|PathParameters|TrailingDot|TrailingSpace) != 0:
		case name == "." && forms&DotSegment != 0:
		case name == ".." && forms&DotSegment != 0:
			kept = kept[:max(len(kept)-1, 0)]
		default:
			kept = append(kept, segment)
			directory = false
		}
	}
	joined := "/" + strings.Join(kept, "/")
	if (directory || strings.HasSuffix(raw, "/")) && !strings.HasSuffix(joined, "/") {
		joined += "/"
	}
	return joined
}

// dots decodes the dots of a segment.
var dots = strings.NewReplacer("%2E", ".", "%2e", ".")

// cleanSegment removes path parameters and trailing dots and spaces from an encoded
// segment.
func cleanSegment(segment string, forms Form) string {
	if forms&PathParameters != 0 {
		segment = cutParameters(segment)
	}
	for forms&(TrailingDot|TrailingSpace) != 0 {
		name, err := url.PathUnescape(segment)
		if err != nil {
			return segment
		}
		trimmed := name
		if forms&TrailingSpace != 0 {
			trimmed = strings.TrimFunc(trimmed, isBlank)
		}
		if forms&TrailingDot != 0 && !isDots(trimmed) {
			trimmed = strings.TrimRight(trimmed, ".")
		}
		if trimmed == name {
			return segment
		}
		segment = url.PathEscape(trimmed)
	}
	return segment
}

// cutParameters cuts `;name=value` off an encoded segment.
func cutParameters(segment string) string {
	name, _, _ := strings.Cut(segment, ";")
	return name
}

// asUpstreamReads is an encoded path as the upstream reads it: decoded segment by segment,
// encoded slashes kept, path parameters cut off and empty segments merged.
func asUpstreamReads(raw string) string {
	var out strings.Builder
	segments := strings.Split(raw[1:], "/")
	for i, segment := range segments {
		segment = cutParameters(segment)
		if segment == "" && i < len(segments)-1 {
			continue
		}
		out.WriteByte('/')
		for j, part := range strings.Split(strings.ReplaceAll(segment, "%2f", "%2F"), "%2F") {
			if j > 0 {
				out.WriteString("%2F")
			}
			decoded, err := url.PathUnescape(part)
			if err != nil {
				decoded = part
			}
			out.WriteString(decoded)
		}
	}
	return out.String()
}
