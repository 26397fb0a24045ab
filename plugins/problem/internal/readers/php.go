package readers

import (
	"regexp"
	"strings"

	"github.com/ainative/portcullis/plugins/problem/internal/reading"
)

// phpReader reads PHP's own reports, in text or in markup, alone or before a
// page. They say only what went wrong inside.
var phpReader = reader{"php", func(d *reading.Document) (reading.Finding, bool) {
	if d.JSON != nil || d.XML != nil || !phpReport.MatchString(d.Text[:min(len(d.Text), 8192)]) {
		return reading.Finding{}, false
	}
	// A warning stands before an answer that is meant for people all the same.
	if i := strings.LastIndex(d.Text, "\n{"); i > 0 {
		if rest := reading.NewDocument(d.Status, d.Header, d.Text[i+1:]); rest.JSON != nil {
			return reading.Finding{Instead: rest}, true
		}
	}
	return reading.Finding{}, true
}}

var phpReport = regexp.MustCompile(`(?i)(?:^|[\s>])(?:<b>)?(?:PHP )?(?:Fatal error|Parse error|Warning|Notice|Deprecated|Catchable fatal error|Recoverable fatal error)(?:</b>)?:\s[\s\S]+?(?: on line |:\d+\s)`)
