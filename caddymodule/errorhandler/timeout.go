package errorhandler

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"
)

// How long to wait for an error body by default.
const (
	defaultBodyIdle  = time.Second
	defaultBodyTotal = 5 * time.Second
)

// bodyWatch bounds how long an error body is held back. Without it, an upstream whose
// body never ends would keep the status from the client. When the time is up, bodyWatch
// ends the request to the upstream; the handler then returns, and the answer is sent
// without the body. A response that is not held back has no timer.
type bodyWatch struct {
	idle, total time.Duration
	// cancel ends the request to the upstream; nil where endRequest has to.
	cancel context.CancelFunc
	// timer runs while a body is held back or drained, until end at the latest.
	timer *time.Timer
	end   time.Time
	// over says that the time is up. The timer sets it.
	over atomic.Bool
}

// arm prepares the watch of a request. It gives the request a context to cancel, where
// there is no other way to end it.
func (b *bodyWatch) arm(r *http.Request, idle, total time.Duration) {
	b.idle, b.total = idle, total
	if r.ProtoMajor == 1 && r.ContentLength == 0 {
		// endRequest can end it. Most requests are like this, and cost nothing here.
		return
	}
	outer := r.Context()
	var inner context.Context
	inner, b.cancel = context.WithCancel(outer) //nolint:gosec // outer is the request's context: net/http cancels it, and this one with it, when the request ends
	// In place, since placeholders are bound to this request. It is not undone: the
	// proxy's goroutine may read the request's fields after its handler has returned.
	*r = *r.WithContext(inner)
}

// start begins to wait for the body of the response to w.
func (b *bodyWatch) start(w http.ResponseWriter) {
	if b.total == 0 {
		return
	}
	b.end = time.Now().Add(b.total)
	cancel := b.cancel
	b.timer = time.AfterFunc(min(b.idle, b.total), func() {
		b.over.Store(true)
		if cancel != nil {
			cancel()
			return
		}
		endRequest(w)
	})
}

// extend gives the next part of the body its time, when one has come.
func (b *bodyWatch) extend() {
	if b.timer != nil && !b.over.Load() {
		b.timer.Reset(max(0, min(b.idle, time.Until(b.end))))
	}
}

// stop ends the waiting. After that, over does not change.
func (b *bodyWatch) stop() {
	if b.timer != nil {
		if !b.timer.Stop() {
			b.over.Store(true)
		}
		b.timer = nil
	}
}

// connectionSpent reports whether endRequest has made the client's connection useless for
// further requests.
func (b *bodyWatch) connectionSpent() bool { return b.cancel == nil && b.over.Load() }

// endRequest cancels the context of an HTTP/1 request without a body. net/http reads
// from its connection in the background to notice when it closes, and treats a deadline
// that has passed in the same way. The connection can't be used after that.
func endRequest(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0))
}
