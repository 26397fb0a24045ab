package httpclient

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
)

// largeBuffer is the size of what is read at a time of a large body.
const largeBuffer = 64 << 10

// Next returns the next piece of the body, valid until the next call, or io.EOF
// after the last one. A body that ends too early is io.ErrUnexpectedEOF.
func (x *Exchange) Next() ([]byte, error) {
	if x.ended {
		return nil, io.EOF
	}
	if x.conn == nil {
		return nil, ErrClosed
	}
	piece, err := x.next(x.conn)
	switch {
	case err == nil || errors.Is(err, io.EOF) && x.ended:
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	return piece, err
}

func (x *Exchange) next(c *conn) ([]byte, error) {
	switch x.framing {
	case byLength:
		piece, err := x.take(c)
		x.left -= int64(len(piece))
		x.ended = x.left == 0
		return piece, err
	case byChunks:
		if !x.inChunk || x.left == 0 {
			if err := x.nextChunk(c); err != nil {
				return nil, err
			}
		}
		piece, err := x.take(c)
		x.left -= int64(len(piece))
		return piece, err
	case byClose:
		x.left = largeBuffer
		piece, err := x.take(c)
		if errors.Is(err, io.EOF) {
			x.ended = true
		}
		return piece, err
	case noBody:
	}
	x.ended = true
	return nil, io.EOF
}

// take returns up to x.left bytes: those that are buffered, or else what one read
// gives.
func (x *Exchange) take(c *conn) ([]byte, error) {
	if c.r == c.w {
		if x.left > int64(len(c.buffer)) {
			if x.large == nil {
				x.large = make([]byte, largeBuffer)
			}
			n, err := c.Read(x.large[:min(x.left, largeBuffer)])
			if n > 0 {
				err = nil
			}
			return x.large[:n], err
		}
		if err := c.fill(len(c.buffer)); err != nil {
			return nil, err
		}
	}
	n := int(min(x.left, int64(c.w-c.r)))
	piece := c.buffer[c.r : c.r+n]
	c.r += n
	return piece, nil
}

// nextChunk reads up to the next chunk's data. It returns io.EOF, with x.ended,
// behind the last one.
func (x *Exchange) nextChunk(c *conn) error {
	if x.inChunk {
		for c.w-c.r < 2 {
			if err := c.fill(len(c.buffer)); err != nil {
				return err
			}
		}
		if c.buffer[c.r] != '\r' || c.buffer[c.r+1] != '\n' {
			return malformed("a chunk does not end where it should")
		}
		c.r += 2
		x.inChunk = false
	}
	line, err := x.line(c)
	if err != nil {
		return err
	}
	size, err := parseChunkSize(line)
	if err != nil {
		return err
	}
	if size > 0 {
		x.left, x.inChunk = size, true
		return nil
	}
	if err := x.readTrailer(c); err != nil {
		return err
	}
	x.ended = true
	return io.EOF
}

// checkChunk looks at the first chunk's line if it came together with the header:
// the client has no status yet and can be told of a bad one.
func (x *Exchange) checkChunk(c *conn) error {
	if x.framing != byChunks {
		return nil
	}
	line, _, found := bytes.Cut(c.buffered(), []byte("\n"))
	if !found {
		return nil
	}
	size, found := bytes.CutSuffix(line, []byte("\r"))
	if !found {
		return malformed("a line of the chunked coding ends without CR LF")
	}
	_, err := parseChunkSize(size)
	return err
}

// line returns the next line without its end. It must fit into the buffer.
func (x *Exchange) line(c *conn) ([]byte, error) {
	for {
		buffered := c.buffered()
		end := bytes.IndexByte(buffered, '\n')
		if end < 0 {
			if len(buffered) == len(c.buffer) {
				return nil, malformed("a line of the chunked coding is too long")
			}
			if err := c.fill(len(c.buffer)); err != nil {
				return nil, err
			}
			continue
		}
		if end == 0 || buffered[end-1] != '\r' {
			return nil, malformed("a line of the chunked coding ends without CR LF")
		}
		c.r += end + 1
		return buffered[:end-1], nil
	}
}

// parseChunkSize reads a chunk's first line. Extensions are left out, as RFC 9112,
// section 7.1.1, has it; a carriage return or NUL in one is refused.
func parseChunkSize(line []byte) (int64, error) {
	size, extension, extended := bytes.Cut(line, []byte(";"))
	if extended {
		size = bytes.TrimRight(size, " \t")
		if bytes.IndexByte(extension, '\r') >= 0 || bytes.IndexByte(extension, 0) >= 0 {
			return 0, malformed("a control character in a chunk extension")
		}
	}
	// 15 digits are 60 bits.
	if len(size) == 0 || len(size) > 15 {
		return 0, malformed("a chunk size that is none")
	}
	var n int64
	for _, b := range size {
		switch {
		case '0' <= b && b <= '9':
			b -= '0'
		case 'a' <= b && b <= 'f':
			b -= 'a' - 10
		case 'A' <= b && b <= 'F':
			b -= 'A' - 10
		default:
			return 0, malformed("a chunk size that is none")
		}
		n = n<<4 | int64(b)
	}
	return n, nil
}

// readTrailer reads what stands behind the last chunk.
func (x *Exchange) readTrailer(c *conn) error {
	for total := 0; ; {
		line, err := x.line(c)
		if err != nil {
			return err
		}
		if len(line) == 0 {
			return nil
		}
		if total += len(line); total > x.pool.config.MaxHeader {
			return ErrHeaderTooLarge
		}
		field, err := parseField(string(line))
		if err != nil {
			return err
		}
		if name := http.CanonicalHeaderKey(field.Name); trailerAllowed(name) {
			if x.Trailer == nil {
				x.Trailer = http.Header{}
			}
			x.Trailer[name] = append(x.Trailer[name], field.Value)
		}
	}
}

// Ready tells whether Next returns without waiting for the upstream. It may say no
// although Next would.
func (x *Exchange) Ready() bool {
	if x.ended || x.conn == nil {
		return true
	}
	buffered := x.conn.buffered()
	if x.framing != byChunks {
		return len(buffered) > 0
	}
	if x.inChunk {
		if x.left > 0 {
			return len(buffered) > 0
		}
		if len(buffered) < 2 {
			return false
		}
		buffered = buffered[2:]
	}
	end := bytes.IndexByte(buffered, '\n')
	if end < 0 {
		return false
	}
	rest := buffered[end+1:]
	if size, err := parseChunkSize(bytes.TrimSuffix(buffered[:end], []byte("\r"))); err != nil || size > 0 {
		return err != nil || len(rest) > 0
	}
	// The last chunk: without a trailer an empty line follows.
	return bytes.HasPrefix(rest, []byte("\r\n")) || bytes.Contains(rest, []byte("\r\n\r\n"))
}

// Failure is an error of Next as callers see it: the cause of ctx's end if that is
// why the connection was closed.
func Failure(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
