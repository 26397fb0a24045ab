package readers

import (
	"strings"

	"github.com/ainative/portcullis/plugins/problem/internal/reading"
)

// varnishReader reads Varnish's "Guru Meditation" pages: the headline is for
// clients, the XID and the cache's name are not.
var varnishReader = reader{"varnish", func(d *reading.Document) (reading.Finding, bool) {
	if d.Page == nil || !strings.Contains(d.Text, "Guru Meditation") {
		return reading.Finding{}, false
	}
	return reading.Finding{Message: reading.TrimStatus(d.Status, strings.TrimPrefix(d.Page.First("h1"), "Error "))}, true
}}
