package problem

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxOriginal bounds what the log gets of a body, in bytes.
const maxOriginal = 4 << 10

// mask stands for a secret in the log.
const mask = "[redacted]"

// secretNames are the words in the names of members whose values are secret.
const secretNames = secretWords + `|` + secretKeys + `|authorization|cookie|session_?id|ssn|card_?number|cvv|cvc|pin|iban`

// secretWords make a name that has one of them a secret's, wherever it stands in
// the name: DB_PASSWORD, clientSecret, X-Auth-Token.
const secretWords = `passw(?:or)?d|passphrase|passcode|pwd|secret|token|credential|signature|private|sharedaccess`

// secretKeys are the keys that are secret, in any way to join the words.
const secretKeys = `(?:api|private|access|account|auth|encrypt\w*?|encryption|signing|sign|master|session|shared|hmac|aes|rsa|ssh|jwt|cookie|license|service|root|admin|server)[_.-]?key`

// secretName is a whole name, without quotes. `pass` counts as a word of its own
// only: DB_PASS and smtpPass, but not bypass or passenger.
const secretName = `(?:[\w.-]*(?:` + secretWords + `|` + secretKeys + `)[\w.-]*|(?:[\w.-]*[_.-])?pass(?:[_.-][\w.-]*)?|\w*(?-i:[a-z]Pass))`

// programName is a secretName that no sentence has: joined of words, or in
// capitals. What follows "reading token: " in an error is no secret.
const programName = `(?:[\w.-]*[_.-](?:` + secretWords + `|pass\b)[\w.-]*|(?:(?:` + secretWords + `)s?|pass)[_.-][\w.-]+|[\w.-]*` + secretKeys + `[\w.-]*` +
	`|(?-i:\w*[a-z](?:Passw|Passphrase|Pass\b|Secret|Token|Credential|Signature|Private)\w*|[A-Z]*(?:PASSWORD|PASSWD|PASSPHRASE|PWD|SECRET|TOKEN|CREDENTIAL)S?))`

// secretValue is what follows a name without quotes: a string of Python, Ruby, Go
// or JavaScript, which may be cut off; one within a JSON string; or a bare word.
const secretValue = `(?:[bru]{0,2}(?:'(?:[^'\\]|\\.)*'?|"(?:[^"\\]|\\.)*"?|\\"(?:[^"\\]|\\[^"])*(?:\\"|$)|\\'(?:[^'\\]|\\[^'])*(?:\\'|$))|[^\s&;,)'"<>{}\[\]\\]+)`

// redactions replace secrets in what goes to the log. Order counts: whole URLs
// and tokens before the values of names.
var redactions = []struct {
	pattern *regexp.Regexp
	with    string
	// named rules go by a secretName, and are tried where namesSecret finds one.
	named bool
}{
	{regexp.MustCompile(`(?s)-----BEGIN [A-Z ]{0,40}-----.*?(?:-----END [A-Z ]{0,40}-----|$)`), mask, false},
	{regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]{1,30}://)[^\s/@"'<>]*@`), "${1}" + mask + "@", false},
	{regexp.MustCompile(`\beyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?`), mask, false},
	{regexp.MustCompile(`(?i)\b(bearer|basic|token|digest|negotiate|apikey)\s+[\w.~+/=-]{8,}`), "${1} " + mask, false},
	{regexp.MustCompile(`\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\b(?:sk|rk|pk)_(?:live|test)_\w+|\bsk-[\w-]{16,}|\bwhsec_\w+|\bgh[pousr]_\w{16,}|\bgithub_pat_\w+|\bglpat-[\w-]+|\bxox[abeprs]-[\w-]+|\bAIza[\w-]{30,}|\bya29\.[\w-]+|\bnpm_\w{20,}|\bhv[sb]\.[\w-]+|\bSG\.[\w-]{16,}\.[\w-]+`), mask, false},
	// "password": "x", 'password' => 'x', and both within a string: \"password\": \"x\"
	{regexp.MustCompile(`(?i)("(?:[\w.-]*(?:` + secretNames + `)[\w.-]*|` + secretName + `)"\s*(?::|=>|=|,)\s*")(?:[^"\\]|\\.)*`), "${1}" + mask, false},
	{regexp.MustCompile(`(?i)('(?:[\w.-]*(?:` + secretNames + `)[\w.-]*|` + secretName + `)'\s*(?::|=>|=|,)\s*[bru]{0,2}')(?:[^'\\]|\\.)*`), "${1}" + mask, false},
	{regexp.MustCompile(`(?i)(\\["'](?:[\w.-]*(?:` + secretNames + `)[\w.-]*|` + secretName + `)\\["']\s*(?::|=>|=|,)\s*\\["'])(?:[^"'\\]|\\[^"'])*`), "${1}" + mask, false},
	{regexp.MustCompile(`(?i)(\\?["'][\w.-]*(?:passw(?:or)?d|pwd|secret|token|api_?key|pin|cvv|cvc|card_?number|ssn)[\w.-]*\\?["']\s*(?::|=>)\s*)-?\d+`), "${1}" + mask, false},
	// <password>x</password>
	{regexp.MustCompile(`(?i)(<(?:\w+:)?` + secretName + `(?:\s[^<>]*)?>)[^<]+`), "${1}" + mask, true},
	// A line of YAML or a header, whose value may have spaces: DB_PASS: a b c
	{regexp.MustCompile(`(?im)^([ \t]*(?:-[ \t]+|export[ \t]+)?` + secretName + `[ \t]*:[ \t]+)[^\s"'{\[|>\\][^\n]*`), "${1}" + mask, true},
	// private_key: |
	//   MIIEv...
	{regexp.MustCompile(`(?im)^([ \t]*(?:-[ \t]+)?` + secretName + `[ \t]*:[ \t]*)[|>][+-]?[ \t]*\n(?:[ \t]+[^\n]*(?:\n|$))+`), "${1}" + mask + "\n", true},
	// SECRET_KEY = "x", db_pass=x, :password=>"x"
	{regexp.MustCompile(`(?i)((?:\b|\\[nrt])` + secretName + `[ \t]*(?:=>|:=|=)[ \t]*)` + secretValue), "${1}" + mask, true},
	// encryption_key: x, {Password:x Token:y}, password: x
	{regexp.MustCompile(`(?i)((?:\b|\\[nrt])(?:` + programName + `[ \t]*:[ \t]*|` + secretName + `:|(?:\w*(?:password|passwd|pwd|passphrase)|secret)[ \t]*:[ \t]*))` + secretValue), "${1}" + mask, true},
	{regexp.MustCompile(`(?i)\b((?:authorization|proxy-authorization|cookie|set-cookie|x-api-key|api-key)\s*[:=]\s*)[^\s"',;<>][^\n"'<>]*`), "${1}" + mask, false},
	// What was submitted: a bank card by its digits.
	{regexp.MustCompile(`\b(?:\d[ -]?){13,19}\b`), mask, false},
}

// namesSecret reports whether a text has a word that every secretName has one of.
func namesSecret(s string) bool {
	s = strings.ToLower(s)
	for _, word := range []string{"pass", "pwd", "secret", "token", "credential", "signature", "private", "sharedaccess", "key"} {
		if strings.Contains(s, word) {
			return true
		}
	}
	return false
}

// Redact masks secrets in a text that goes to an operator, bounds it and puts it
// on one line.
func Redact(s string) string { return redact(s) }

// redact makes the log's copy of a text: secrets masked, at most 4 KiB, and on
// one line, so that a body can't forge entries of the log.
func redact(s string) string {
	// Cut generously first: redaction must not see more than it pays for, and a
	// secret cut in half at the end is masked by what is cut off after.
	truncated := false
	if len(s) > 2*maxOriginal {
		s, truncated = s[:2*maxOriginal], true
	}
	s = strings.ToValidUTF8(s, "\ufffd")
	named := namesSecret(s)
	for _, r := range redactions {
		if named || !r.named {
			s = r.pattern.ReplaceAllString(s, r.with)
		}
	}
	if s = escapeControls(s); len(s) > maxOriginal {
		end := maxOriginal
		for end > 0 && !utf8.RuneStart(s[end]) {
			end--
		}
		s, truncated = s[:end], true
	}
	if truncated {
		s += "…"
	}
	return s
}

// escapeControls writes control characters, line separators and bidirectional
// overrides as escapes.
func escapeControls(s string) string {
	if !strings.ContainsFunc(s, escaped) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 64)
	for _, r := range s {
		switch {
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case escaped(r):
			b.WriteString(`\u`)
			for shift := 12; shift >= 0; shift -= 4 {
				b.WriteByte(hexDigits[r>>shift&15])
			}
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func escaped(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Bidi_Control, r)
}
