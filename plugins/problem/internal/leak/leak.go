// Package leak tells a message for people from one that shows how the server is
// made: a file for each class of leak.
package leak

import (
	"regexp"
	"strings"
)

// The guard errs on the side of the server: a message it takes wrongly is
// replaced by the status text, and the log has the original. What it must not
// take are the sentences frameworks write for people; leak_test.go has many.

// leakRule is one way to leak. It fires where one of hints occurs, in lower
// case, and pattern matches, if there is one.
type leakRule struct {
	hints   []string
	pattern *regexp.Regexp
	// check decides over a match where a pattern can't.
	check func(text string, match []int) bool
}

// hint is a text that must occur for a rule to be tried, with the bit of its
// first two bytes in a pairSet.
type hint struct {
	text string
	bit  uint16
}

// pairSet holds which pairs of bytes occur in a text, hashed. Most of the many
// hints are ruled out by it without a search.
type pairSet [64]uint64

const pairBits = 64 * 64

func pairBit(a, b byte) uint16 { return (uint16(a)*67 ^ uint16(b)*251) % pairBits }

func pairsOf(s string) (set pairSet) {
	for i := 1; i < len(s); i++ {
		bit := pairBit(s[i-1], s[i])
		set[bit/64] |= 1 << (bit % 64)
	}
	return set
}

func (s *pairSet) has(bit uint16) bool { return s[bit/64]&(1<<(bit%64)) != 0 }

// leakHints are the hints of leakClasses, by class and rule.
var leakHints = func() [][][]hint {
	out := make([][][]hint, len(leakClasses))
	for i, class := range leakClasses {
		out[i] = make([][]hint, len(class.rules))
		for j, rule := range class.rules {
			for _, text := range rule.hints {
				h := hint{text: text}
				if len(text) > 1 {
					h.bit = pairBit(text[0], text[1])
				}
				out[i][j] = append(out[i][j], h)
			}
		}
	}
	return out
}()

// hinted reports whether one of the hints occurs. A rule without any is tried
// on every text.
func hinted(hints []hint, lower string, pairs *pairSet) bool {
	for i := range hints {
		h := &hints[i]
		if len(h.text) == 1 {
			if strings.IndexByte(lower, h.text[0]) >= 0 {
				return true
			}
		} else if pairs.has(h.bit) && strings.Contains(lower, h.text) {
			return true
		}
	}
	return len(hints) == 0
}

// leakClass is a set of rules under the name that the log and metrics use.
type leakClass struct {
	name  string
	rules []leakRule
}

// leakClasses in the order of how certain each is.
var leakClasses = []leakClass{
	{"stack", stackLeaks},
	{"credential", credentialLeaks},
	{"sql", sqlLeaks},
	{"path", pathLeaks},
	{"host", hostLeaks},
	{"type", typeLeaks},
}

// A long text is looked at in windows, so that memory does not grow with it.
// They overlap by more than any pattern spans.
const (
	Window      = 64 << 10
	leakOverlap = 2 << 10
)

// Of returns the class of the first leak in a text, or "".
func Of(text string) string {
	for len(text) > Window {
		if class := leakIn(text[:Window]); class != "" {
			return class
		}
		text = text[Window-leakOverlap:]
	}
	return leakIn(text)
}

func leakIn(text string) string {
	if len(text) < 3 {
		return ""
	}
	lower := asciiLower(text)
	pairs := pairsOf(lower)
	for i := range leakClasses {
		class := &leakClasses[i]
		for j := range class.rules {
			if hinted(leakHints[i][j], lower, &pairs) && class.rules[j].fires(text) {
				return class.name
			}
		}
	}
	return ""
}

// asciiLower keeps every byte where it is, which strings.ToLower does not.
func asciiLower(s string) string {
	for i := 0; i < len(s); i++ {
		if s[i] >= 'A' && s[i] <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				if b[i] >= 'A' && b[i] <= 'Z' {
					b[i] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}

// fires reports whether a rule that is hinted at holds.
func (r *leakRule) fires(text string) bool {
	switch {
	case r.pattern == nil:
		return true
	case r.check == nil:
		return r.pattern.MatchString(text)
	}
	for at := 0; at <= len(text); {
		m := r.pattern.FindStringSubmatchIndex(text[at:])
		if m == nil {
			return false
		}
		for i := range m {
			if m[i] >= 0 {
				m[i] += at
			}
		}
		if r.check(text, m) {
			return true
		}
		at = max(m[0]+1, m[1]-1)
	}
	return false
}

// phrases is a rule that fires on any of some texts, given in lower case.
func phrases(hints ...string) leakRule { return leakRule{hints: hints} }

// pattern is a rule that fires where a hint occurs and the expression matches.
func pattern(expr string, hints ...string) leakRule {
	return leakRule{hints: hints, pattern: regexp.MustCompile(expr)}
}
