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
	case technical && d.Status == 404:
		return Finding{Message: "Page not found"}, true
	case technical:
		// "ValueError at /path": the exception, never for clients.
		return Finding{}, true
	}
	return Finding{}, false
}}
