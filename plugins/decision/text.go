package decision

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// The bounds of a record: bytes of a text, and elements of a list.
const (
	MaxText = 256
	MaxList = 32
)

// Clip shortens a text to most bytes, and marks the cut.
func Clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return cut(s, most) + "..."
}

// cut is the first most bytes of s, without an incomplete character.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}

// Text makes a text from outside safe for a record, a log line or a span: clipped to
// MaxText and without credentials.
func Text(s string) string { return text(s, MaxText) }

func text(s string, most int) string {
	// Twice the bound is searched, for a credential that the cut would split.
	return Clip(Mask(cut(s, 2*most)), most)
}

// list is Text for a list, of MaxList elements at most.
func list(from []string) []string {
	if len(from) == 0 {
		return nil
	}
	kept := make([]string, 0, min(len(from), MaxList))
	for _, s := range from[:min(len(from), MaxList)] {
		kept = append(kept, Text(s))
	}
	return kept
}

// masked replaces a credential.
const masked = "[redacted]"

var (
	// tokens are JSON Web Tokens, whole or cut off, and keys with a recognisable format. The
	// gateway's own have ten characters or more here: messages show a prefix of four.
	tokens = regexp.MustCompile(`(^|[^A-Za-z])(?:[spr]k_(?:live|test)_\w{10,}|sk-[\w-]{16,}|gh[pousr]_\w{16,}|github_pat_\w+|glpat-[\w-]{10,}|xox[abeprs]-[\w-]{10,}|AIza[\w-]{30,})|eyJ[\w-]{6,}(?:\.[\w-]*)+|eyJ[\w-]{17,}`)
	// named are parameters of a path or a query with the name of a credential.
	named = regexp.MustCompile(`(?i)\b((?:[\w.-]*[_.-])?(?:api[_-]?key|apikey|key|token|jwt|secret|password|passwd|pwd|signature|sig|auth|authorization|credentials?)=)[^;&/?#\s]+`)
)

// tokenMarks are texts of which each match of tokens has one.
var tokenMarks = [...]string{
	"eyJ", "AIza", "k_live_", "k_test_", "sk-", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox",
}

// mayHoldToken reports whether a text may match tokens.
func mayHoldToken(s string) bool {
	for _, mark := range tokenMarks {
		if strings.Contains(s, mark) {
			return true
		}
	}
	return false
}

// Mask replaces what looks like a credential. Clients put credentials into paths, hosts
// and names, and operators see the records.
func Mask(s string) string {
	// Most texts have none of these, and need no regular expression.
	if len(s) > 8 && mayHoldToken(s) {
		s = tokens.ReplaceAllString(s, "${1}"+masked)
	}
	if strings.IndexByte(s, '=') >= 0 {
		s = named.ReplaceAllString(s, "${1}"+masked)
	}
	return s
}
