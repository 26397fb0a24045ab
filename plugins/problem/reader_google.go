package problem

import (
	"strings"
	"time"

	"github.com/ainative/portcullis/plugins"
)

// googleReader reads google.rpc.Status: bare as grpc-gateway writes it, and
// under "error" as Google's APIs do (https://google.aip.dev/193).
var googleReader = reader{"google", func(d *Document) (Finding, bool) {
	s := d.JSON
	if e := s.get("error"); e.isObject() && e.has("code", "message") && (e.has("status") || e.has("details") || e.has("errors")) {
		s = e
	} else if !s.has("code", "message") || !s.get("code").is(jsonNumber) || len(s.get("code").str) > 2 {
		return Finding{}, false
	} else {
		for _, key := range s.keys {
			// Others count their codes too.
			if key != "code" && key != "message" && key != "details" && key != "error" && key != "status" {
				return Finding{}, false
			}
		}
	}
	if !s.get("code").is(jsonNumber) {
		return Finding{}, false
	}
	f := Finding{Message: s.text("message")}
	for _, detail := range s.get("details").items() {
		// Most details are typed by URL: type.googleapis.com/google.rpc.BadRequest
		if v := detail.get("fieldViolations"); v.is(jsonArray) {
			f.Fields = append(f.Fields, fieldList(v, nil)...)
		}
		if seconds := goDuration(detail.text("retryDelay")); seconds > 0 {
			f.RetryAfter = seconds
		}
		if f.Message == "" && strings.HasSuffix(detail.text("@type"), "LocalizedMessage") {
			f.Message = detail.text("message")
		}
	}
	if !located(f.Fields) {
		f.Fields = nil
	}
	if f.Message == "" {
		f.Message = messageOf(d.Status, s)
	} else if reason := s.text("reason"); strings.Contains(reason, " ") {
		// Ory writes alike, with a sentence for the reason.
		f.Message = compose(d.Status, f.Message, reason)
	}
	return f, true
}}

// goDuration reads the JSON form of google.protobuf.Duration, "30s" or "1.5s",
// and Go's own, "6m0s", in seconds rounded up.
func goDuration(s string) int {
	if s == "" {
		return 0
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 || d > plugins.MaxRetryAfter {
		return 0
	}
	return plugins.RetrySeconds(d)
}
