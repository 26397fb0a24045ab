package edge

import (
	"io"
	"net/http"
	"sync/atomic"
)

// Body is a request body that only the server closes, and that knows whether it was read.
//
// A transport that gets an early answer closes the body of the request that it was
// sending. net/http then takes it for read to its end, also where a middleware
// has wrapped it, and reads what is left as the next request. So Close only stops
// reading here, and the server drains what is left, bounded, or closes the
// connection.
type Body struct {
	src io.ReadCloser
	// trailer is the map into which the server puts the trailers when the body ends.
	trailer http.Header
	// strip is called on the trailers then.
	strip         func(http.Header)
	begun, closed atomic.Bool
}

// NewBody wraps a request's body. strip removes from the trailers what may not
// pass, those that were not announced included.
func NewBody(r *http.Request, strip func(http.Header)) *Body {
	return &Body{src: r.Body, trailer: r.Trailer, strip: strip}
}

// Begun reports whether anything has tried to read the body.
func (b *Body) Begun() bool { return b.begun.Load() }

// Read reads from the body until Close.
func (b *Body) Read(p []byte) (int, error) {
	if b.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	b.begun.Store(true)
	n, err := b.src.Read(p)
	if err == io.EOF && len(b.trailer) != 0 {
		b.strip(b.trailer)
	}
	return n, err
}

// Close ends reading. The connection stays as it is.
func (b *Body) Close() error {
	b.closed.Store(true)
	return nil
}
