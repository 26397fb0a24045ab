package readers

import (
	"strings"

	"github.com/ainative/portcullis/plugins/problem/internal/reading"
)

// cloudFrontReader reads CloudFront's page: "403 ERROR", then "The request could
// not be satisfied." and text about distributions.
var cloudFrontReader = reader{"cloudfront", func(d *reading.Document) (reading.Finding, bool) {
	if d.Page == nil || !strings.Contains(d.Text, "(CloudFront)") && !strings.Contains(d.Page.Title, "The request could not be satisfied") {
		return reading.Finding{}, false
	}
	text := firstTelling(d.Page.First("h2"), "The request could not be satisfied.")
	for _, b := range d.Page.Blocks {
		if i := strings.Index(b.Text, "Request blocked"); i >= 0 {
			return reading.Finding{Message: strings.TrimRight(text, ".") + ": Request blocked."}, true
		}
	}
	return reading.Finding{Message: text}, true
}}
