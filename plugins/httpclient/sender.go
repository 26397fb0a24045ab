package httpclient

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// bodyBuffer is how much of a streamed body is read at a time.
const bodyBuffer = 32 << 10

// bodyBuffers are those of senders. They live as long as the process.
var bodyBuffers = sync.Pool{New: func() any { return new([bodyBuffer]byte) }}

// lateResponse is how long a response is waited for once the upstream has stopped
// reading the request: it may have said why before it hung up.
const lateResponse = time.Second

// lateSender is how long the end of a response waits for the end of its request.
const lateSender = 50 * time.Millisecond

// sender streams a request's body while the response is read.
type sender struct {
	conn    *conn
	body    io.Reader
	length  int64 // < 0: in chunks
	trailer func() http.Header
	timeout time.Duration // for the response's header, from when the body is sent

	answered atomic.Bool   // the response's header was read: no deadline is set any more
	ending   atomic.Bool   // the last write has begun
	done     chan struct{} // closed when run has ended
	// Valid once done is closed.
	err    error
	unread bool // err is of the body, not of the connection
}

// run sends the body and says how it ended. A body that can't be read closes the
// connection: the upstream must not take what came for all of it.
func (s *sender) run() {
	s.err = s.send()
	closes := s.unread || errors.Is(s.err, os.ErrDeadlineExceeded)
	wait := s.timeout
	if s.err != nil {
		wait = lateResponse
	}
	if !closes && wait > 0 && !s.answered.Load() {
		_ = s.conn.SetReadDeadline(time.Now().Add(wait))
		if s.answered.Load() {
			_ = s.conn.SetReadDeadline(time.Time{})
		}
	}
	close(s.done)
	if closes {
		_ = s.conn.Close()
	}
}

func (s *sender) send() error {
	array := bodyBuffers.Get().(*[bodyBuffer]byte) //nolint:forcetypeassert // the pool holds nothing else
	defer bodyBuffers.Put(array)
	if s.length < 0 {
		return s.sendChunks(array[:])
	}
	for left := s.length; left > 0; {
		n, err := s.body.Read(array[:min(left, bodyBuffer)])
		left -= int64(n)
		if n > 0 {
			s.ending.Store(left == 0)
			if _, err := s.conn.Write(array[:n]); err != nil {
				return err
			}
		}
		if err != nil && left > 0 {
			s.unread = true
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}

// sendChunks writes each piece that the body gives as a chunk, in one write.
func (s *sender) sendChunks(buffer []byte) error {
	const before, after = len("7fff\r\n"), len("\r\n")
	for {
		n, err := s.body.Read(buffer[before : len(buffer)-after])
		if n > 0 {
			size := strconv.AppendInt(make([]byte, 0, before), int64(n), 16)
			size = append(size, "\r\n"...)
			start := before - len(size)
			copy(buffer[start:], size)
			end := before + n
			end += copy(buffer[end:], "\r\n")
			if _, err := s.conn.Write(buffer[start:end]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			s.unread = true
			return err
		}
	}
	last := append(buffer[:0], "0\r\n"...)
	if s.trailer != nil {
		for name, values := range s.trailer() {
			for _, value := range values {
				if trailerAllowed(http.CanonicalHeaderKey(name)) && valid(value, isFieldValue) {
					last = appendField(last, name, value)
				}
			}
		}
	}
	s.ending.Store(true)
	_, err := s.conn.Write(append(last, "\r\n"...))
	return err
}

// sent tells whether all of the body is on the wire. If its end is near it waits
// for it a little.
func (s *sender) sent() bool {
	select {
	case <-s.done:
		return s.err == nil
	default:
	}
	if !s.ending.Load() {
		return false
	}
	timer := time.NewTimer(lateSender)
	defer timer.Stop()
	select {
	case <-s.done:
		return s.err == nil
	case <-timer.C:
		return false
	}
}

// bodyError returns why the body could not be read, or nil.
func (s *sender) bodyError() error {
	select {
	case <-s.done:
		if s.unread {
			return s.err
		}
	default:
	}
	return nil
}
