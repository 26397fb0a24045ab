package readers

import (
	"strings"

	"github.com/ainative/portcullis/plugins/problem/internal/reading"
)

// cloudflareReader reads Cloudflare's pages. They show the site's name, a ray id
// and the visitor's address; only the headline is for clients.
var cloudflareReader = reader{"cloudflare", func(d *reading.Document) (reading.Finding, bool) {
	if d.Page == nil {
		if strings.HasPrefix(d.Text, "error code: ") && len(d.Text) < 32 {
			return reading.Finding{}, true
		}
		return reading.Finding{}, false
	}
	if !strings.Contains(d.Page.Marks, "cf-") && !strings.Contains(d.Text, "cf-error-details") && !strings.Contains(d.Text, "/cdn-cgi/") {
		return reading.Finding{}, false
	}
	if strings.Contains(d.Text, "_cf_chl_opt") {
		// A challenge is for browsers.
		return reading.Finding{}, true
	}
	headline := d.Page.First("h1", "h2")
	if i := strings.Index(headline, "Error code"); i > 0 {
		headline = strings.TrimSpace(headline[:i])
	}
	if fields := strings.Fields(headline); len(fields) > 2 && fields[0] == "Error" && strings.Contains(headline, "Ray ID") {
		headline = d.Page.First("h2")
	}
	if i := strings.Index(headline, "Ray ID"); i >= 0 {
		headline = strings.TrimSpace(headline[:i])
	}
	if reading.IsBlank(headline) || strings.HasPrefix(headline, "Error") && len(headline) < 12 {
		headline = d.Page.First("h2")
	}
	return reading.Finding{Message: headline}, true
}}
