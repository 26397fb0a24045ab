package problem

import (
	"math"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/problem/internal/reading"
)

// RetryAfter reads Retry-After and its kin as upstreams write them, in whole
// seconds rounded up, or 0 where nothing sane is said:
//
//	Retry-After: 120, 1.5, 30s, 1771404540, Wed, 21 Oct 2026 07:28:00 GMT, 2026-10-21T07:28:00Z
//	Retry-After-Ms, X-Retry-After, X-RateLimit-Reset-After, RateLimit: "default";r=0;t=5
//	RateLimit-Reset, X-RateLimit-Reset, X-Rate-Limit-Reset: seconds, an epoch, or one in milliseconds
//
// The headers of a rate limit's window count only where status says that it is
// exhausted. A date is held against the upstream's own Date where there is one.
func RetryAfter(status int, h http.Header, now time.Time) int {
	if date, err := http.ParseTime(reading.Header(h, "Date")); err == nil {
		now = date
	}
	for _, name := range []string{"Retry-After", "X-Retry-After"} {
		if s := longestDelay(h, name, now); s > 0 {
			return s
		}
	}
	for _, name := range []string{"Retry-After-Ms", "X-Retry-After-Ms", "X-Ms-Retry-After-Ms"} {
		if s, ok := milliseconds(reading.Header(h, name), now); ok {
			return s
		}
	}
	if !plugins.NeedsRetryAfter(status) {
		return 0
	}
	for _, name := range []string{
		"X-Ratelimit-Reset-After", "Ratelimit-Reset", "X-Ratelimit-Reset", "X-Rate-Limit-Reset", "X-Ratelimit-Reset-Requests",
		"X-Ratelimit-Retry-After", "X-Rate-Limit-Retry-After-Seconds", "X-Ratelimit-Reset-Tokens",
	} {
		if s, ok := delay(reading.Header(h, name), now); ok {
			return s
		}
	}
	// https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/
	if m := ratelimitT.FindStringSubmatch(reading.Header(h, "Ratelimit")); m != nil {
		if s, ok := delay(m[1], now); ok {
			return s
		}
	}
	return 0
}

var ratelimitT = regexp.MustCompile(`(?:^|[;,\s])(?:t|reset)\s*=\s*(\d{1,10})`)

// longestDelay reads a header that may be there more than once, in lines of its
// own or joined by a comma. Waiting for the longest is right for all of them.
func longestDelay(h http.Header, canonical string, now time.Time) (longest int) {
	for name, lines := range h {
		if !strings.EqualFold(name, canonical) {
			continue
		}
		for _, line := range lines {
			// A date has a comma inside.
			if s, ok := delay(line, now); ok {
				longest = max(longest, s)
				continue
			}
			for one := range strings.SplitSeq(line, ",") {
				if s, ok := delay(one, now); ok {
					longest = max(longest, s)
				}
			}
		}
	}
	return longest
}

// delay reads one value of any form.
func delay(v string, now time.Time) (int, bool) {
	v = strings.Trim(strings.TrimSpace(v), `"`)
	if len(v) > 64 || v == "" {
		return 0, false
	}
	if n, err := strconv.ParseFloat(v, 64); err == nil {
		// Seconds since 1970, or milliseconds, or the delay itself.
		switch {
		case n >= 1e12 && n < 1e14:
			return until(n/1000, now)
		case n >= 1e9 && n < 1e11:
			return until(n, now)
		}
		return sane(n)
	}
	if d, err := time.ParseDuration(strings.ReplaceAll(v, " ", "")); err == nil {
		return sane(d.Seconds())
	}
	if m := secondsText.FindStringSubmatch(v); m != nil {
		return textDelay(m)
	}
	if at, err := http.ParseTime(v); err == nil {
		return until(float64(at.Unix()), now)
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", time.RFC1123Z, "Mon, 2 Jan 2006 15:04:05 MST"} {
		if at, err := time.Parse(layout, v); err == nil {
			return until(float64(at.UnixMilli())/1000, now)
		}
	}
	return 0, false
}

// milliseconds reads a value that is a number of them.
func milliseconds(v string, _ time.Time) (int, bool) {
	ms, err := strconv.ParseFloat(v, 64)
	if err != nil {
		return 0, false
	}
	return sane(ms / 1000)
}

// until is the time from now to an epoch. One that has passed allows to try at
// once, which is a second here: zero would say that there is no delay to know.
func until(epoch float64, now time.Time) (int, bool) {
	d := epoch - float64(now.UnixMilli())/1000
	if d < -float64(maxRetryAfter) {
		return 0, false
	}
	return sane(max(d, 0))
}

// sane rounds a delay up and refuses what no client should be told.
func sane(seconds float64) (int, bool) {
	if math.IsNaN(seconds) || seconds < 0 || seconds > float64(maxRetryAfter) {
		return 0, false
	}
	return max(1, int(math.Ceil(seconds))), true
}

// retryMembers name the delay in a body, and millisecondMembers those of them that
// give it in milliseconds.
var (
	retryMembers = strings.Fields(`
		retry_after retryAfter retry-after retry_after_seconds retryAfterSeconds retryDelay retry_in retryIn retry_after_ms retryAfterMs
		retry_after_secs reset_after resetAfter reset_in wait_seconds waitSeconds wait retry_at retryAt reset_at resetAt ratelimitReset
		reset msBeforeNext ttl
	`)
	millisecondMembers = reading.Words("retry_after_ms retryAfterMs msBeforeNext")
)

// bodyDelay reads a delay from a body: a member, or the words of its message.
func bodyDelay(d *reading.Document, now time.Time) int {
	if d.JSON != nil {
		visited := 0
		if s := memberDelay(d.JSON, now, 0, &visited); s > 0 {
			return s
		}
	}
	if m := waitText.FindStringSubmatch(d.Text[:min(len(d.Text), 4096)]); m != nil {
		if s, ok := textDelay(m); ok {
			return s
		}
	}
	return 0
}

func memberDelay(n *reading.Node, now time.Time, depth int, visited *int) int {
	if *visited++; n == nil || depth > 5 || *visited > 500 {
		return 0
	}
	for _, name := range retryMembers {
		text := n.Get(name).Scalar()
		read := delay
		if millisecondMembers[name] {
			read = milliseconds
		}
		if s, ok := read(text, now); ok {
			return s
		}
	}
	for _, v := range n.Vals {
		if v.Is(reading.Object) || v.Is(reading.Array) {
			if s := memberDelay(v, now, depth+1, visited); s > 0 {
				return s
			}
		}
	}
	return 0
}

var (
	// "Expected available in 42 seconds.", "try again after 5 minutes", "Retry in 1.5s"
	waitText    = regexp.MustCompile(`(?i)\b(?:in|after|wait|for)[ :]+(\d{1,7}(?:\.\d+)?)\s*(ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hours?)\b`)
	secondsText = regexp.MustCompile(`(?i)^(\d{1,7}(?:\.\d+)?)\s*(ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hours?)$`)
)

func textDelay(m []string) (int, bool) {
	n, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		return 0, false
	}
	switch unit := strings.ToLower(m[2]); {
	case strings.HasPrefix(unit, "ms") || strings.HasPrefix(unit, "milli"):
		n /= 1000
	case strings.HasPrefix(unit, "m"):
		n *= 60
	case strings.HasPrefix(unit, "h"):
		n *= 3600
	}
	return sane(n)
}

// retryAfter decides the delay of an upstream's error: what its headers say,
// what its body says, and for a 429 and 503 a default.
func (t *Translator) retryAfter(status int, r Response, f reading.Finding, d *reading.Document) int {
	now := t.now()
	if s := RetryAfter(status, r.Header, now); s > 0 {
		return s
	}
	if plugins.NeedsRetryAfter(status) {
		if s, ok := sane(float64(f.RetryAfter)); ok && f.RetryAfter > 0 {
			return s
		}
		if d != nil {
			if date, err := http.ParseTime(reading.Header(r.Header, "Date")); err == nil {
				now = date
			}
			if s := bodyDelay(d, now); s > 0 {
				return s
			}
		}
	}
	return floorRetryAfter(status, 0)
}
