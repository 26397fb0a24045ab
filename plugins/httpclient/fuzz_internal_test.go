//go:build unix

package httpclient

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// bytesConn is a connection on which bytes come in pieces of a size.
type bytesConn struct {
	net.Conn
	rest []byte
	size int
}

func (c *bytesConn) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), c.size)], c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

func (*bytesConn) Close() error                    { return nil }
func (*bytesConn) SetReadDeadline(time.Time) error { return nil }

// readAll reads the response to a request of the method, as try and a caller do.
func readAll(method string, raw []byte, size int) (x *Exchange, body []byte, rest []byte, err error) {
	c := &conn{Conn: &bytesConn{rest: raw, size: size}, buffer: make([]byte, 4<<10)}
	x = &Exchange{method: method, conn: c, pool: NewPool(Config{MaxHeader: 64 << 10})}
	for {
		if err = x.readHead(c, x.pool.config.MaxHeader); err == nil && x.Status >= 200 {
			err = x.checkChunk(c)
		}
		if err != nil {
			return x, nil, nil, err
		}
		if x.Status == http.StatusSwitchingProtocols {
			return x, nil, nil, ErrMalformed
		}
		if x.Status >= 200 {
			break
		}
	}
	for {
		piece, err := x.Next()
		body = append(body, piece...)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return x, body, nil, err
		}
	}
	rest = append(slices.Clone(c.buffered()), c.Conn.(*bytesConn).rest...) //nolint:forcetypeassert // made above
	return x, body, rest, nil
}

// FuzzResponse compares the reader with net/http's: what ours takes, net/http must
// take for the same message, with the same bytes behind it. It also must not matter
// in which pieces the bytes come.
func FuzzResponse(f *testing.F) {
	for _, seed := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\n\r\n5;x=y\r\nhello\r\n0\r\nA: b\r\n\r\nrest",
		"HTTP/1.0 404 Not Found\r\n\r\nuntil close",
		"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\nETag: \"x\"\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
		"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length : 5\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 05\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nFFFFFFFFFFFFFFFF\r\n",
	} {
		f.Add(true, 7, []byte(seed))
		f.Add(false, 4096, []byte(seed))
	}
	f.Fuzz(func(t *testing.T, get bool, size int, raw []byte) {
		if len(raw) > 32<<10 {
			return
		}
		method := http.MethodHead
		if get {
			method = http.MethodGet
		}
		x, body, rest, err := readAll(method, raw, max(1, min(size, 8<<10)))
		whole, wholeBody, wholeRest, wholeErr := readAll(method, raw, len(raw)+1)
		// With the header alone a bad first chunk is found a little later.
		if (err == nil) != (wholeErr == nil) {
			t.Fatalf("in pieces of %d got %v, in one %v", size, err, wholeErr)
		}
		if err != nil {
			return
		}
		if x.Status != whole.Status || !bytes.Equal(body, wholeBody) || !bytes.Equal(rest, wholeRest) {
			t.Fatalf("in pieces of %d got %d %q and %q behind, in one %d %q and %q", size, x.Status, body, rest, whole.Status, wholeBody, wholeRest)
		}

		reader := bufio.NewReaderSize(bytes.NewReader(raw), 64<<10)
		request := &http.Request{Method: method}
		var theirs *http.Response
		for {
			if theirs, err = http.ReadResponse(reader, request); err != nil {
				t.Fatalf("net/http refuses what was taken for %d %q: %v", x.Status, body, err)
			}
			if theirs.StatusCode >= 200 {
				break
			}
		}
		theirBody, err := io.ReadAll(theirs.Body)
		if err != nil {
			t.Fatalf("net/http refuses the body %q: %v", body, err)
		}
		if theirs.StatusCode != x.Status || !bytes.Equal(theirBody, body) {
			t.Fatalf("got %d %q, net/http has %d %q", x.Status, body, theirs.StatusCode, theirBody)
		}
		if theirs.ContentLength != x.Length && x.framing != noBody {
			t.Fatalf("got length %d, net/http has %d", x.Length, theirs.ContentLength)
		}
		if behind, _ := io.ReadAll(reader); x.keep && !bytes.Equal(behind, rest) {
			t.Fatalf("got %q behind the message, net/http has %q", rest, behind)
		}
		for name, values := range theirs.Header {
			var ours []string
			for _, f := range x.Fields {
				if http.CanonicalHeaderKey(f.Name) == name {
					ours = append(ours, f.Value)
				}
			}
			if name == "Content-Length" && len(ours) > 1 {
				ours = ours[:1]
			}
			if !slices.Equal(ours, values) {
				t.Fatalf("got %s %q, net/http has %q", name, ours, values)
			}
		}
		for name, values := range x.Trailer {
			if values != nil && !slices.Equal(theirs.Trailer[name], values) {
				t.Fatalf("got trailer %s %q, net/http has %q", name, values, theirs.Trailer[name])
			}
		}
		if strings.ContainsAny(x.Raw, "\x00") {
			t.Fatal("NUL in a header")
		}
	})
}
