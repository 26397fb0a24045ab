package readers

import (
	"net/url"
	"regexp"

	"github.com/ainative/portcullis/plugins/problem/internal/reading"
)

// formReader reads application/x-www-form-urlencoded, as older OAuth servers
// answer: error=invalid_grant&error_description=...
var formReader = reader{"form", func(d *reading.Document) (reading.Finding, bool) {
	if len(d.Text) > 8192 || !formBody.MatchString(d.Text) {
		return reading.Finding{}, false
	}
	values, err := url.ParseQuery(d.Text)
	if err != nil {
		return reading.Finding{}, false
	}
	for _, key := range []string{"error_description", "message", "detail", "error", "oauth_problem_advice", "oauth_problem"} {
		if s := values.Get(key); !reading.IsBlank(s) {
			return reading.Finding{Message: s}, true
		}
	}
	return reading.Finding{}, false
}}

var formBody = regexp.MustCompile(`^\w+=[^\s&=<>{}]*(?:&\w+=[^\s&=<>{}]*)*$`)
