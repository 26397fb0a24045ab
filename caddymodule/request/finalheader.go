package request

import (
	"io"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/ainative/portcullis/plugins/auth"
	"github.com/ainative/portcullis/plugins/ratelimit"
)

// SetFinalHeader sets the headers of every final response: the request id, the limits and
// Server-Timing. It replaces those that the upstream sent.
func (x *Exchange) SetFinalHeader(h http.Header) {
	if x.RequestID != "" {
		if x.idLine == nil {
			x.idLine = []string{x.RequestID}
		}
		// A second response, in handle_errors, gets a line of its own.
		h[auth.HeaderRequestID], x.idLine = x.idLine, nil
	}
	if x.cost != nil {
		x.settleCosts(h)
	}
	x.SetLimitHeaders(h)
	x.SetTimingHeader(h)
	x.keepPrivate(h)
	if x.Origin != nil {
		x.Origin.SetHeader(h)
	} else {
		oneOrigin(h)
	}
}

// keepPrivate says that an answer to a caller with a key is for that caller alone, where
// the upstream says nothing. Shared caches know this of Authorization (RFC 9111 section
// 3.5) and of no other header.
func (x *Exchange) keepPrivate(h http.Header) {
	if x.Principal != nil && x.CredentialIn != "" && x.CredentialIn != "Authorization" && len(h["Cache-Control"]) == 0 {
		h["Cache-Control"] = []string{"private"}
	}
}

// ShowLimits sets the decision whose limits the client is shown.
func (x *Exchange) ShowLimits(p *ratelimit.Policy, d *ratelimit.Decision, mode ratelimit.HeaderMode) {
	x.shown++
	x.policy, x.decision, x.headerMode = p, *d, mode
}

// SetLimitHeaders sets the headers of the decision that is shown. It replaces those that
// the upstream sent about its own limits.
func (x *Exchange) SetLimitHeaders(h http.Header) {
	if x.policy == nil {
		return
	}
	ratelimit.RemoveHeaders(h)
	ratelimit.SetHeaders(h, x.policy, &x.decision, x.headerMode)
}

// singleCORS are the CORS headers with one value. Browsers treat a second value as if
// the header were missing (https://fetch.spec.whatwg.org/#cors-check).
var singleCORS = []string{"Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Access-Control-Max-Age"}

// oneOrigin removes the upstream's CORS values where the site's `header` has set its own,
// which come first.
func oneOrigin(h http.Header) {
	if len(h[singleCORS[0]]) < 2 {
		return
	}
	for _, name := range singleCORS {
		if v := h[name]; len(v) > 1 {
			h[name] = v[:1:1]
		}
	}
}

// headerWriter sets the final header of a response on a route without gateway_errors.
type headerWriter struct {
	caddyhttp.ResponseWriterWrapper
	x *Exchange
	// sent says that the final header was sent.
	sent bool
}

// HeaderWriter returns a writer that sets the final header of the response, or w where
// one does so already.
func (x *Exchange) HeaderWriter(w http.ResponseWriter) http.ResponseWriter {
	if x.HasHeaderWriter {
		return w
	}
	x.HasHeaderWriter = true
	return &headerWriter{ResponseWriterWrapper: caddyhttp.ResponseWriterWrapper{ResponseWriter: w}, x: x}
}

// WriteHeader sets the header of the first final status. Informational responses pass.
func (w *headerWriter) WriteHeader(status int) {
	informational := status >= 100 && status < 200 && status != http.StatusSwitchingProtocols
	if !informational && !w.sent {
		w.sent = true
		w.x.SetFinalHeader(w.Header())
	}
	w.ResponseWriter.WriteHeader(status)
}

// commit sends the header if that is not done.
func (w *headerWriter) commit() {
	if !w.sent {
		w.WriteHeader(http.StatusOK)
	}
}

func (w *headerWriter) Write(p []byte) (int, error) {
	w.commit()
	return w.ResponseWriter.Write(p)
}

// ReadFrom lets sendfile and splice work.
func (w *headerWriter) ReadFrom(r io.Reader) (int64, error) {
	w.commit()
	return w.ResponseWriterWrapper.ReadFrom(r)
}

// FlushError flushes, after the header.
func (w *headerWriter) FlushError() error {
	w.commit()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Flush is FlushError for handlers that know only http.Flusher.
func (w *headerWriter) Flush() { _ = w.FlushError() }
