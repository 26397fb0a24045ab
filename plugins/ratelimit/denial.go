package ratelimit

import (
	"net/http"
	"strconv"
	"time"

	"github.com/ainative/portcullis/plugins"
)

// TooMany is a 429 with Retry-After. Its text is made of the wait.
func TooMany(retryAfter time.Duration) *plugins.Denial {
	return &plugins.Denial{
		Status: http.StatusTooManyRequests, Reason: plugins.ReasonRateLimited,
		RetryAfter: max(retryAfter, time.Nanosecond),
	}
}

// Denial is the denial of a refused decision on the policy's limits.
func (d *Decision) Denial(p *Policy) *plugins.Denial {
	row := &d.Rows[d.Blocking]
	denial := TooMany(d.RetryAfter)
	denial.Value = p.LimitName(d.Blocking) + ": " + strconv.FormatInt(row.Remaining, 10) + " left, next in " + row.RetryAfter.String()
	denial.Bound = row.Limit.String()
	return denial
}

// TooManyAtOnce is a 429 for a caller with too many requests in flight.
func TooManyAtOnce(concurrency int) *plugins.Denial {
	d := TooMany(time.Second)
	d.Reason = plugins.ReasonConcurrency
	d.Value = "no place left"
	d.Bound = "concurrency " + strconv.Itoa(concurrency)
	return d
}

// CostTooHigh is a 400 and not a 429, because no wait helps.
func CostTooHigh(cost, highest int64) *plugins.Denial {
	return &plugins.Denial{
		Status: http.StatusBadRequest, Reason: plugins.ReasonCostAboveBurst,
		Value: "cost " + strconv.FormatInt(cost, 10), Bound: "burst " + strconv.FormatInt(highest, 10),
	}
}

// KeyMissing is a 400 for a request without a value to count by. Such requests do not
// share a count.
func KeyMissing(what string) *plugins.Denial {
	return &plugins.Denial{
		Status: http.StatusBadRequest, Reason: plugins.ReasonLimitKeyMissing,
		Value: what + " is empty", Bound: "a value to count by, or `missing anonymous`",
	}
}
