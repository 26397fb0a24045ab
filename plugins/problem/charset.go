package problem

import (
	"bytes"
	"mime"
	"regexp"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/unicode"
)

// declared finds a charset in the head of markup: an XML declaration or a meta
// element.
var declared = regexp.MustCompile(`(?i)(?:encoding|charset)\s*=\s*["']?\s*([a-z0-9_:.+-]{2,40})`)

// toUTF8 decodes a body. A byte order mark wins over the header, and bytes that
// are valid UTF-8 over both, since frameworks declare latin1 by default and send
// UTF-8. The result may hold invalid bytes only where nothing could decode them;
// clean reports whether it is the very bytes that were sent.
func toUTF8(body []byte, contentType string) (text string, clean bool) {
	switch {
	case bytes.HasPrefix(body, []byte("\xef\xbb\xbf")):
		return strings.ToValidUTF8(string(body[3:]), "\ufffd"), false
	case bytes.HasPrefix(body, []byte("\xff\xfe")) && len(body)%2 == 0, bytes.HasPrefix(body, []byte("\xfe\xff")) && len(body)%2 == 0:
		return decodeWith(unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), body), false
	}
	if e := bareUTF16(body); e != nil {
		return decodeWith(e, body), false
	}
	valid := utf8.Valid(body)
	if valid && bytes.IndexByte(body, 0x1b) < 0 {
		return string(body), true
	}
	e := charsetOf(body, contentType)
	if valid && !statefulASCII(e) {
		return string(body), true
	}
	if e == nil {
		// Windows-1252 is what HTML takes undeclared bytes for, and it decodes any.
		e = charmap.Windows1252
	}
	return decodeWith(e, body), false
}

// bareUTF16 spots UTF-16 without a mark by the zero halves of its ASCII, which
// no other text has.
func bareUTF16(body []byte) encoding.Encoding {
	if len(body) < 4 || len(body)%2 != 0 {
		return nil
	}
	switch {
	case body[0] != 0 && body[1] == 0 && body[2] != 0 && body[3] == 0:
		return unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)
	case body[0] == 0 && body[1] != 0 && body[2] == 0 && body[3] != 0:
		return unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)
	}
	return nil
}

// charsetOf is the declared encoding, or nil.
func charsetOf(body []byte, contentType string) encoding.Encoding {
	var label string
	if _, params, err := mime.ParseMediaType(contentType); err == nil {
		label = params["charset"]
	}
	if label == "" {
		if m := declared.FindSubmatch(body[:min(len(body), 1024)]); m != nil {
			label = string(m[1])
		}
	}
	if label == "" {
		return nil
	}
	e, err := htmlindex.Get(label)
	if err != nil || e == unicode.UTF8 {
		return nil
	}
	return e
}

// statefulASCII reports whether an encoding writes other letters in bytes that
// are valid ASCII: ISO-2022-JP behind escapes.
func statefulASCII(e encoding.Encoding) bool {
	if e == nil {
		return false
	}
	name, err := htmlindex.Name(e)
	return err == nil && name == "iso-2022-jp"
}

func decodeWith(e encoding.Encoding, body []byte) string {
	out, err := e.NewDecoder().Bytes(body)
	if err != nil {
		out = body
	}
	return strings.TrimPrefix(strings.ToValidUTF8(string(out), "\ufffd"), "\ufeff")
}
