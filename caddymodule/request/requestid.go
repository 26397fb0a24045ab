package request

import (
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/ainative/portcullis/plugins/auth"
)

// maxRequestID is the longest request id that is taken from a trusted proxy, in bytes.
const maxRequestID = 128

// EnsureRequestID gives the request an id where gateway_errors has not.
func (x *Exchange) EnsureRequestID(r *http.Request) {
	if x.RequestID != "" {
		return
	}
	if x.RequestID = trustedRequestID(r); x.RequestID == "" {
		locked := arenas.Lock()
		defer locked.Unlock()
		x.RequestID = locked.State.id(time.Now())
	}
}

// trustedRequestID is the id that a trusted proxy sent with the request, if it is well
// formed, else empty. A client's own id is never kept: it could repeat another client's,
// or forge log lines.
func trustedRequestID(r *http.Request) string {
	sent := r.Header[auth.HeaderRequestID]
	if len(sent) == 1 && wellFormedID(sent[0]) {
		if trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool); trusted {
			return sent[0]
		}
	}
	return ""
}

// wellFormedID reports whether an id is short and has only characters that are safe in a
// header and a log line.
func wellFormedID(id string) bool {
	if id == "" || len(id) > maxRequestID {
		return false
	}
	for i := range len(id) {
		switch c := id[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '-', c == '_', c == '.', c == ':', c == '+', c == '/', c == '=':
		default:
			return false
		}
	}
	return true
}
