package redisgcra

import (
	"context"
	"errors"
	"strings"
)

// Explain says why Redis could not be asked, with what to do about it where that
// is known. It holds no secret.
func Explain(err error) string {
	if err == nil {
		return ""
	}
	text := err.Error()
	var answered string
	if code := errorCode(err); code != "" {
		// The words of Redis begin with the code; what the library puts before them
		// helps nobody.
		answered = text[max(strings.Index(text, code), 0):]
	}
	switch code := errorCode(err); {
	case errors.Is(err, ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		return ErrTimeout.Error()
	case code == "WRONGPASS":
		return answered + ": correct the user or password in the URL, redis://USER:PASSWORD@HOST"
	case code == "NOAUTH":
		return answered + ": redis wants a password, write redis://:PASSWORD@HOST"
	case code == "NOPERM":
		return answered + ": give the user the commands and keys that the page on limits lists"
	case strings.Contains(answered, "DB index"):
		return answered + ": redis has no database of that number, correct the number at the end of the URL"
	case strings.Contains(answered, "SELECT is not allowed in cluster mode"):
		return answered + ": remove the number at the end of the URL and add ?cluster=true"
	case answered != "":
		return answered
	}
	return text
}
