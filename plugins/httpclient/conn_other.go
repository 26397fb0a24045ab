//go:build !unix

package httpclient

import (
	"errors"
	"net"
	"time"
)

// Supported tells whether this system's connections can be used. Here they can't:
// there is no way to ask a socket whether anything came on it.
const Supported = false

type conn struct {
	net.Conn
	buffer  []byte
	r, w    int
	reused  bool
	since   time.Time
	written int
	abort   func()
	watch   watch
}

var errUnsupported = errors.New("this client does not work on this system")

func newConn(network net.Conn, _ int) (*conn, error) {
	_ = network.Close()
	return nil, errUnsupported
}

func (c *conn) begin([]byte, func()) error { return errUnsupported }
func (c *conn) quiet() bool                { return false }
func (c *conn) buffered() []byte           { return c.buffer[c.r:c.w] }
func (c *conn) fill(int) error             { return errUnsupported }
