package plugins

import (
	"net/http"
	"time"
)

// This file is the rule for Retry-After, which every policy and every answer
// follows:
//
//   - It is in whole seconds, rounded up, and at least 1: a client that waits
//     that long gets through.
//   - A wait that the gateway has worked out is never cut, however long it is.
//   - A wait that an upstream asks for is believed up to MaxRetryAfter. One that
//     is longer, negative or no time at all counts as not said.
//   - A 429 and a 503 always have one. Where nobody says how long to wait it is
//     DefaultRetryAfter.

const (
	// DefaultRetryAfter is what a client is told to wait where nothing better is
	// known.
	DefaultRetryAfter = 5 * time.Second
	// MaxRetryAfter is the longest wait that is believed of an upstream: a month,
	// the longest quota in common use.
	MaxRetryAfter = 31 * 24 * time.Hour
)

// RetrySeconds is a wait as Retry-After and the body have it: in whole seconds,
// rounded up, at least 1.
func RetrySeconds(d time.Duration) int {
	if d <= 0 {
		return 1
	}
	return int((d-1)/time.Second) + 1
}

// NeedsRetryAfter reports whether an answer of this status always has a
// Retry-After.
func NeedsRetryAfter(status int) bool {
	return status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable
}
