//go:build unix

package httpclient

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// Supported tells whether this system's connections can be used: the client asks
// the socket itself whether an idle connection is still good.
const Supported = true

// conn is a connection to the upstream with what was read from it and not yet used.
type conn struct {
	net.Conn
	raw    syscall.RawConn
	buffer []byte
	r, w   int // what was read and not used is buffer[r:w]
	reused bool
	since  time.Time // when it became idle

	abort func() // Close as a value, made once
	watch watch

	// Of the exchange in hand, for step.
	stepper func(fd uintptr) bool
	out     []byte // nil: only look
	begun   bool
	written int
	sent    func() // called once out is written; may be nil
	err     error
}

func newConn(network net.Conn, buffer int) (*conn, error) {
	source, ok := network.(syscall.Conn)
	if !ok {
		_ = network.Close()
		return nil, fmt.Errorf("dialing: a connection of type %T has no descriptor", network)
	}
	raw, err := source.SyscallConn()
	if err != nil {
		_ = network.Close()
		return nil, fmt.Errorf("dialing: %w", err)
	}
	c := &conn{Conn: network, raw: raw, buffer: make([]byte, buffer)}
	c.stepper = c.step
	c.abort = func() { _ = c.Close() }
	return c, nil
}

// begin writes out, waits and reads the first bytes of the response.
//
// A reused connection is looked at first: if the upstream has closed it, or has
// sent what would be taken for the response to this request, errStale is returned
// and nothing was written. The look costs nothing: a read that finds nothing must
// come before every wait for a socket, and this one comes before the write instead
// of after it. That is safe because step runs inside RawConn.Read, which clears the
// socket's readiness before it calls step: what arrives from then on wakes the wait.
func (c *conn) begin(out []byte, sent func()) error {
	c.r, c.w = 0, 0
	c.out, c.sent, c.begun, c.written, c.err = out, sent, false, 0, nil
	err := c.raw.Read(c.stepper)
	c.out, c.sent = nil, nil
	if c.err != nil {
		return c.err
	}
	return err
}

// step returns true when begin is over. It must not close the connection: Close
// waits for the call that step runs in.
func (c *conn) step(fd uintptr) bool {
	if !c.begun {
		c.begun = true
		if c.reused {
			if _, err := read(fd, c.buffer[:1]); !errors.Is(err, syscall.EAGAIN) {
				c.err = errStale
				return true
			}
		}
		if c.out == nil {
			return true
		}
		c.written, c.err = c.Write(c.out)
		if c.err != nil {
			return true
		}
		if c.sent != nil {
			c.sent()
		}
		return false
	}
	n, err := read(fd, c.buffer)
	switch {
	case errors.Is(err, syscall.EAGAIN):
		return false
	case err != nil:
		c.err = os.NewSyscallError("read", err)
	case n == 0:
		c.err = io.EOF
	default:
		c.w = n
	}
	return true
}

// quiet tells whether an idle connection is open and nothing came on it.
func (c *conn) quiet() bool {
	_ = c.SetReadDeadline(time.Time{})
	return c.begin(nil, nil) == nil
}

func read(fd uintptr, p []byte) (int, error) {
	for {
		n, err := syscall.Read(int(fd), p)
		if !errors.Is(err, syscall.EINTR) {
			return n, err
		}
	}
}

// buffered is what was read and not used.
func (c *conn) buffered() []byte { return c.buffer[c.r:c.w] }

// fill reads more behind what is buffered. It makes room by moving that to the
// front, and by growing the buffer up to limit bytes.
func (c *conn) fill(limit int) error {
	if c.r > 0 {
		c.w = copy(c.buffer, c.buffer[c.r:c.w])
		c.r = 0
	}
	if c.w == len(c.buffer) {
		if c.w >= limit {
			return ErrHeaderTooLarge
		}
		grown := make([]byte, min(2*len(c.buffer), max(limit, len(c.buffer)+1)))
		copy(grown, c.buffer)
		c.buffer = grown
	}
	n, err := c.Read(c.buffer[c.w:])
	c.w += n
	if n > 0 {
		return nil // an error comes again with the next read
	}
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}
