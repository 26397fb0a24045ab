package httpclient

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// smallBody is how large a body of known length may be to be written together with
// its header. Larger ones are streamed by a goroutine for as long as they last: an
// upstream may answer before it has read all, and would else wait for a reader of
// its response while the writer of the request waits for it.
const smallBody = 16 << 10

// maxKeptRequest is how large a buffer for requests may be to be kept.
const maxKeptRequest = 64 << 10

// Start begins a request: its first line and its Host.
func (x *Exchange) Start(method, uri, host string) {
	x.method = method
	if !valid(method, isToken) {
		x.refuse("method %q", method)
	}
	if !valid(uri, isVisible) {
		x.refuse("a space or a control character in the path or query")
	}
	if !valid(host, isASCII) {
		ascii, err := httpguts.PunycodeHostPort(host)
		if err != nil {
			x.refuse("host %q: %v", host, err)
		}
		host = ascii
	}
	if !httpguts.ValidHostHeader(host) {
		x.refuse("host %q", host)
	}
	b := append(x.out, method...)
	b = append(b, ' ')
	b = append(b, uri...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, withoutZone(host)...)
	x.out = append(b, "\r\n"...)
}

// Field adds a header field. Framing is set by Body and must not be set by Field.
func (x *Exchange) Field(name, value string) {
	if !valid(name, isToken) {
		x.refuse("header field name %q", name)
		return
	}
	if !valid(value, isFieldValue) {
		// Not the value: it may be secret.
		x.refuse("a control character in the value of header field %q", name)
		return
	}
	x.out = appendField(x.out, name, value)
}

func appendField(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	b = append(b, trim(value)...)
	return append(b, "\r\n"...)
}

// Body sets the request's body: length bytes, or if that is negative all that
// there is, in chunks. trailer, if not nil, returns the trailer once the body was
// read to its end; the names in announced tell of it in the header. Without a call
// of Body there is no body.
func (x *Exchange) Body(body io.Reader, length int64, announced http.Header, trailer func() http.Header) {
	if length >= 0 {
		x.out = append(x.out, "Content-Length: "...)
		x.out = strconv.AppendInt(x.out, length, 10)
		x.out = append(x.out, "\r\n"...)
		if length == 0 {
			return
		}
		x.body, x.length = body, length
		return
	}
	x.out = append(x.out, "Transfer-Encoding: chunked\r\n"...)
	if len(announced) > 0 {
		names := make([]string, 0, len(announced))
		for name := range announced {
			if name = http.CanonicalHeaderKey(name); trailerAllowed(name) {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		x.Field("Trailer", strings.Join(names, ","))
	}
	x.body, x.length, x.trailer = body, -1, trailer
}

// trailerAllowed refuses what would change the framing of the message.
func trailerAllowed(name string) bool {
	switch name {
	case "Transfer-Encoding", "Content-Length", "Trailer", "Host", "Connection":
		return false
	}
	return valid(name, isToken)
}

func (x *Exchange) refuse(format string, args ...any) {
	if x.refused == nil {
		x.refused = fmt.Errorf("%w: "+format, append([]any{ErrRequest}, args...)...)
	}
}

// replayable tells whether the request may be sent a second time although the
// upstream may have acted on it.
func (x *Exchange) replayable() bool {
	if x.hasBody {
		return false
	}
	switch x.method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}

// Classes of bytes.
const (
	isToken      = 1 << iota // RFC 9110, section 5.6.2
	isFieldValue             // RFC 9110, section 5.5, and no control character but tab
	isVisible                // neither space nor control character
	isASCII
)

var classes = func() (table [256]uint8) {
	for b := range table {
		c := byte(b)
		if httpguts.IsTokenRune(rune(c)) && c < 0x80 {
			table[b] |= isToken
		}
		if c == '\t' || c >= ' ' && c != 0x7f {
			table[b] |= isFieldValue
		}
		if c > ' ' && c != 0x7f {
			table[b] |= isVisible
		}
		if c < 0x80 {
			table[b] |= isASCII
		}
	}
	return table
}()

// valid tells whether every byte is of the class. Only a field value and a host
// may be empty.
func valid(s string, class uint8) bool {
	for i := range len(s) {
		if classes[s[i]]&class == 0 {
			return false
		}
	}
	return s != "" || class&(isToken|isVisible) == 0
}

// trim removes spaces and tabs from both ends.
func trim(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// withoutZone removes the zone of an IPv6 address, which means something on this
// machine only.
func withoutZone(host string) string {
	if !strings.HasPrefix(host, "[") {
		return host
	}
	end := strings.LastIndex(host, "]")
	if end < 0 {
		return host
	}
	zone := strings.LastIndex(host[:end], "%")
	if zone < 0 {
		return host
	}
	return host[:zone] + host[end:]
}
