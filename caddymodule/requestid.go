package caddymodule

import (
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/google/uuid"

	"github.com/ainative/portcullis/plugins/auth"
)

// maxRequestID bounds a request id that a trusted proxy sends, in bytes.
const maxRequestID = 128

// requestID returns the id of a request: the one that a trusted proxy sent, if
// it is sane, else a new UUIDv7. A client's own is never kept: it could repeat
// another's, or write into our log.
func requestID(r *http.Request) string {
	sent := r.Header[auth.HeaderRequestID]
	if len(sent) == 1 && saneRequestID(sent[0]) {
		if trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool); trusted {
			return sent[0]
		}
	}
	return newRequestID()
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

// newRequestID makes a UUIDv7 (RFC 9562 section 5.7): unique, and sorted by time
// in a log.
func newRequestID() string {
	id, err := uuid.NewV7()
	if err != nil {
		// crypto/rand does not fail on the platforms that Go supports.
		panic("making a request id: " + err.Error())
	}
	return id.String()
}
