package readers

import (
	"strings"

	"github.com/ainative/portcullis/plugins/problem/internal/reading"
)

// serverPageReader reads the pages of nginx, Apache, HAProxy, ALB, lighttpd, IIS
// and werkzeug: a headline with the status, perhaps a sentence, and the server's
// banner, which is dropped.
var serverPageReader = reader{"server-page", func(d *reading.Document) (reading.Finding, bool) {
	if d.Page == nil || len(d.Page.Blocks) > 8 {
		return reading.Finding{}, false
	}
	headline := d.Page.First("h1", "h2")
	if d.Status < 500 && strings.EqualFold(headline, "Server Error") {
		// IIS heads every page so.
		if headline = d.Page.First("h2", "h3"); headline != "" {
			return reading.Finding{Message: reading.TrimStatus(d.Status, headline)}, true
		}
	}
	if headline == "" || !reading.IsPhrase(d.Status, headline) && !reading.IsPhrase(d.Status, d.Page.Title) {
		return reading.Finding{}, false
	}
	if pre := d.Page.First("pre"); pre != "" && strings.Contains(d.Text, "Sorry, the requested URL") {
		// Bottle names the URL first, with the host that it is known by inside.
		if reading.IsPhrase(d.Status, pre) {
			pre = ""
		}
		return reading.Finding{Message: reading.Compose(d.Status, strings.TrimPrefix(headline, "Error: "), pre)}, true
	}
	for _, b := range d.Page.Blocks {
		if b.Text != headline && !strings.HasSuffix(b.Text, ":") && (b.Tag == "p" || b.Tag == "center" || b.Tag == "" || b.Tag == "body" || b.Tag == "h3") && !reading.IsBanner(b.Text) && !reading.IsPhrase(d.Status, b.Text) {
			return reading.Finding{Message: reading.Compose(d.Status, headline, b.Text)}, true
		}
	}
	return reading.Finding{Message: reading.TrimStatus(d.Status, headline)}, true
}}
