package problem

// rpcCodes are the codes of connect (https://connectrpc.com/docs/protocol) and
// of twirp (https://twitchtv.github.io/twirp/docs/spec_v7.html).
var rpcCodes = map[string]bool{
	"canceled": true, "unknown": true, "invalid_argument": true, "malformed": true, "deadline_exceeded": true, "not_found": true,
	"bad_route": true, "already_exists": true, "permission_denied": true, "unauthenticated": true, "resource_exhausted": true,
	"failed_precondition": true, "aborted": true, "out_of_range": true, "unimplemented": true, "internal": true, "unavailable": true,
	"data_loss": true, "dataloss": true,
}

// connectReader reads {"code": "not_found", "message": ..., "details": [{"type", "value", "debug"}]}.
var connectReader = reader{"connect", func(d *Document) (Finding, bool) {
	if !rpcCodes[d.JSON.text("code")] || d.JSON.has("msg") {
		return Finding{}, false
	}
	f := Finding{Message: d.JSON.text("message")}
	for _, detail := range d.JSON.get("details").items() {
		debug := detail.get("debug")
		if v := debug.get("fieldViolations"); v.is(jsonArray) {
			f.Fields = append(f.Fields, fieldList(v, nil)...)
		}
		if v := debug.get("violations"); v.is(jsonArray) {
			f.Fields = append(f.Fields, fieldList(v, nil)...)
		}
		if seconds := goDuration(debug.text("retryDelay")); seconds > 0 {
			f.RetryAfter = seconds
		}
	}
	if !located(f.Fields) {
		f.Fields = nil
	}
	if f.Message == "" {
		f.Message = d.JSON.text("code")
	}
	return f, true
}}
