package problem

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/problem/internal/reading"
)

// DefaultRetryAfter is plugins.DefaultRetryAfter in seconds.
const DefaultRetryAfter = int(plugins.DefaultRetryAfter / time.Second)

// maxRetryAfter is plugins.MaxRetryAfter in seconds. An epoch that is read as a
// delay is larger.
const maxRetryAfter = int(plugins.MaxRetryAfter / time.Second)

// Problem is an error as the client gets it, with what the log needs besides.
type Problem struct {
	// Status is the HTTP status to answer with.
	Status int
	// Detail is the public text; never empty.
	Detail string
	// Fields are the field errors. Where there are any they are the detail of
	// the fastapi format, and Detail summarises them elsewhere.
	Fields []reading.FieldError
	// RetryAfter is in whole seconds; zero means none.
	RetryAfter int
	// Title and Type are RFC 9457's, where the upstream gave them. Empty means
	// the status phrase and about:blank.
	Title, Type string

	// Body is what leaves in place of the upstream's where that passes, but for a
	// retry_after that a 429 needs; nil where it passes byte for byte.
	Body []byte

	// Reader names the reader that understood the body, for logs and metrics.
	Reader string
	// Message is what became of the upstream's message.
	Message Fate
	// Leak names the class of what the guard held back; empty means nothing.
	Leak string
	// Rule is the number of the operator's rule that matched, from 1; zero none.
	Rule int
	// Original is the upstream's text where the client does not get it: bounded,
	// redacted, on one line. It is for the log alone.
	Original string
}

// Fate is what became of an upstream's message on the way to the client.
type Fate string

// The fates of a message.
const (
	// FatePassed: the body leaves byte for byte.
	FatePassed Fate = "passed"
	// FateKept: the message, or the field errors, are in the answer.
	FateKept Fate = "kept"
	// FateHidden: it is a server error's, whose text is not shown.
	FateHidden Fate = "hidden"
	// FateLeak: the guard held it back.
	FateLeak Fate = "leak"
	// FateRule: a rule of the operator gives the text.
	FateRule Fate = "rule"
	// FateNone: there was none that could be found, or the body was too large, or
	// could not be decoded.
	FateNone Fate = "none"
)

// FromStatus is the gateway's own Problem of a status, with the configured text.
func (t *Translator) FromStatus(status int) Problem {
	p := Problem{Status: saneStatus(status), Reader: "gateway"}
	p.Detail = t.text(p.Status)
	p.RetryAfter = floorRetryAfter(p.Status, 0)
	return p
}

// FromDenial is the gateway's own Problem of a refusal. A 429's text says how
// long to wait, in whole seconds, rounded up; a configured one may have
// {retry_after} for them.
func (t *Translator) FromDenial(d *plugins.Denial) Problem {
	p := Problem{Status: saneStatus(d.Status), Reader: "gateway"}
	if d.RetryAfter > 0 {
		p.RetryAfter = plugins.RetrySeconds(d.RetryAfter)
	}
	p.RetryAfter = floorRetryAfter(p.Status, p.RetryAfter)
	_, configured := t.texts[p.Status]
	switch {
	case configured && (d.Detail == "" || d.Detail == reading.Text(p.Status) || p.Status == http.StatusTooManyRequests):
		p.Detail = strings.ReplaceAll(t.text(p.Status), "{retry_after}", strconv.Itoa(p.RetryAfter))
	case p.Status == http.StatusTooManyRequests && (d.Detail == "" || d.Detail == reading.Text(p.Status)):
		p.Detail = RateLimitText(p.RetryAfter)
	case d.Detail != "":
		p.Detail = d.Detail
	default:
		p.Detail = t.text(p.Status)
	}
	return p
}

// FromUnavailable is the gateway's own Problem of a decision that could not be
// made: 503 with Retry-After.
func (t *Translator) FromUnavailable(u *plugins.Unavailable) Problem {
	p := t.FromStatus(http.StatusServiceUnavailable)
	if u.RetryAfter > 0 {
		p.RetryAfter = plugins.RetrySeconds(u.RetryAfter)
	}
	return p
}

// RateLimitText is the public text of our own 429.
func RateLimitText(seconds int) string {
	if seconds == 1 {
		return "Rate limit exceeded. Try again in 1 second."
	}
	return "Rate limit exceeded. Try again in " + strconv.Itoa(seconds) + " seconds."
}

// floorRetryAfter gives every 429 and 503 a delay.
func floorRetryAfter(status, seconds int) int {
	if seconds <= 0 && plugins.NeedsRetryAfter(status) {
		return DefaultRetryAfter
	}
	return seconds
}

// saneStatus turns what no error can be sent with into a 500.
func saneStatus(status int) int {
	if status < 400 || status > 599 {
		return http.StatusInternalServerError
	}
	return status
}
