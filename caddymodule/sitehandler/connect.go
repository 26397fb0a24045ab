package sitehandler

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// acceptExtendedConnect turns a WebSocket request over HTTP/2 or HTTP/3 (RFC 8441,
// RFC 9220) into the handshake of HTTP/1.1. Caddy's reverse_proxy does the same later;
// done here, a policy with a matcher for GET sees the request that the upstream gets.
// Other extended CONNECT requests stay unchanged.
func acceptExtendedConnect(r *http.Request) {
	if r.Method != http.MethodConnect ||
		(r.ProtoMajor != 2 || r.Header.Get(":protocol") != "websocket") && (r.ProtoMajor != 3 || r.Proto != "websocket") {
		return
	}
	var key [16]byte
	_, _ = rand.Read(key[:]) // never fails
	delete(r.Header, ":protocol")
	// The proxy finds the stream by this name when the upstream has accepted.
	caddyhttp.SetVar(r.Context(), "extended_connect_websocket_body", r.Body)
	r.Body, r.ContentLength, r.Method = http.NoBody, 0, http.MethodGet
	r.Header["Upgrade"] = []string{"websocket"}
	r.Header["Connection"] = []string{"Upgrade"}
	r.Header["Sec-Websocket-Key"] = []string{base64.StdEncoding.EncodeToString(key[:])}
	if len(r.Header["Sec-Websocket-Version"]) == 0 {
		r.Header["Sec-Websocket-Version"] = []string{"13"}
	}
}
