package request

import (
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/ainative/portcullis/plugins/auth"
)

// maxRequestID bounds a request id that a trusted proxy sends, in bytes.
const maxRequestID = 128

// Identify gives the request its id, if it has none: the one that a trusted proxy
// sent, if it is sane, else a new one.
func (x *Exchange) Identify(r *http.Request) {
	if x.RequestID != "" {
		return
	}
	if x.RequestID = sentRequestID(r); x.RequestID == "" {
		a := takeArena()
		defer a.mu.Unlock()
		x.RequestID = a.id(time.Now())
	}
}

// sentRequestID returns the id that a trusted proxy sent with a request, if it is
// sane, or "". A client's own is never kept: it could repeat another's, or write
// into our log.
func sentRequestID(r *http.Request) string {
	sent := r.Header[auth.HeaderRequestID]
	if len(sent) == 1 && saneRequestID(sent[0]) {
		if trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool); trusted {
			return sent[0]
		}
	}
	return ""
}

func saneRequestID(id string) bool {
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
