package readers

import "github.com/ainative/portcullis/plugins/problem/internal/reading"

// emptyReader reads a body of nothing: what proxies and many frameworks send.
var emptyReader = reader{"empty", func(d *reading.Document) (reading.Finding, bool) {
	return reading.Finding{}, d.Text == ""
}}
