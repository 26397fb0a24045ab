package problem

// twirpReader reads {"code": "invalid_argument", "msg": "name is required", "meta": {"argument": "name"}}.
var twirpReader = reader{"twirp", func(d *Document) (Finding, bool) {
	if !rpcCodes[d.JSON.text("code")] || !d.JSON.has("msg") {
		return Finding{}, false
	}
	f := Finding{Message: d.JSON.text("msg")}
	if isBlank(f.Message) {
		f.Message = d.JSON.text("code")
	}
	return f, true
}}
