package readers

import (
	"strings"

	"github.com/ainative/portcullis/plugins/problem/internal/leak"
	"github.com/ainative/portcullis/plugins/problem/internal/reading"
)

// tomcatReader reads Tomcat's report: "HTTP Status 404 – Not Found" and labelled
// paragraphs, of which Message is the application's and Description the status's.
var tomcatReader = reader{"tomcat", func(d *reading.Document) (reading.Finding, bool) {
	if d.Page == nil || !strings.HasPrefix(d.Page.Title, "HTTP Status ") && !strings.Contains(d.Page.Title, "Apache Tomcat") {
		return reading.Finding{}, false
	}
	var message, description string
	for _, b := range d.Page.Blocks {
		if rest, ok := cutLabel(b.Text, "message"); ok && message == "" {
			message = rest
		}
		if rest, ok := cutLabel(b.Text, "description"); ok && description == "" {
			description = rest
		}
	}
	headline := reading.TrimStatus(d.Status, d.Page.First("h1"))
	if headline == "" {
		headline = reading.TrimStatus(d.Status, d.Page.Title)
	}
	switch {
	case !reading.IsBlank(message) && leak.Of(message) == "":
		headline = reading.Compose(d.Status, headline, message)
	case !reading.IsBlank(description):
		headline = reading.Compose(d.Status, headline, description)
	}
	return reading.Finding{Message: headline}, true
}}

func cutLabel(s, label string) (string, bool) {
	if len(s) < len(label) || !strings.EqualFold(s[:len(label)], label) {
		return "", false
	}
	return strings.TrimSpace(strings.TrimLeft(s[len(label):], ": ")), true
}
