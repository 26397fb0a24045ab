package readers

import (
	"strings"
	"unicode"

	"github.com/ainative/portcullis/plugins/problem/internal/reading"
)

// textReader reads plain text: what Go's http.Error, axum, aiohttp and proxies
// send. A text of many paragraphs is a document, not a message.
var textReader = reader{"text", func(d *reading.Document) (reading.Finding, bool) {
	text := d.Text
	if len(text) > 8192 || binary(text) {
		return reading.Finding{}, true
	}
	if head, rest, ok := strings.Cut(strings.ReplaceAll(text, "\r\n", "\n"), "\n\n"); ok {
		text = head
		if rest, _, _ = strings.Cut(strings.TrimSpace(rest), "\n\n"); reading.IsPhrase(d.Status, head) && reading.Frame.FindStringIndex(rest) == nil {
			// Pyramid: the status, then what it means.
			text = reading.Compose(d.Status, head, rest)
		}
	}
	if i := strings.Index(text, "\nrequest_id:"); i > 0 {
		text = text[:i]
	}
	return reading.Finding{Message: text}, true
}}

// binary reports whether a text is no text: it decoded, but says nothing.
func binary(s string) bool {
	odd := 0
	for _, r := range s {
		if r == unicode.ReplacementChar || unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t' {
			odd++
		}
	}
	return odd*10 > len(s)
}
