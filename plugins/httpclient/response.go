package httpclient

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// Field is a header field: its name as the upstream wrote it, its value without
// the white space around it.
type Field struct{ Name, Value string }

// framing is how a response's body ends.
type framing uint8

const (
	noBody framing = iota
	byLength
	byChunks
	byClose
)

// Response is what was read of a response.
type Response struct {
	Status int
	// Reason is the text behind the status. It may be empty.
	Reason string
	// Minor is 0 or 1, of HTTP/1.0 and HTTP/1.1.
	Minor int
	// Raw is the header as it came, for Fields later on.
	Raw string
	// Fields are the header's, in order. They are valid until Free; their strings
	// for ever.
	Fields []Field
	// Length is the body's, as net/http has it: -1 if the header does not say.
	Length int64
	// Trailer is complete once Next has returned io.EOF. Before, it has the names
	// that the header announced. It is nil if there are none.
	Trailer http.Header

	framing framing
	left    int64 // of the body, or of the chunk
	inChunk bool  // a chunk's data or the line behind it is still to come
	ended   bool  // the body was read to its end
	keep    bool  // the connection may be used again
	lines   []int // ends of the header's lines
}

// readHead reads a header and what it says of the body's framing. It refuses with
// ErrMalformed what one reader takes for this and another for that, because the
// client behind the proxy is another reader: bare line feeds and carriage returns,
// control characters, folded lines, white space before a colon, Transfer-Encoding together with
// Content-Length or with HTTP/1.0, codings other than one `chunked`, lengths that
// are not one number (RFC 9112, sections 2.2, 5.1, 5.2, 6.1 and 6.3).
func (x *Exchange) readHead(c *conn, limit int) error {
	x.lines = x.lines[:0]
	start := 0 // of the line, from c.r
	for {
		head := c.buffered()
		newline := bytes.IndexByte(head[start:], '\n')
		if newline < 0 {
			if len(head) >= limit {
				return ErrHeaderTooLarge
			}
			if err := c.fill(limit); err != nil {
				if errors.Is(err, io.EOF) {
					err = io.ErrUnexpectedEOF
				}
				return err
			}
			continue
		}
		end := start + newline
		if end == start || head[end-1] != '\r' {
			return malformed("a line of the header ends without CR LF")
		}
		if end+1 > limit {
			return ErrHeaderTooLarge
		}
		if end-1 == start {
			if len(x.lines) == 0 {
				return malformed("empty first line")
			}
			x.Raw = string(head[:start])
			c.r += end + 1
			break
		}
		x.lines = append(x.lines, end-1)
		start = end + 1
	}
	if err := x.parseStatus(x.Raw[:x.lines[0]]); err != nil {
		return err
	}
	x.Fields = x.Fields[:0]
	for i := 1; i < len(x.lines); i++ {
		field, err := parseField(x.Raw[x.lines[i-1]+2 : x.lines[i]])
		if err != nil {
			return err
		}
		x.Fields = append(x.Fields, field)
	}
	return x.frame()
}

func (x *Exchange) parseStatus(line string) error {
	if len(line) < len("HTTP/1.1 200") || line[:7] != "HTTP/1." || line[7] != '0' && line[7] != '1' || line[8] != ' ' {
		return malformed("the first line is not a status line of HTTP/1.1 or HTTP/1.0")
	}
	status := 0
	for _, digit := range []byte(line[9:12]) {
		if digit < '0' || digit > '9' {
			return malformed("the status is not a number")
		}
		status = 10*status + int(digit-'0')
	}
	if status < 100 {
		return malformed("the status is below 100")
	}
	reason := line[12:]
	if reason != "" {
		if reason[0] != ' ' {
			return malformed("the status is not of three digits")
		}
		reason = reason[1:]
	}
	if !valid(reason, isFieldValue) {
		return malformed("a control character in the status line")
	}
	x.Status, x.Reason, x.Minor = status, reason, int(line[7]-'0')
	return nil
}

func parseField(line string) (Field, error) {
	before, after, ok := strings.Cut(line, ":")
	if !ok {
		return Field{}, malformed("a line of the header without a colon")
	}
	// A folded line begins with white space, which is part of no name.
	if !valid(before, isToken) {
		return Field{}, malformed("a header field name that is none, or white space before its colon")
	}
	value := trim(after)
	if !valid(value, isFieldValue) {
		return Field{}, malformed("a control character in a header field's value")
	}
	return Field{before, value}, nil
}

// ParseFields calls yield for the fields of Response.Raw.
func ParseFields(raw string, yield func(Field) bool) {
	_, rest, _ := strings.Cut(raw, "\r\n")
	for rest != "" {
		var line string
		line, rest, _ = strings.Cut(rest, "\r\n")
		name, value, _ := strings.Cut(line, ":")
		if !yield(Field{name, trim(value)}) {
			return
		}
	}
}

// frame finds out how the body ends.
func (x *Exchange) frame() error {
	length, coding, closing, announced := "", "", false, false
	lengths, codings := 0, 0
	for _, f := range x.Fields {
		switch len(f.Name) {
		case len("Content-Length"):
			if strings.EqualFold(f.Name, "Content-Length") {
				if lengths > 0 && f.Value != length {
					return malformed("two different lengths")
				}
				length, lengths = f.Value, lengths+1
			}
		case len("Transfer-Encoding"):
			if strings.EqualFold(f.Name, "Transfer-Encoding") {
				coding, codings = f.Value, codings+1
			}
		case len("Connection"):
			closing = closing || strings.EqualFold(f.Name, "Connection") && hasToken(f.Value, "close")
		case len("Trailer"):
			announced = announced || strings.EqualFold(f.Name, "Trailer")
		}
	}
	x.keep = x.Minor == 1 && !closing
	x.framing, x.left, x.Length, x.inChunk, x.ended, x.Trailer = noBody, 0, -1, false, false, nil
	if lengths > 0 {
		n, err := parseLength(length)
		if err != nil {
			return err
		}
		x.Length = n
	}
	if codings > 0 {
		switch {
		case lengths > 0:
			return malformed("Transfer-Encoding together with Content-Length")
		case x.Minor == 0:
			return malformed("Transfer-Encoding with HTTP/1.0")
		case codings > 1 || !strings.EqualFold(coding, "chunked"):
			return malformed("a transfer coding other than chunked")
		}
	}
	if codings > 0 && announced {
		x.announce()
	}
	switch {
	case x.Status < 200 || x.Status == http.StatusNoContent || x.Status == http.StatusNotModified:
		x.Length, x.ended = 0, true
	case x.method == http.MethodHead:
		x.ended = true
	case codings > 0:
		x.framing = byChunks
	case lengths > 0:
		x.framing, x.left = byLength, x.Length
		x.ended = x.left == 0
	default:
		x.framing, x.keep = byClose, false
	}
	return nil
}

// announce puts the names of the fields Trailer into x.Trailer.
func (x *Exchange) announce() {
	for _, f := range x.Fields {
		if !strings.EqualFold(f.Name, "Trailer") {
			continue
		}
		for name := range strings.SplitSeq(f.Value, ",") {
			if name = http.CanonicalHeaderKey(trim(name)); trailerAllowed(name) {
				if x.Trailer == nil {
					x.Trailer = http.Header{}
				}
				x.Trailer[name] = nil
			}
		}
	}
}

func parseLength(s string) (int64, error) {
	if s == "" || s[0] == '+' || s[0] == '-' {
		return 0, malformed("a length that is no number")
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, malformed("a length that is no number")
	}
	return n, nil
}

// hasToken looks for a word in a list, in any spelling.
func hasToken(list, token string) bool {
	for word := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(trim(word), token) {
			return true
		}
	}
	return false
}
