package problem

import (
	"regexp"
	"strings"
)

// phpReader reads PHP's own reports, in text or in markup, alone or before a
// page. They say only what went wrong inside.
var phpReader = reader{"php", func(d *Document) (Finding, bool) {
	if d.JSON != nil || d.XML != nil || !phpReport.MatchString(d.Text[:min(len(d.Text), 8192)]) {
		return Finding{}, false
	}
	// A warning stands before an answer that is meant for people all the same.
	if i := strings.LastIndex(d.Text, "\n{"); i > 0 {
		if rest := newDocument(d.Status, d.Header, d.Text[i+1:]); rest.JSON != nil {
			return Finding{Instead: rest}, true
		}
	}
	return Finding{}, true
}}

var phpReport = regexp.MustCompile(`(?i)(?:^|[\s>])(?:<b>)?(?:PHP )?(?:Fatal error|Parse error|Warning|Notice|Deprecated|Catchable fatal error|Recoverable fatal error)(?:</b>)?:\s[\s\S]+?(?: on line |:\d+\s)`)
