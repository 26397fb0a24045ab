package caddymodule

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/ratelimit"
)

// defaultRetryAfter is what a client is told to wait when something could not be
// asked and nothing better is known.
const defaultRetryAfter = 5 * time.Second

// refusal carries a denial up Caddy's handler chain, which knows only errors.
// Its text is for the log; clients get Denial.Detail.
type refusal struct {
	denial *plugins.Denial
}

func (e *refusal) Error() string {
	d := e.denial
	text := "refused: " + string(d.Reason)
	if d.Value != "" {
		text += ": " + d.Value
	}
	if d.Bound != "" {
		text += ", want " + d.Bound
	}
	return text
}

// refuse says no: it sets the headers that belong to the denial and returns the
// error that ends the chain. The headers reach the client by whichever way the
// error is answered, handle_errors included.
func refuse(w http.ResponseWriter, x *exchange, d *plugins.Denial) error {
	x.denial = d
	h := w.Header()
	if len(d.Challenges) != 0 {
		h["Www-Authenticate"] = append([]string(nil), d.Challenges...)
	}
	if d.RetryAfter > 0 {
		h["Retry-After"] = []string{strconv.Itoa(ratelimit.RetrySeconds(d.RetryAfter))}
	}
	noStore(h)
	// Not caddyhttp.Error: its id and stack trace cost more than the decision, and
	// the request id and the reason say more.
	return caddyhttp.HandlerError{StatusCode: d.Status, Err: &refusal{d}}
}

// undecided answers for a decision that could not be made: 503 with Retry-After,
// whatever the failure was.
func undecided(w http.ResponseWriter, err error) error {
	retryAfter := defaultRetryAfter
	if u, ok := errors.AsType[*plugins.Unavailable](err); ok && u.RetryAfter > 0 {
		retryAfter = u.RetryAfter
	}
	h := w.Header()
	h["Retry-After"] = []string{strconv.Itoa(ratelimit.RetrySeconds(retryAfter))}
	noStore(h)
	return caddyhttp.HandlerError{StatusCode: http.StatusServiceUnavailable, Err: err}
}

// noStore keeps shared caches from giving one caller's refusal to another.
func noStore(h http.Header) { h["Cache-Control"] = []string{"no-store"} }
