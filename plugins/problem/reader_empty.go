package problem

// emptyReader reads a body of nothing: what proxies and many frameworks send.
var emptyReader = reader{"empty", func(d *Document) (Finding, bool) {
	return Finding{}, d.Text == ""
}}
