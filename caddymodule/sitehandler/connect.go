package sitehandler

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// acceptExtendedConnect turns a WebSocket that was asked for over HTTP/2 or HTTP/3
// (RFC 8441, RFC 9220) into the handshake of HTTP/1.1, as Caddy's reverse_proxy
// does just before it sends the request on: policies with a matcher for GET then
// see what the upstream will see. Other extended CONNECTs stay what they are.
func acceptExtendedConnect(r *http.Request) {
	if r.Method != http.MethodConnect ||
		(r.ProtoMajor != 2 || r.Header.Get(":protocol") != "websocket") && (r.ProtoMajor != 3 || r.Proto != "websocket") {
		return
	}
	var key [16]byte
	_, _ = rand.Read(key[:]) // never fails
	delete(r.Header, ":protocol")
	// By this name the proxy finds the stream when the upstream has agreed.
	caddyhttp.SetVar(r.Context(), "extended_connect_websocket_body", r.Body)
	r.Body, r.ContentLength, r.Method = http.NoBody, 0, http.MethodGet
	r.Header["Upgrade"] = []string{"websocket"}
	r.Header["Connection"] = []string{"Upgrade"}
	r.Header["Sec-Websocket-Key"] = []string{base64.StdEncoding.EncodeToString(key[:])}
	if len(r.Header["Sec-Websocket-Version"]) == 0 {
		r.Header["Sec-Websocket-Version"] = []string{"13"}
	}
}
