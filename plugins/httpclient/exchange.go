package httpclient

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

// Exchange is one request and its response. It is made by NewExchange, filled by
// Start, Field and Body, carried out by Do, read by Next, and ended by Finish and
// Free. It is for one goroutine.
type Exchange struct {
	Response

	// The request.
	out     []byte
	method  string
	refused error // why it must not be sent
	body    io.Reader
	length  int64
	trailer func() http.Header
	hasBody bool
	begun   bool // the body was read from
	small   bool // the whole body is in out

	// The connection in use.
	pool    *Pool
	conn    *conn
	entered bool
	sender  *sender

	large []byte // for bodies that do not fit into the connection's buffer
}

// exchanges are kept for their buffers. They live as long as the process.
var exchanges = sync.Pool{New: func() any { return new(Exchange) }}

// NewExchange returns an empty exchange. Free gives it back.
func NewExchange() *Exchange {
	x := exchanges.Get().(*Exchange) //nolint:forcetypeassert // the pool holds nothing else
	return x
}

// Free ends the exchange. A connection whose response was not read to its end, or
// for which Finish was not called, is closed.
func (x *Exchange) Free() {
	x.drop()
	if cap(x.out) > maxKeptRequest {
		x.out = nil
	}
	fields := x.Fields[:0]
	clear(fields[:cap(fields)])
	*x = Exchange{out: x.out[:0], large: x.large, Response: Response{Fields: fields, lines: x.lines[:0]}}
	exchanges.Put(x)
}

// drop closes the connection in use.
func (x *Exchange) drop() {
	if x.conn != nil {
		x.pool.unwatch(x.conn)
		_ = x.conn.Close()
		x.conn = nil
	}
	if x.entered {
		x.entered = false
		x.pool.leave()
	}
}

// Informational is told of each response with a status from 100 to 199; the
// exchange's Response has it while it is called.
type Informational interface{ Informational() }

// Do sends the request and reads the header of the response. informational may be
// nil.
//
// When ctx ends, Do returns its cause, and the connection is closed; that holds for
// Next too, until Finish. A request is sent a second time in two cases: nothing of
// it was written, because the upstream had closed an idle connection; or it was
// written to an idle connection that broke before the first byte of a response,
// and it is a GET, HEAD, OPTIONS or TRACE without a body.
func (x *Exchange) Do(ctx context.Context, pool *Pool, informational Informational) error {
	if x.refused != nil {
		return x.refused
	}
	x.out = append(x.out, "\r\n"...)
	x.hasBody = x.body != nil
	if err := pool.enter(ctx); err != nil {
		return err
	}
	x.pool, x.entered = pool, true

	fresh := false // an idle connection has broken: use no other
	for {
		if err := x.connect(ctx, fresh); err != nil {
			x.drop()
			return Failure(ctx, err)
		}
		if x.body != nil && x.length > 0 && x.length <= smallBody {
			// Not before there is a connection: without one another upstream may be
			// tried, which needs the body.
			if err := x.readSmallBody(); err != nil {
				x.drop()
				return Failure(ctx, err)
			}
		}
		reused := x.conn.reused
		err := x.try(ctx, informational)
		if err == nil {
			return nil
		}
		written := x.conn.written
		canceled := !pool.unwatch(x.conn) || ctx.Err() != nil
		_ = x.conn.Close()
		x.conn = nil
		if canceled {
			x.drop()
			return context.Cause(ctx)
		}
		var broke brokenError
		switch {
		case errors.Is(err, errStale):
			// Nothing was written. The next idle one may be good.
			continue
		case reused && errors.As(err, &broke) && (!x.begun || x.small) && (written == 0 || x.replayable()):
			fresh = true
			continue
		}
		x.drop()
		return x.failure(err)
	}
}

// BodyRead tells whether a part of the request's body was read. The request can't be
// sent again then.
func (x *Exchange) BodyRead() bool { return x.begun }

// HasBody tells whether the response has a body, which may be empty still.
func (x *Exchange) HasBody() bool { return x.framing != noBody }

// brokenError is a connection that broke before the first byte of a response.
type brokenError struct{ error }

// failure is err as callers see it.
func (x *Exchange) failure(err error) error {
	if x.sender != nil {
		if err := x.sender.bodyError(); err != nil {
			return err
		}
	}
	if broke, ok := errors.AsType[brokenError](err); ok {
		err = broke.error
	}
	if _, ok := err.(timeoutError); ok { //nolint:errorlint // it is never wrapped: callers ask the same way
		return err
	}
	return ExchangeError{err}
}

// readSmallBody puts the body behind the header. It may be sent again then.
func (x *Exchange) readSmallBody() error {
	x.small, x.begun = true, true
	head := len(x.out)
	x.out = append(x.out, make([]byte, x.length)...)
	if _, err := io.ReadFull(x.body, x.out[head:]); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	x.body = nil
	return nil
}

// connect gets a connection that closes when ctx ends.
func (x *Exchange) connect(ctx context.Context, fresh bool) (err error) {
	if !fresh {
		if x.conn = x.pool.take(ctx); x.conn != nil {
			return nil
		}
	}
	x.conn, err = x.pool.dial(ctx)
	return err
}

// try carries out the exchange on the connection, up to the response's header.
func (x *Exchange) try(ctx context.Context, informational Informational) error {
	c, config := x.conn, &x.pool.config
	var sent func()
	switch {
	case x.body != nil:
		x.sender = &sender{
			conn: c, body: x.body, length: x.length, trailer: x.trailer,
			timeout: config.HeaderTimeout, done: make(chan struct{}),
		}
		sent = func() {
			x.begun = true
			go x.sender.run()
		}
	case config.HeaderTimeout > 0:
		sent = func() { x.setDeadline() }
	}
	timed := config.HeaderTimeout > 0 || config.ReadTimeout > 0
	if timed {
		x.setDeadline()
	}
	if err := c.begin(x.out, sent); err != nil {
		if errors.Is(err, errStale) {
			return err
		}
		return brokenError{x.timeout(err, true)}
	}
	for {
		if err := x.readHead(c, config.MaxHeader); err != nil {
			return x.timeout(err, false)
		}
		if x.Status >= 200 {
			break
		}
		if x.Status == http.StatusSwitchingProtocols {
			return malformed("status 101 without a request to switch protocols")
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if informational != nil {
			informational.Informational()
		}
	}
	if err := x.checkChunk(c); err != nil {
		return err
	}
	if x.sender != nil {
		x.sender.answered.Store(true)
	}
	if timed || x.sender != nil {
		_ = c.SetReadDeadline(time.Time{})
	}
	return nil
}

// setDeadline limits the wait for the response's header.
func (x *Exchange) setDeadline() {
	wait := x.pool.config.HeaderTimeout
	if read := x.pool.config.ReadTimeout; read > 0 && (wait <= 0 || read < wait) {
		wait = read
	}
	if x.sender != nil {
		// The upstream has the time from when it has the body; the sender sets it.
		wait = x.pool.config.ReadTimeout
		if wait <= 0 {
			return
		}
	}
	_ = x.conn.SetReadDeadline(time.Now().Add(wait))
}

// timeout tells waits that took too long from other failures. A ReadTimeout within
// the header is a connection that broke, as with net/http.
func (x *Exchange) timeout(err error, first bool) error {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	header, read := x.pool.config.HeaderTimeout, x.pool.config.ReadTimeout
	switch {
	case header > 0 && (read <= 0 || header <= read):
		return timeoutError("timeout awaiting response headers")
	case first && read > 0:
		return timeoutError("timeout awaiting the first byte of a response")
	}
	return err
}

// Finish gives the connection back for the next exchange if this one ended
// cleanly, and closes it otherwise. What Next returned is not valid any more.
func (x *Exchange) Finish() {
	c := x.conn
	if c == nil {
		return
	}
	clean := x.ended && x.keep && c.r == c.w && (x.sender == nil || x.sender.sent())
	if !clean {
		x.drop()
		return
	}
	if len(c.buffer) > 4*x.pool.config.ReadBuffer {
		c.buffer = make([]byte, x.pool.config.ReadBuffer)
	}
	x.conn = nil
	// Before the next one may take the connection, so that there is never one more
	// than MaxConns: an idle one is taken before any is opened.
	x.pool.put(c)
	x.entered = false
	x.pool.leave()
}
