package ratelimit

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ainative/portcullis/plugins"
)

// The headers, in the canonical form of net/http, so that they can index an
// http.Header. RateLimit and RateLimit-Policy are those of
// draft-ietf-httpapi-ratelimit-headers-11.
const (
	HeaderPolicy     = "Ratelimit-Policy"
	HeaderRateLimit  = "Ratelimit"
	HeaderLimit      = "X-Ratelimit-Limit"
	HeaderRemaining  = "X-Ratelimit-Remaining"
	HeaderReset      = "X-Ratelimit-Reset"
	HeaderRetryAfter = "Retry-After"
)

// HeaderMode says which headers the client gets.
type HeaderMode uint8

// The header modes.
const (
	// HeadersAll sends all headers.
	HeadersAll HeaderMode = iota
	// HeadersRetryAfter sends only Retry-After, on refusals.
	HeadersRetryAfter
	// HeadersNone sends no header of a limit. A refusal still has Retry-After, which is a
	// part of every 429 and 503.
	HeadersNone
)

// ParseHeaderMode reads `all`, `retry_after` or `none`.
func ParseHeaderMode(s string) (HeaderMode, error) {
	switch s {
	case "all":
		return HeadersAll, nil
	case "retry_after":
		return HeadersRetryAfter, nil
	case "none":
		return HeadersNone, nil
	}
	return HeadersAll, fmt.Errorf("headers must be all, retry_after or none; got %q", clip(s))
}

// String is the mode as the Caddyfile has it.
func (m HeaderMode) String() string {
	switch m {
	case HeadersRetryAfter:
		return "retry_after"
	case HeadersNone:
		return "none"
	default:
		return "all"
	}
}

// SetHeaders sets the headers of a decision on the policy's limits, in place of an
// upstream's own.
//
//	RateLimit-Policy: "pro";q=300;w=60, "pro-1d";q=100000;w=86400
//	RateLimit: "pro";r=299;t=1, "pro-1d";r=99999;t=1
//	X-RateLimit-Limit: 300
//	X-RateLimit-Remaining: 299
//	X-RateLimit-Reset: 1
//	Retry-After: 12
//
// In RateLimit-Policy q is the count and w the period in seconds; w is missing
// where the period is no whole number of seconds. In RateLimit r is what could
// pass now and t the seconds until it is more, 0 where it can't be. X-RateLimit
// shows one limit: the one that refused with the longest wait, else the one
// with the least left in proportion. Its Limit is the burst, from which
// Remaining counts down, and its Reset the seconds until Remaining is Limit. Of neither
// is the tolerance a part.
// Retry-After is there on refusals that waiting helps. All seconds are rounded up.
func SetHeaders(h http.Header, p *Policy, d *Decision, mode HeaderMode) {
	if mode == HeadersNone {
		return
	}
	rows := d.Rows
	full := mode == HeadersAll && len(rows) > 0 && len(rows) == len(p.names)
	retry := !d.Allowed && d.RetryAfter >= 0
	if !full && !retry {
		return
	}

	// All values are parts of one string, in one array: two allocations for six headers.
	// Responses share no value, since outer handlers may change it in place.
	var buf [256]byte
	var ends [5]int
	b := buf[:0]
	if full {
		row := &rows[d.shown()]
		b = appendRateLimit(b, p.names, rows)
		ends[0] = len(b)
		_, burst := row.Limit.Told()
		b = strconv.AppendInt(b, burst, 10)
		ends[1] = len(b)
		b = strconv.AppendInt(b, row.Limit.Left(row.Remaining), 10)
		ends[2] = len(b)
		b = strconv.AppendInt(b, seconds(row.ResetAfter), 10)
	}
	ends[3] = len(b)
	if retry {
		b = strconv.AppendInt(b, int64(plugins.RetrySeconds(d.RetryAfter)), 10)
	}
	ends[4] = len(b)

	text := string(b)
	values := make([]string, 6)
	if full {
		values[0] = p.header
		values[1] = text[:ends[0]]
		values[2] = text[ends[0]:ends[1]]
		values[3] = text[ends[1]:ends[2]]
		values[4] = text[ends[2]:ends[3]]
		h[HeaderPolicy] = values[0:1:1]
		h[HeaderRateLimit] = values[1:2:2]
		h[HeaderLimit] = values[2:3:3]
		h[HeaderRemaining] = values[3:4:4]
		h[HeaderReset] = values[4:5:5]
	}
	if retry {
		values[5] = text[ends[3]:ends[4]]
		h[HeaderRetryAfter] = values[5:6:6]
	}
}

// RemoveHeaders removes the rate-limit headers of every dialect, such as an upstream's own.
// It leaves Retry-After, which has other uses too.
func RemoveHeaders(h http.Header) {
	for name := range h {
		if isLimitHeader(name) {
			delete(h, name)
		}
	}
}

// isLimitHeader reports whether a header is about rate limits:
// RateLimit and RateLimit-Policy of the IETF draft and the RateLimit-Limit,
// -Remaining and -Reset of its older versions; X-RateLimit-Limit and its like, with
// GitHub's -Used and -Resource, Kong's -Limit-Minute and OpenAI's -Limit-Requests;
// and X-Rate-Limit-Limit and its like.
func isLimitHeader(name string) bool {
	if len(name) > 2 && (name[0] == 'X' || name[0] == 'x') && name[1] == '-' {
		name = name[2:]
	}
	// Fast, since this runs for every response: most headers end here.
	if len(name) < len("ratelimit") || name[0] != 'R' && name[0] != 'r' || !strings.EqualFold(name[:len("rate")], "rate") {
		return false
	}
	rest := name[len("rate"):]
	if rest[0] == '-' {
		rest = rest[1:]
	}
	if len(rest) < len("limit") || !strings.EqualFold(rest[:len("limit")], "limit") {
		return false
	}
	rest = rest[len("limit"):]
	return rest == "" || rest[0] == '-'
}

func appendRateLimit(b []byte, names []string, rows []Row) []byte {
	for i := range rows {
		row := &rows[i]
		if i > 0 {
			b = append(b, ", "...)
		}
		b = append(b, names[i]...)
		b = append(b, ";r="...)
		b = strconv.AppendInt(b, row.Limit.Left(row.Remaining), 10)
		b = append(b, ";t="...)
		b = strconv.AppendInt(b, seconds(row.NextAfter), 10)
	}
	return b
}

// shown is the index of the row that X-RateLimit shows.
func (d *Decision) shown() int {
	if !d.Allowed && d.Blocking >= 0 && d.Blocking < len(d.Rows) {
		return d.Blocking
	}
	least, share := 0, 2.0
	for i, row := range d.Rows {
		if s := float64(row.Remaining) / float64(row.Limit.Burst); s < share {
			least, share = i, s
		}
	}
	return least
}

// Shown is the row that X-RateLimit shows; false if there are no rows.
func (d *Decision) Shown() (Row, bool) {
	if len(d.Rows) == 0 {
		return Row{}, false
	}
	return d.Rows[d.shown()], true
}

// ResetSeconds is the time until a limit is full, in the form of X-RateLimit-Reset: whole
// seconds, rounded up, 0 for a full one.
func ResetSeconds(d time.Duration) int64 { return seconds(d) }

// seconds rounds up to whole seconds, at least 0.
func seconds(d time.Duration) int64 {
	if d <= 0 {
		return 0
	}
	s := int64(d / time.Second)
	if d%time.Second != 0 {
		s++
	}
	return s
}
