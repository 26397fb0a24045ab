package problem

import "strings"

// varnishReader reads Varnish's "Guru Meditation" pages: the headline is for
// clients, the XID and the cache's name are not.
var varnishReader = reader{"varnish", func(d *Document) (Finding, bool) {
	if d.Page == nil || !strings.Contains(d.Text, "Guru Meditation") {
		return Finding{}, false
	}
	return Finding{Message: trimStatus(d.Status, strings.TrimPrefix(d.Page.first("h1"), "Error "))}, true
}}
