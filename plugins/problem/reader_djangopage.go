package problem

import "strings"

// djangoPageReader reads Django's pages: the technical 404 and 500 of DEBUG, the
// CSRF page, and the plain ones.
var djangoPageReader = reader{"django", func(d *Document) (Finding, bool) {
	if d.Page == nil {
		return Finding{}, false
	}
	technical := strings.Contains(d.Text, "DEBUG = True") || strings.Contains(d.Text, "DEBUG=True") || strings.Contains(d.Text, "Request Method:") && strings.Contains(d.Text, "Django")
	switch {
	case strings.Contains(d.Text, "CSRF verification failed"):
		return Finding{Message: "CSRF verification failed. Request aborted."}, true
	case d.Status == 403 && technical && strings.Contains(d.Text, "CSRF"):
		// The same in another language.
		return Finding{Message: compose(d.Status, d.Page.first("h1"), d.Page.first("p"))}, true
	case strings.Contains(d.Text, "Django REST framework"):
		// The browsable API shows the answer in JSON, below its status line.
		for _, b := range d.Page.Blocks {
			if i := strings.IndexAny(b.Text, "{["); b.Tag == "pre" && i > 0 && strings.Contains(b.Text[:i], "HTTP ") {
				if answer := newDocument(d.Status, d.Header, b.Text[i:]); answer.JSON != nil {
					return Finding{Instead: answer}, true
				}
			}
		}
	case technical && d.Status == 404:
		return Finding{Message: "Page not found"}, true
	case technical:
		// "ValueError at /path": the exception, never for clients.
		return Finding{}, true
	}
	return Finding{}, false
}}
