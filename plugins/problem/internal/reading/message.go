package reading

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of what a client gets, in bytes.
const (
	MaxMessage      = 1000
	MaxFieldMessage = 300
	MaxMessages     = 20
)

// CleanLine makes one line of a text: no control characters, no runs of space,
// at most limit bytes, cut between words.
func CleanLine(s string, limit int) string {
	s = strings.TrimSpace(s)
	if plainLine(s) {
		return Cut(s, limit)
	}
	var b strings.Builder
	space := false
	for _, r := range s {
		if b.Len() > limit+utf8.UTFMax {
			break
		}
		switch {
		case unicode.IsSpace(r) || r == '\u200b' || r == '\ufeff':
			space = b.Len() > 0
			continue
		case unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r):
			continue
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		b.WriteRune(r)
	}
	return Cut(b.String(), limit)
}

// plainLine reports whether body.CleanLine has nothing to do but cut.
func plainLine(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c < 0x20 || c >= 0x7f || c == ' ' && i+1 < len(s) && s[i+1] == ' ' {
			return false
		}
	}
	return true
}

// Cut shortens to limit bytes at a word.
func Cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	const mark = "…"
	end := limit - len(mark)
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	if i := strings.LastIndexByte(s[:end], ' '); i > end/2 {
		end = i
	}
	return strings.TrimRight(s[:end], " ,;:") + mark
}

// blanks are messages that say nothing.
var blanks = map[string]bool{
	"": true, "null": true, "undefined": true, "none": true, "nil": true, "nan": true, "true": true, "false": true,
	"error": true, "errors": true, "[object object]": true, "{}": true, "[]": true, "n/a": true, "-": true, "...": true,
	"no message available": true, "no message": true, "exception": true, "fail": true, "failure": true, "failed": true,
	"<nil>": true, "(null)": true, "unknown error": true, "description": true,
}

// IsBlank reports whether a message says nothing to a person.
func IsBlank(s string) bool {
	s = strings.TrimSpace(s)
	if len(s) <= 24 && blanks[strings.ToLower(strings.Trim(s, "."))] {
		return true
	}
	for _, r := range s {
		if unicode.IsLetter(r) {
			return false
		}
	}
	return true
}

// code matches what is a program's name for an error rather than a sentence.
var code = regexp.MustCompile(`^(?:[A-Za-z0-9]+(?:[_.:#/-][A-Za-z0-9]+)*|[A-Z][a-z0-9]+(?:[A-Z][a-z0-9]*)+)$`)

// IsCode reports whether a message is a single machine word: invalid_grant,
// NoSuchBucket, E1001. A word such as "missing" counts as one too.
func IsCode(s string) bool { return len(s) <= 80 && code.MatchString(s) }

// IsPhrase reports whether a message only repeats the status.
func IsPhrase(status int, s string) bool {
	s = strings.TrimRight(TrimStatus(status, s), ".! ")
	return strings.EqualFold(s, Phrase(status)) || strings.EqualFold(s, Text(status)) || knownPhrases[strings.ToLower(s)]
}

// knownPhrases are servers' own wordings of a status.
var knownPhrases = map[string]bool{
	"bad request": true, "unauthorized": true, "authorization required": true, "forbidden": true, "not found": true,
	"not allowed": true, "method not allowed": true, "not acceptable": true, "request timeout": true, "request time-out": true,
	"conflict": true, "gone": true, "length required": true, "precondition failed": true, "payload too large": true,
	"request entity too large": true, "request-uri too large": true, "uri too long": true, "request-uri too long": true,
	"unsupported media type": true, "unprocessable entity": true, "unprocessable content": true, "too many requests": true,
	"internal server error": true, "not implemented": true, "bad gateway": true, "service unavailable": true,
	"service temporarily unavailable": true, "gateway timeout": true, "gateway time-out": true, "server error": true,
	"access denied": true, "error": true, "whitelabel error page": true, "content too large": true, "client error": true,
	"oops! an error occurred": true, "an error occurred": true,
}

// statusPrefix matches what servers put before the phrase.
var statusPrefix = regexp.MustCompile(`(?i)^(?:http(?:/\d(?:\.\d)?)?[ _-]*)?(?:error[ :]+)?(?:status(?: code)?[ :]*)?(?:error[ :]+)?\(?(\d{3})(?:\.\d{1,2})?\)?\s*(?:error\b)?\s*[:;,|–—-]*\s*`)

// statusSuffix matches the same behind it, in brackets or behind a word or mark.
var statusSuffix = regexp.MustCompile(`(?i)(?:\s*\((?:http |error |status |code )*(\d{3})\)|\s*(?:[|–—:-]|\b(?:http|error|status|code)\b)[ :]*(?:(?:http|error|status|code)[ :]+)*(\d{3}))$`)

// TrimStatus removes the status number that servers repeat in their text:
// "404 Not Found", "HTTP Status 404 – Not Found", "Not Found (404)". A number
// that a sentence begins or ends with stays.
func TrimStatus(status int, s string) string {
	number := strconv.Itoa(status)
	if !strings.Contains(s, number) {
		return s
	}
	if m := statusPrefix.FindStringSubmatchIndex(s); m != nil && s[m[2]:m[3]] == number {
		rest := strings.TrimSpace(s[m[1]:])
		marked := m[2] > 0 || strings.TrimSpace(s[m[3]:m[1]]) != ""
		if first, _ := utf8.DecodeRuneInString(rest); rest != "" && (marked || !unicode.IsLower(first) || rest == "page not found" || knownPhrases[strings.TrimRight(rest, ".! ")]) {
			s = rest
		}
	}
	if m := statusSuffix.FindStringSubmatchIndex(s); m != nil && strings.Contains(s[m[0]:], number) {
		if rest := strings.TrimSpace(s[:m[0]]); rest != "" {
			s = rest
		}
	}
	return s
}

// exceptionPrefix matches the class an exception's text is headed by:
// "ForbiddenError: ", "java.lang.IllegalArgumentException: ", "App\Oops: ".
var exceptionPrefix = regexp.MustCompile(`^(?:Uncaught |Unhandled )?(?:Error:\s+|(?:[A-Za-z_$][\w$]*(?:\.|::|\\))*[A-Z][\w$]*(?:Error|Exception|Fault)\b(?: \[[\w-]+\])?:\s+)`)

// Frame matches the first line of a stack, where a message ends.
var Frame = regexp.MustCompile(`(?m)^\s*(?:at\s+\S.*[:(]|at\s+[\w$.<>]+$|File ".*", line \d+|#\d+\s+\S|from \S+:\d+:in|Traceback \(most recent|Stack ?trace:?\s*$|goroutine \d+|--- End of|\.\.\. \d+ more|Caused by: |in .+ on line \d+)`)

// inlineFrame matches the same within a line.
var inlineFrame = regexp.MustCompile(`\s+at\s+(?:async\s+|new\s+)?[\w$.<>\[\] ]{0,120}\((?:/|file:|node:|webpack|[A-Z]:\\|[\w$]+\.(?:java|kt|scala|groovy):)|\s+at\s+/[^\s]+:\d+:\d+`)

// idLines matches the lines that Azure and others append for their own support.
var idLines = regexp.MustCompile(`(?i)\r?\n\s*(?:request ?id|trace ?id|correlation ?id|activity ?id|timestamp|time)\s*:`)

// markupStart matches a message that is markup: a page, or a paragraph of one.
var markupStart = regexp.MustCompile(`(?i)^\s*<(?:!doctype|html|head|body|p|div|h[1-6]|pre|br ?/?|b|strong|em|i|span|ul|ol|li|font|center|table)(?:\s[^<>]*)?>`)

// Humanize makes the public text of a message: the part before a stack, without
// the exception's class and the status number, on one line. It returns "" where
// nothing is left for people.
func Humanize(status int, s string, limit int) string {
	if len(s) > 64<<10 {
		s = strings.ToValidUTF8(s[:64<<10], "")
	}
	if m := Frame.FindStringIndex(s); m != nil {
		s = s[:m[0]]
	}
	if m := inlineFrame.FindStringIndex(s); m != nil {
		s = s[:m[0]]
	}
	if m := idLines.FindStringIndex(s); m != nil && m[0] > 0 {
		s = s[:m[0]]
	}
	if markupStart.MatchString(s) {
		s = PageMessage(status, parseHTML(s))
	}
	s = CleanLine(s, limit)
	for range 3 {
		m := exceptionPrefix.FindStringIndex(s)
		if m == nil {
			break
		}
		s = s[m[1]:]
	}
	s = strings.TrimSpace(TrimStatus(status, s))
	if IsBlank(s) {
		return ""
	}
	return s
}

// JoinMessages joins distinct messages into one text.
func JoinMessages(msgs []string) string {
	var out []string
	seen := make(map[string]bool)
	for _, m := range msgs {
		m = CleanLine(m, MaxMessage)
		if IsBlank(m) || seen[m] {
			continue
		}
		seen[m] = true
		if out = append(out, m); len(out) == MaxMessages {
			break
		}
	}
	if len(out) == 1 {
		return out[0]
	}
	for i := range out {
		if i < len(out)-1 {
			out[i] = strings.TrimRight(out[i], ".;")
		}
	}
	return strings.Join(out, "; ")
}
