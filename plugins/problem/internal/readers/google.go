package readers

import (
	"strings"
	"time"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/problem/internal/reading"
)

// googleReader reads google.rpc.Status: bare as grpc-gateway writes it, and
// under "error" as Google's APIs do (https://google.aip.dev/193).
var googleReader = reader{"google", func(d *reading.Document) (reading.Finding, bool) {
	s := d.JSON
	if e := s.Get("error"); e.IsObject() && e.Has("code", "message") && (e.Has("status") || e.Has("details") || e.Has("errors")) {
		s = e
	} else if !s.Has("code", "message") || !s.Get("code").Is(reading.Number) || len(s.Get("code").Str) > 2 {
		return reading.Finding{}, false
	} else {
		for _, key := range s.Keys {
			// Others count their codes too.
			if key != "code" && key != "message" && key != "details" && key != "error" && key != "status" {
				return reading.Finding{}, false
			}
		}
	}
	if !s.Get("code").Is(reading.Number) {
		return reading.Finding{}, false
	}
	f := reading.Finding{Message: s.Text("message")}
	for _, detail := range s.Get("details").Items() {
		// Most details are typed by URL: type.googleapis.com/google.rpc.BadRequest
		f.Fields = append(f.Fields, listedFields(detail.Get("fieldViolations"))...)
		if seconds := goDuration(detail.Text("retryDelay")); seconds > 0 {
			f.RetryAfter = seconds
		}
		if f.Message == "" && strings.HasSuffix(detail.Text("@type"), "LocalizedMessage") {
			f.Message = detail.Text("message")
		}
	}
	if f.Message == "" {
		f.Message = reading.MessageOf(d.Status, s)
	} else if reason := s.Text("reason"); strings.Contains(reason, " ") {
		// Ory writes alike, with a sentence for the reason.
		f.Message = reading.Compose(d.Status, f.Message, reason)
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
