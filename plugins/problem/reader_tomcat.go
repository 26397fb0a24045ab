package problem

import "strings"

// tomcatReader reads Tomcat's report: "HTTP Status 404 – Not Found" and labelled
// paragraphs, of which Message is the application's and Description the status's.
var tomcatReader = reader{"tomcat", func(d *Document) (Finding, bool) {
	if d.Page == nil || !strings.HasPrefix(d.Page.Title, "HTTP Status ") && !strings.Contains(d.Page.Title, "Apache Tomcat") {
		return Finding{}, false
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
	headline := trimStatus(d.Status, d.Page.first("h1"))
	if headline == "" {
		headline = trimStatus(d.Status, d.Page.Title)
	}
	switch {
	case !isBlank(message) && leakOf(message) == "":
		headline = compose(d.Status, headline, message)
	case !isBlank(description):
		headline = compose(d.Status, headline, description)
	}
	return Finding{Message: headline}, true
}}

func cutLabel(s, label string) (string, bool) {
	if len(s) < len(label) || !strings.EqualFold(s[:len(label)], label) {
		return "", false
	}
	return strings.TrimSpace(strings.TrimLeft(s[len(label):], ": ")), true
}
