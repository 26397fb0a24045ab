package decision

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// The bounds of the longer texts of a record, in bytes.
const (
	// MaxAnswer is how much of a response's body is kept.
	MaxAnswer = 512
	// MaxNames is how much of the names of a request's headers is kept.
	MaxNames = 512
)

// Names joins header names for a record, up to MaxNames.
func Names(joined string) string { return text(joined, MaxNames) }

// SetAnswer keeps the beginning of a response's body.
func (r *Record) SetAnswer(body []byte) {
	r.Answer = text(string(body[:min(len(body), 2*MaxAnswer)]), MaxAnswer)
}

// Support is the record as a block of plain text for a mail: the request, the answer, and
// the cause. It holds no credential and no control characters. versions names the programs
// that answered.
func (r *Record) Support(versions string) string {
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s: %s\n", name, harmless(value))
		}
	}
	line("Request ID", r.RequestID)
	line("Time", r.Time.UTC().Format(time.RFC3339))
	line("Endpoint", r.Method+" "+r.Host+r.Path)
	if r.Status != 0 {
		line("Status", strconv.Itoa(r.Status))
	}
	line("Answer", r.Answer)
	if r.RetryAfter != 0 {
		line("Retry after", strconv.Itoa(r.RetryAfter)+" seconds")
	}
	line("Request headers", r.HeaderNames)
	line("User agent", r.UserAgent)
	line("Credential", r.credentialText())
	switch {
	case r.UpstreamStatus != 0:
		line("Answered by", "the API, with "+strconv.Itoa(r.UpstreamStatus))
	case r.Policy != "":
		line("Answered by", strings.TrimSuffix(r.Policy+": "+string(r.Reason), ": "))
	default:
		line("Answered by", string(r.Outcome))
	}
	line("Expected", r.Bound)
	line("Found", r.Value)
	line("Versions", versions)
	return b.String()
}

// credentialText names the credential without showing it.
func (r *Record) credentialText() string {
	var parts []string
	for _, part := range [][2]string{{"in ", r.CredentialIn}, {"scheme ", r.Scheme}, {"key ", r.KeyID}, {"issuer ", r.Issuer}} {
		if part[1] != "" {
			parts = append(parts, part[0]+part[1])
		}
	}
	return strings.Join(parts, ", ")
}

// harmless makes a text safe for one line of a terminal or a mail: it is quoted if it has
// unprintable characters or line breaks.
func harmless(s string) string {
	for _, c := range s {
		if !unicode.IsPrint(c) || unicode.Is(unicode.Bidi_Control, c) {
			return strconv.QuoteToASCII(s)
		}
	}
	return s
}
