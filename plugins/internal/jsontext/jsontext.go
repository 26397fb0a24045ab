// Package jsontext scans the tokens of JSON text (RFC 8259). What values a text may
// hold, how deep and how many, is the caller's matter: bearer refuses whatever two
// parsers could read in two ways, and problem reads what any upstream sends.
package jsontext

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Scanner reads Src from Pos on. Its methods move Pos behind what they have read;
// where they report false Pos is somewhere in what is wrong. The strings that it
// returns may be parts of Src.
type Scanner struct {
	Src string
	Pos int
	// LoneSurrogates turns an escaped half of a surrogate pair into U+FFFD, as
	// encoding/json does, instead of refusing it, as RFC 7493 section 2.1 asks for.
	LoneSurrogates bool
}

// Peek returns the next byte, or 0 at the end. A NUL byte begins no token, so that
// the two need not be told apart.
func (s *Scanner) Peek() byte {
	if s.Pos < len(s.Src) {
		return s.Src[s.Pos]
	}
	return 0
}

// Space passes over white space.
func (s *Scanner) Space() {
	for s.Pos < len(s.Src) {
		switch s.Src[s.Pos] {
		case ' ', '\t', '\n', '\r':
			s.Pos++
		default:
			return
		}
	}
}

// Literal reads a word, if it comes next.
func (s *Scanner) Literal(word string) bool {
	if strings.HasPrefix(s.Src[min(s.Pos, len(s.Src)):], word) {
		s.Pos += len(word)
		return true
	}
	return false
}

// Open reads the bracket that begins an object or a list, and the one that ends it
// where that comes at once.
func (s *Scanner) Open(closing byte) (empty bool) {
	s.Pos++
	s.Space()
	if s.Peek() != closing {
		return false
	}
	s.Pos++
	return true
}

// Next reads what follows a member or an element: a comma, after which there is
// more, or the closing bracket.
func (s *Scanner) Next(closing byte) (more, ok bool) {
	s.Space()
	switch s.Peek() {
	case ',':
		s.Pos++
		s.Space()
		return true, true
	case closing:
		s.Pos++
		return false, true
	}
	return false, false
}

// Colon reads what stands between a name and its value.
func (s *Scanner) Colon() bool {
	s.Space()
	if s.Peek() != ':' {
		return false
	}
	s.Pos++
	s.Space()
	return true
}

// Number reads a number (section 6) and returns its literal.
func (s *Scanner) Number() (literal string, ok bool) {
	start := s.Pos
	if s.Peek() == '-' {
		s.Pos++
	}
	switch c := s.Peek(); {
	case c == '0':
		s.Pos++
	case isDigit(c):
		s.digits()
	default:
		return "", false
	}
	if s.Peek() == '.' {
		s.Pos++
		if !s.digits() {
			return "", false
		}
	}
	if c := s.Peek(); c == 'e' || c == 'E' {
		s.Pos++
		if c := s.Peek(); c == '+' || c == '-' {
			s.Pos++
		}
		if !s.digits() {
			return "", false
		}
	}
	return s.Src[start:s.Pos], true
}

// digits passes over digits and reports whether there were any.
func (s *Scanner) digits() bool {
	start := s.Pos
	for isDigit(s.Peek()) {
		s.Pos++
	}
	return s.Pos > start
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// Text reads a string (section 7) from its opening quote and returns what it says.
// Bytes that are no valid UTF-8 are kept as they are.
func (s *Scanner) Text() (text string, ok bool) {
	s.Pos++
	// decoded is what was read up to start; empty before the first escape.
	var decoded strings.Builder
	start := s.Pos
	for s.Pos < len(s.Src) {
		switch c := s.Src[s.Pos]; {
		case c == '"':
			text = s.Src[start:s.Pos]
			s.Pos++
			if decoded.Len() == 0 {
				return text, true
			}
			decoded.WriteString(text)
			return decoded.String(), true
		case c == '\\':
			decoded.WriteString(s.Src[start:s.Pos])
			r, ok := s.escape()
			if !ok {
				return "", false
			}
			decoded.WriteRune(r)
			start = s.Pos
		case c < 0x20:
			return "", false
		default:
			s.Pos++
		}
	}
	return "", false
}

func (s *Scanner) escape() (rune, bool) {
	s.Pos++
	c := s.Peek()
	s.Pos++
	switch c {
	case '"', '\\', '/':
		return rune(c), true
	case 'b':
		return '\b', true
	case 'f':
		return '\f', true
	case 'n':
		return '\n', true
	case 'r':
		return '\r', true
	case 't':
		return '\t', true
	case 'u':
	default:
		return 0, false
	}
	r, ok := s.hex4()
	if !ok || !utf16.IsSurrogate(r) {
		return r, ok
	}
	behind := s.Pos
	if s.Literal(`\u`) {
		if low, ok := s.hex4(); ok {
			// DecodeRune answers U+FFFD for anything but a pair, and a pair never
			// means U+FFFD.
			if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
				return r, true
			}
		}
	}
	// What follows may be a character of its own.
	s.Pos = behind
	return utf8.RuneError, s.LoneSurrogates
}

// hex4 reads four hexadecimal digits.
func (s *Scanner) hex4() (r rune, ok bool) {
	if len(s.Src)-s.Pos < 4 {
		return 0, false
	}
	unit, err := strconv.ParseUint(s.Src[s.Pos:s.Pos+4], 16, 16)
	s.Pos += 4
	return rune(unit), err == nil
}
