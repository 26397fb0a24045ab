package plugins

import (
	"net/http"
	"time"
)

// This file has the rules for Retry-After, for every policy and every answer:
//
//   - It is in whole seconds, rounded up, and at least 1: after that wait the request
//     passes.
//   - A wait that the gateway has computed is never shortened.
//   - A wait from an upstream is accepted up to MaxRetryAfter. One that is longer,
//     negative or malformed is ignored.
//   - A 429 and a 503 always have it. The default is DefaultRetryAfter.

const (
	// DefaultRetryAfter is the wait where no other is known.
	DefaultRetryAfter = 5 * time.Second
	// MaxRetryAfter is the longest wait that is accepted from an upstream: a month, the
	// longest quota in common use.
	MaxRetryAfter = 31 * 24 * time.Hour
)

// RetrySeconds is a wait in the form of Retry-After: whole seconds, rounded up, at least
// 1.
func RetrySeconds(d time.Duration) int {
	if d <= 0 {
		return 1
	}
	return int((d-1)/time.Second) + 1
}

// NeedsRetryAfter reports whether a response with this status always has Retry-After.
func NeedsRetryAfter(status int) bool {
	return status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable
}
