package request

import (
	"io"
	"net/http"

	"github.com/ainative/portcullis/plugins/auth"
	"github.com/ainative/portcullis/plugins/ratelimit"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// FinalHeader sets what every final response carries, in place of what the
// upstream may have sent: the request id, the cost and the limits, the time.
func (x *Exchange) FinalHeader(h http.Header) {
	if x.RequestID != "" {
		if x.idLine == nil {
			x.idLine = []string{x.RequestID}
		}
		// An upstream's own is replaced. A second response, in handle_errors, gets a
		// line of its own.
		h[auth.HeaderRequestID], x.idLine = x.idLine, nil
	}
	if x.cost != nil {
		x.settleCosts(h)
	}
	x.LimitHeaders(h)
	x.TimingHeader(h)
	if x.Origin != nil {
		x.Origin.SetHeader(h)
	} else {
		oneOrigin(h)
	}
}

// Show makes a decision the one that the client is told of.
func (x *Exchange) Show(p *ratelimit.Policy, d *ratelimit.Decision, mode ratelimit.HeaderMode) {
	x.shown++
	x.policy, x.decision, x.headerMode = p, *d, mode
}

// LimitHeaders tells the client of the last limit, in place of what the upstream
// may have said of its own.
func (x *Exchange) LimitHeaders(h http.Header) {
	if x.policy == nil {
		return
	}
	ratelimit.RemoveHeaders(h)
	ratelimit.SetHeaders(h, x.policy, &x.decision, x.headerMode)
}

// singleCORS are the CORS headers that browsers take one value of; more than one is
// refused as if there were none (https://fetch.spec.whatwg.org/#cors-check).
var singleCORS = []string{"Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Access-Control-Max-Age"}

// oneOrigin leaves one value where both the site's `header` and the upstream have
// set one: the first, which is the site's.
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

// headerWriter sets the final header of a response where no gateway_errors does.
type headerWriter struct {
	caddyhttp.ResponseWriterWrapper
	x *Exchange
	// sent says that the final header is out.
	sent bool
}

// FinishHeader returns a writer that sets the final header of the response, or w where
// one does so already.
func (x *Exchange) FinishHeader(w http.ResponseWriter) http.ResponseWriter {
	if x.Wrapped {
		return w
	}
	x.Wrapped = true
	return &headerWriter{ResponseWriterWrapper: caddyhttp.ResponseWriterWrapper{ResponseWriter: w}, x: x}
}

// WriteHeader sets the header of the first final status. Informational responses pass.
func (w *headerWriter) WriteHeader(status int) {
	informational := status >= 100 && status < 200 && status != http.StatusSwitchingProtocols
	if !informational && !w.sent {
		w.sent = true
		w.x.FinalHeader(w.Header())
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
