package readers

import "github.com/ainative/portcullis/plugins/problem/internal/reading"

// rpcCodes are the codes of connect (https://connectrpc.com/docs/protocol) and
// of twirp (https://twitchtv.github.io/twirp/docs/spec_v7.html).
var rpcCodes = reading.Words(`
	canceled unknown invalid_argument malformed deadline_exceeded not_found bad_route already_exists permission_denied unauthenticated
	resource_exhausted failed_precondition aborted out_of_range unimplemented internal unavailable data_loss dataloss
`)

// connectReader reads {"code": "not_found", "message": ..., "details": [{"type", "value", "debug"}]}.
var connectReader = reader{"connect", func(d *reading.Document) (reading.Finding, bool) {
	if !rpcCodes[d.JSON.Text("code")] || d.JSON.Has("msg") {
		return reading.Finding{}, false
	}
	f := reading.Finding{Message: d.JSON.Text("message")}
	for _, detail := range d.JSON.Get("details").Items() {
		debug := detail.Get("debug")
		f.Fields = append(f.Fields, listedFields(debug.Get("fieldViolations"))...)
		f.Fields = append(f.Fields, listedFields(debug.Get("violations"))...)
		if seconds := goDuration(debug.Text("retryDelay")); seconds > 0 {
			f.RetryAfter = seconds
		}
	}
	if f.Message == "" {
		f.Message = d.JSON.Text("code")
	}
	return f, true
}}
