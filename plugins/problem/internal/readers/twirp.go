package readers

import "github.com/ainative/portcullis/plugins/problem/internal/reading"

// twirpReader reads {"code": "invalid_argument", "msg": "name is required", "meta": {"argument": "name"}}.
var twirpReader = reader{"twirp", func(d *reading.Document) (reading.Finding, bool) {
	if !rpcCodes[d.JSON.Text("code")] || !d.JSON.Has("msg") {
		return reading.Finding{}, false
	}
	return reading.Finding{Message: firstTelling(d.JSON.Text("msg"), d.JSON.Text("code"))}, true
}}
