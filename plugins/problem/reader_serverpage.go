package problem

import (
	"strings"
)

// serverPageReader reads the pages of nginx, Apache, HAProxy, ALB, lighttpd, IIS
// and werkzeug: a headline with the status, perhaps a sentence, and the server's
// banner, which is dropped.
var serverPageReader = reader{"server-page", func(d *Document) (Finding, bool) {
	if d.Page == nil || len(d.Page.Blocks) > 8 {
		return Finding{}, false
	}
	headline := d.Page.first("h1", "h2")
	if d.Status < 500 && strings.EqualFold(headline, "Server Error") {
		// IIS heads every page so.
		if headline = d.Page.first("h2", "h3"); headline != "" {
			return Finding{Message: trimStatus(d.Status, headline)}, true
		}
	}
	if headline == "" || !isPhrase(d.Status, headline) && !isPhrase(d.Status, d.Page.Title) {
		return Finding{}, false
	}
	if pre := d.Page.first("pre"); pre != "" && strings.Contains(d.Text, "Sorry, the requested URL") {
		// Bottle names the URL first, with the host that it is known by inside.
		if isPhrase(d.Status, pre) {
			pre = ""
		}
		return Finding{Message: compose(d.Status, strings.TrimPrefix(headline, "Error: "), pre)}, true
	}
	for _, b := range d.Page.Blocks {
		if b.Text != headline && !strings.HasSuffix(b.Text, ":") && (b.Tag == "p" || b.Tag == "center" || b.Tag == "" || b.Tag == "body" || b.Tag == "h3") && !isBanner(b.Text) && !isPhrase(d.Status, b.Text) {
			return Finding{Message: compose(d.Status, headline, b.Text)}, true
		}
	}
	return Finding{Message: trimStatus(d.Status, headline)}, true
}}
