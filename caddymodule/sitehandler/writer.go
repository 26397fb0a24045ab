package sitehandler

import (
	"io"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/ainative/portcullis/plugins/edge"
)

// writer notes whether a response was written. If the client waits for 100 Continue and
// gets a response before its body was read, writer closes the connection: net/http would
// wait for the body, which the client need not send, and could mistake the next request
// for it.
type writer struct {
	*caddyhttp.ResponseWriterWrapper
	wrote bool
	// expected is the body of a request with Expect: 100-continue; nil for others.
	expected *edge.Body
}

// closeUnread closes the connection if the body was not read. It is called before the
// header of a final response is sent.
func (w *writer) closeUnread() {
	if w.expected != nil && !w.wrote && !w.expected.Begun() {
		w.Header().Set("Connection", "close")
	}
}

// WriteHeader sends the header.
func (w *writer) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		w.closeUnread()
		w.wrote = true
	}
	w.ResponseWriterWrapper.WriteHeader(status)
}

// Write sends a part of the body.
func (w *writer) Write(p []byte) (int, error) {
	w.closeUnread()
	w.wrote = true
	return w.ResponseWriterWrapper.Write(p)
}

// ReadFrom is Write for a reader. The embedded ReadFrom would bypass Write.
func (w *writer) ReadFrom(r io.Reader) (int64, error) {
	w.closeUnread()
	w.wrote = true
	return w.ResponseWriterWrapper.ReadFrom(r)
}

// FlushError sends buffered data, and the header if it was not sent.
func (w *writer) FlushError() error {
	w.closeUnread()
	w.wrote = true
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Interface guards.
var (
	_ http.ResponseWriter = (*writer)(nil)
	_ io.ReaderFrom       = (*writer)(nil)
)
