package readers

import (
	"strings"

	"github.com/ainative/portcullis/plugins/problem/internal/reading"
)

// djangoPageReader reads Django's pages: the technical 404 and 500 of DEBUG, the
// CSRF page, and the plain ones.
var djangoPageReader = reader{"django", func(d *reading.Document) (reading.Finding, bool) {
	if d.Page == nil {
		return reading.Finding{}, false
	}
	technical := strings.Contains(d.Text, "DEBUG = True") || strings.Contains(d.Text, "DEBUG=True") || strings.Contains(d.Text, "Request Method:") && strings.Contains(d.Text, "Django")
	switch {
	case strings.Contains(d.Text, "CSRF verification failed"):
		return reading.Finding{Message: "CSRF verification failed. Request aborted."}, true
	case d.Status == 403 && technical && strings.Contains(d.Text, "CSRF"):
		// The same in another language.
		return reading.Finding{Message: reading.Compose(d.Status, d.Page.First("h1"), d.Page.First("p"))}, true
	case strings.Contains(d.Text, "Django REST framework"):
		// The browsable API shows the answer in JSON, below its status line.
		for _, b := range d.Page.Blocks {
			if i := strings.IndexAny(b.Text, "{["); b.Tag == "pre" && i > 0 && strings.Contains(b.Text[:i], "HTTP ") {
				if answer := reading.NewDocument(d.Status, d.Header, b.Text[i:]); answer.JSON != nil {
					return reading.Finding{Instead: answer}, true
				}
			}
		}
	case technical && d.Status == 404:
		return reading.Finding{Message: "Page not found"}, true
	case technical:
		// "ValueError at /path": the exception, never for clients.
		return reading.Finding{}, true
	}
	return reading.Finding{}, false
}}
