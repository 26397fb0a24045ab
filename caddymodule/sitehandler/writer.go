package sitehandler

import (
	"io"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/ainative/portcullis/plugins/edge"
)

// writer notes whether a response was written. Where a client waits for a
// go-ahead, it closes the connection after a response that nobody has read the
// request's body for: net/http would wait for that body, which the client does
// not send, and it can't tell what comes next on the connection.
type writer struct {
	*caddyhttp.ResponseWriterWrapper
	wrote bool
	// expected is the body of a request with Expect: 100-continue; nil for others.
	expected *edge.Body
}

// closeUnread is called before the header of a final response leaves.
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

// ReadFrom is Write for a reader. The one that is embedded would go past Write.
func (w *writer) ReadFrom(r io.Reader) (int64, error) {
	w.closeUnread()
	w.wrote = true
	return w.ResponseWriterWrapper.ReadFrom(r)
}

// FlushError sends what is held back, and the header if that has not left.
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
