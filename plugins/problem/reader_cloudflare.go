package problem

import "strings"

// cloudflareReader reads Cloudflare's pages. They show the site's name, a ray id
// and the visitor's address; only the headline is for clients.
var cloudflareReader = reader{"cloudflare", func(d *Document) (Finding, bool) {
	if d.Page == nil {
		if strings.HasPrefix(d.Text, "error code: ") && len(d.Text) < 32 {
			return Finding{}, true
		}
		return Finding{}, false
	}
	if !strings.Contains(d.Page.Marks, "cf-") && !strings.Contains(d.Text, "cf-error-details") && !strings.Contains(d.Text, "/cdn-cgi/") {
		return Finding{}, false
	}
	if strings.Contains(d.Text, "_cf_chl_opt") {
		// A challenge is for browsers.
		return Finding{}, true
	}
	headline := d.Page.first("h1", "h2")
	if i := strings.Index(headline, "Error code"); i > 0 {
		headline = strings.TrimSpace(headline[:i])
	}
	if fields := strings.Fields(headline); len(fields) > 2 && fields[0] == "Error" && strings.Contains(headline, "Ray ID") {
		headline = d.Page.first("h2")
	}
	if i := strings.Index(headline, "Ray ID"); i >= 0 {
		headline = strings.TrimSpace(headline[:i])
	}
	if isBlank(headline) || strings.HasPrefix(headline, "Error") && len(headline) < 12 {
		headline = d.Page.first("h2")
	}
	return Finding{Message: headline}, true
}}
