package errorhandler

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/ainative/portcullis/caddymodule/internal/slab"
	"github.com/ainative/portcullis/caddymodule/request"
	"github.com/ainative/portcullis/caddymodule/sitehandler"
)

// responseWriter stands between the handlers and the client. A response below
// 400 goes through it untouched and unbuffered, flushes and trailers too. From
// 400 up it holds the body back, up to a bound, for gateway_errors to translate.
//
// It has Unwrap for http.ResponseController, and overrides the methods that would bypass
// it: ReadFrom and FlushError commit the header, and after Hijack nothing may be written.
type responseWriter struct {
	caddyhttp.ResponseWriterWrapper

	x       *request.Exchange
	maxBody int64
	// errors answers request as soon as a body is known to be too large; nil where
	// nothing is held back.
	errors  *Errors
	request *http.Request

	// shadow lets errors pass and keeps a copy of their bodies.
	shadow bool

	// status of the response; 0 until a handler gives one.
	status int
	mode   writerMode
	// body is the part that was held back, at most maxBody bytes; truncated says that
	// there was more.
	body      *bytes.Buffer
	truncated bool
	// watch bounds how long a body is held back.
	watch bodyWatch
	// drained counts the bytes that were read after the answer and dropped.
	drained int64
}

// writerMode is the state of a response.
type writerMode uint8

const (
	// nothingYet: no final status was given.
	nothingYet writerMode = iota
	// passing: the response goes to the client as it is.
	passing
	// holding: the status is an error and the body is held back.
	holding
	// draining: the answer was sent, and the rest of the upstream's body is read and
	// dropped.
	draining
	// hijacked: a handler has taken over the connection.
	hijacked
)

// maxDrain is how much of a too large body is read after the answer, in bytes, so that
// the connection can be used again. Beyond it a new connection is cheaper, and a body may
// have no end.
const maxDrain = 64 << 20

// errDrained stops the handler that copies a body larger than maxDrain.
var errDrained = errors.New("an error body is too large to be drained")

var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// keepBuffer is the largest buffer that goes back into the pool, in bytes.
const keepBuffer = 64 << 10

// writers has a writer for each request. None is used twice: a handler that outlives its
// request must not reach the response of another.
var writers slab.Slab[responseWriter]

// wrap returns a writer around w.
func wrap(w http.ResponseWriter, x *request.Exchange, maxBody int64) *responseWriter {
	rw := writers.New()
	rw.ResponseWriter, rw.x, rw.maxBody = w, x, maxBody
	x.HasHeaderWriter = true
	return rw
}

// release returns the buffer to the pool and forgets the response. The writer must not
// be used after that.
func (w *responseWriter) release(r *http.Request) {
	w.watch.stop()
	if w.mode != hijacked && r.Method != http.MethodConnect {
		// Writers share an allocation, so that this one may outlive its request. It must
		// not keep the connection alive. A handler that has hijacked may still copy.
		w.ResponseWriter = closedWriter{}
	}
	w.errors, w.request = nil, nil
	w.free()
}

// free returns the buffer to the pool.
func (w *responseWriter) free() {
	if w.body != nil && w.body.Cap() <= keepBuffer {
		w.body.Reset()
		bodies.Put(w.body)
	}
	w.body = nil
}

// closedWriter is the response of a request that is over.
type closedWriter struct{}

var errClosed = errors.New("the request is over")

func (closedWriter) Header() http.Header       { return http.Header{} }
func (closedWriter) Write([]byte) (int, error) { return 0, errClosed }
func (closedWriter) WriteHeader(int)           {}

// finalHeader sets the headers of every final response.
func (w *responseWriter) finalHeader(h http.Header) {
	w.x.SetFinalHeader(h)
	if w.watch.connectionSpent() {
		h["Connection"] = []string{"close"}
	}
}

// WriteHeader passes on a response below 400, and holds back one from 400 up.
// Informational responses pass.
func (w *responseWriter) WriteHeader(status int) {
	if w.mode != nothingYet {
		return
	}
	if status >= 100 && status < 200 && status != http.StatusSwitchingProtocols {
		w.ResponseWriter.WriteHeader(status)
		return
	}
	w.status = status
	h := w.Header()
	if status/100 == 3 && w.request != nil {
		sitehandler.KeepHost(w.request, h)
	}
	if status < 400 || w.shadow || w.x.Answered || untouchable(h) {
		w.finalHeader(h)
		w.mode = passing
		w.ResponseWriter.WriteHeader(status)
		return
	}
	// The final header is set with the answer, which first reads the upstream's headers
	// about its own limits.
	w.mode = holding
	w.x.SetTimingHeader(h)
	w.watch.start(w.ResponseWriter)
}

// untouchable reports whether a response is a stream that must not be held back
// whatever its status: server-sent events may never end, and gRPC keeps its
// errors in trailers.
func untouchable(h http.Header) bool {
	contentType := h.Get("Content-Type")
	return hasMediaType(contentType, "text/event-stream") || strings.HasPrefix(contentType, "application/grpc") ||
		caddyhttp.IsIncremental(h)
}

func hasMediaType(contentType, want string) bool {
	mediaType, _, _ := strings.Cut(contentType, ";")
	return strings.EqualFold(strings.TrimSpace(mediaType), want)
}

func (w *responseWriter) Write(p []byte) (int, error) {
	if w.mode == nothingYet {
		w.WriteHeader(http.StatusOK)
	}
	switch w.mode {
	case holding:
		w.watch.extend()
		w.hold(p)
		return len(p), nil
	case draining:
		w.watch.extend()
		if w.drained += int64(len(p)); w.drained > maxDrain {
			return 0, errDrained
		}
		return len(p), nil
	}
	if w.shadow && w.status >= 400 {
		w.hold(p)
	}
	return w.ResponseWriter.Write(p)
}

// hold keeps p as far as the bound allows. A body is replaced whole or not at all, never
// cut: one that is too large is answered at once, and the rest is dropped.
func (w *responseWriter) hold(p []byte) {
	if w.body == nil {
		w.body = bodies.Get().(*bytes.Buffer)
	}
	room := w.maxBody - int64(w.body.Len())
	if int64(len(p)) > room {
		w.truncated = true
		p = p[:max(room, 0)]
	}
	w.body.Write(p)
	if w.truncated && w.errors != nil && w.mode == holding {
		w.errors.answerUpstream(w, w.request)
		w.mode = draining
		w.free()
		_ = http.NewResponseController(w.ResponseWriter).Flush()
	}
}

// ReadFrom lets sendfile and splice work for a response that passes.
func (w *responseWriter) ReadFrom(r io.Reader) (int64, error) {
	if w.mode == nothingYet {
		w.WriteHeader(http.StatusOK)
	}
	if w.mode != holding && w.mode != draining && (!w.shadow || w.status < 400) {
		return w.ResponseWriterWrapper.ReadFrom(r)
	}
	return io.Copy(writerOnly{w}, r)
}

// writerOnly hides ReadFrom from io.Copy.
type writerOnly struct{ io.Writer }

// FlushError flushes a response that passes. It does not flush a held one: that would
// commit the status before the body is known.
func (w *responseWriter) FlushError() error {
	if w.mode == nothingYet {
		w.WriteHeader(http.StatusOK)
	}
	if w.mode == holding || w.mode == draining {
		return nil
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Flush is FlushError for handlers that know only http.Flusher.
func (w *responseWriter) Flush() { _ = w.FlushError() }

// Hijack hands over the connection.
func (w *responseWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil {
		w.mode = hijacked
	}
	return conn, rw, err
}

// heldBody is the part of the body that was held back.
func (w *responseWriter) heldBody() []byte {
	if w.body == nil {
		return nil
	}
	return w.body.Bytes()
}

// Interface guards.
var (
	_ http.ResponseWriter             = (*responseWriter)(nil)
	_ http.Flusher                    = (*responseWriter)(nil)
	_ http.Hijacker                   = (*responseWriter)(nil)
	_ http.Pusher                     = (*responseWriter)(nil)
	_ io.ReaderFrom                   = (*responseWriter)(nil)
	_ interface{ FlushError() error } = (*responseWriter)(nil)
	_ interface {
		Unwrap() http.ResponseWriter
	} = (*responseWriter)(nil)
)
