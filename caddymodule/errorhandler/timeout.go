package errorhandler

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"
)

// How long an error body is waited for where the configuration does not say.
const (
	defaultBodyIdle  = time.Second
	defaultBodyTotal = 5 * time.Second
)

// bodyWatch bounds how long an error body is held back: an upstream that never ends
// one must not keep the status from the client. When the time is up the request to
// the upstream is ended, so that the handler returns and the answer is given
// without the body. A response that is not held back has no timer.
type bodyWatch struct {
	idle, total time.Duration
	// cancel ends the request to the upstream; nil where endRequest has to.
	cancel context.CancelFunc
	// timer runs while a body is held back or drained, until end at the latest.
	timer *time.Timer
	end   time.Time
	// over says that the time is up. The timer's goroutine sets it.
	over atomic.Bool
}

// arm readies the watch of a request, and gives the request a context that can be
// canceled where there is no other way to end it.
func (b *bodyWatch) arm(r *http.Request, idle, total time.Duration) {
	b.idle, b.total = idle, total
	if r.ProtoMajor == 1 && r.ContentLength == 0 {
		// See endRequest. Most requests are such, and cost nothing here.
		return
	}
	outer := r.Context()
	var inner context.Context
	inner, b.cancel = context.WithCancel(outer) //nolint:gosec // outer is the request's context: net/http cancels it, and this one with it, when the request ends
	// In place, since placeholders are bound to this very request. It stays: the
	// proxy's goroutine may still read the request's fields when its handler has
	// returned, so that they can't be written a second time.
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

// more notes that a part of the body has come.
func (b *bodyWatch) more() {
	if b.timer != nil && !b.over.Load() {
		b.timer.Reset(max(0, min(b.idle, time.Until(b.end))))
	}
}

// stop ends the waiting. After it over does not change any more.
func (b *bodyWatch) stop() {
	if b.timer != nil {
		if !b.timer.Stop() {
			b.over.Store(true)
		}
		b.timer = nil
	}
}

// spent reports whether the client's connection can't be used again.
func (b *bodyWatch) spent() bool { return b.cancel == nil && b.over.Load() }

// endRequest cancels the context of a HTTP/1 request without a body: net/http reads
// from its connection meanwhile, to see it close, and takes a deadline that has
// passed for that. It is then the end of the connection too.
func endRequest(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0))
}
