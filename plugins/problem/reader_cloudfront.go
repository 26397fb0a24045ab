package problem

import "strings"

// cloudFrontReader reads CloudFront's page: "403 ERROR", then "The request could
// not be satisfied." and text about distributions.
var cloudFrontReader = reader{"cloudfront", func(d *Document) (Finding, bool) {
	if d.Page == nil || !strings.Contains(d.Text, "(CloudFront)") && !strings.Contains(d.Page.Title, "The request could not be satisfied") {
		return Finding{}, false
	}
	text := d.Page.first("h2")
	if isBlank(text) {
		text = "The request could not be satisfied."
	}
	for _, b := range d.Page.Blocks {
		if i := strings.Index(b.Text, "Request blocked"); i >= 0 {
			return Finding{Message: strings.TrimRight(text, ".") + ": Request blocked."}, true
		}
	}
	return Finding{Message: text}, true
}}
