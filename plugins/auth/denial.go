package auth

import "github.com/ainative/portcullis/plugins"

// The public texts of a refused credential. They never say which check failed.
const (
	DetailCredentials = "Could not validate credentials"
	DetailKey         = "Invalid API key"
)

// DenyToken refuses a token: 401 with the fixed text. The chain adds the
// challenge. Value and bound are for the log and for `explain`, without secrets.
func DenyToken(reason plugins.Reason, value, bound string) *plugins.Denial {
	return &plugins.Denial{Status: 401, Reason: reason, Detail: DetailCredentials, Value: value, Bound: bound}
}

// DenyKey refuses an API key: 401 with the fixed text. The chain adds the challenge.
func DenyKey(reason plugins.Reason, value, bound string) *plugins.Denial {
	return &plugins.Denial{Status: 401, Reason: reason, Detail: DetailKey, Value: value, Bound: bound}
}
