// Package httpclient speaks HTTP/1.1 to one upstream for a proxy: it writes a
// request and reads the response on the caller's goroutine, over connections of
// its own pool that cost no goroutine each.
//
// It is strict where a lenient client lets an upstream's response be read in two
// ways: see readHead. What it does not do, it does not do on purpose: TLS, HTTP/2,
// upgrades, redirects, cookies, compression.
//
//	x := httpclient.NewExchange()
//	defer x.Free()
//	x.Start("GET", "/", "example.com")
//	x.Field("Accept", "*/*")
//	err := x.Do(ctx, pool, nil)
//	for { piece, err := x.Next() ... }
//	x.Finish()
package httpclient

import (
	"errors"
	"fmt"
)

// Errors of an exchange. Errors of the dialer are returned as they come.
var (
	// ErrClosed is returned by a pool that was closed.
	ErrClosed = errors.New("connection pool is closed")
	// ErrMalformed is what every breach of HTTP's framing by the upstream wraps.
	ErrMalformed = errors.New("malformed response")
	// ErrHeaderTooLarge is returned when a response's header is larger than the pool allows.
	ErrHeaderTooLarge = errors.New("response header is too large")
	// ErrRequest is what every request that must not be put on the wire wraps.
	ErrRequest = errors.New("invalid request")

	// errStale is a reused connection that the upstream has closed, or on which it
	// has sent what nobody asked for. Nothing was written to it.
	errStale = errors.New("idle connection is stale")
)

func malformed(why string) error { return fmt.Errorf("%w: %s", ErrMalformed, why) }

// timeoutError is a wait that took too long, for a response's header or for its
// first byte. net.Error's Timeout is true for it, and for no other error of an
// exchange.
type timeoutError string

func (e timeoutError) Error() string { return string(e) }
func (timeoutError) Timeout() bool   { return true }
func (timeoutError) Temporary() bool { return true }

// ExchangeError is a connection that broke while a request was written or before
// its response's header was read.
type ExchangeError struct{ cause error }

func (e ExchangeError) Error() string { return "connection to the upstream broke: " + e.cause.Error() }
func (e ExchangeError) Unwrap() error { return e.cause }
