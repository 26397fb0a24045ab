package problem

import (
	"net/url"
	"regexp"
)

// formReader reads application/x-www-form-urlencoded, as older OAuth servers
// answer: error=invalid_grant&error_description=...
var formReader = reader{"form", func(d *Document) (Finding, bool) {
	if len(d.Text) > 8192 || !formBody.MatchString(d.Text) {
		return Finding{}, false
	}
	values, err := url.ParseQuery(d.Text)
	if err != nil {
		return Finding{}, false
	}
	for _, key := range []string{"error_description", "message", "detail", "error", "oauth_problem_advice", "oauth_problem"} {
		if s := values.Get(key); !isBlank(s) {
			return Finding{Message: s}, true
		}
	}
	return Finding{}, false
}}

var formBody = regexp.MustCompile(`^\w+=[^\s&=<>{}]*(?:&\w+=[^\s&=<>{}]*)*$`)
