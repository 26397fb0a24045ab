package redisgcra

import (
	"context"
	"errors"
	"time"
)

// An Observer is told what the limiter does with Redis, for metrics. Its
// functions may be nil; they are called by many goroutines and must not block.
type Observer struct {
	// OnBreaker is told that the breaker opened or closed, in this order. In a
	// cluster each master has one: it opens with the first and closes with the last.
	OnBreaker func(open bool)
	// OnCall is told how long each call took that a decision waited for, and its
	// error, nil where Redis answered. ErrorKind names the errors.
	OnCall func(took time.Duration, err error)
	// OnFallback is told of each decision that Options.OnFailure made in the place of
	// Redis.
	OnFallback func(policy OnFailure)
}

// Observe makes o the observer, in the place of the one before. It is for a
// limiter that outlives what observes it.
func (l *Limiter) Observe(o Observer) { l.observer.Store(&o) }

// breakerEdge is called by each breaker.
func (l *Limiter) breakerEdge(open bool) {
	l.edges.Lock()
	defer l.edges.Unlock()
	if open {
		l.open++
	} else {
		l.open--
	}
	if open && l.open > 1 || !open && l.open > 0 {
		return
	}
	if o := l.observer.Load(); o != nil && o.OnBreaker != nil {
		o.OnBreaker(open)
	}
}

func (l *Limiter) observeCall(took time.Duration, err error) {
	if o := l.observer.Load(); o != nil && o.OnCall != nil {
		o.OnCall(took, err)
	}
}

func (l *Limiter) observeFallback() {
	if o := l.observer.Load(); o != nil && o.OnFallback != nil {
		o.OnFallback(l.o.OnFailure)
	}
}

// ErrorKinds are what ErrorKind can return.
var ErrorKinds = []string{"timeout", "busy", "reply", "refused", "connection"}

// ErrorKind sorts the error of a call into one of ErrorKinds, or "" for none:
// Redis answered too late, the queue was full, the answer was to another
// question, Redis said no (READONLY, OOM, NOAUTH...), or the way to it failed.
func ErrorKind(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, ErrBusy):
		return "busy"
	case errors.Is(err, ErrReply):
		return "reply"
	case errorCode(err) != "":
		return "refused"
	}
	return "connection"
}
