package ratelimit

import (
	"net/http"
	"strconv"
	"time"

	"github.com/ainative/portcullis/plugins"
)

// TooMany is a 429 with Retry-After; its text follows from the wait.
func TooMany(retryAfter time.Duration) *plugins.Denial {
	return &plugins.Denial{
		Status: http.StatusTooManyRequests, Reason: plugins.ReasonRateLimited,
		RetryAfter: max(retryAfter, time.Nanosecond),
	}
}

// Denial is the refusal of a policy whose limiter has refused.
func (d *Decision) Denial(p *Policy) *plugins.Denial {
	row := &d.Rows[d.Blocking]
	denial := TooMany(d.RetryAfter)
	denial.Value = p.LimitName(d.Blocking) + ": " + strconv.FormatInt(row.Remaining, 10) + " left, next in " + row.RetryAfter.String()
	denial.Bound = row.Limit.String()
	return denial
}

// TooManyAtOnce refuses a request while others of the caller are under way.
func TooManyAtOnce(concurrency int) *plugins.Denial {
	d := TooMany(time.Second)
	d.Reason = plugins.ReasonConcurrency
	d.Value = "no place left"
	d.Bound = "concurrency " + strconv.Itoa(concurrency)
	return d
}

// CostTooHigh is a 400 and not a 429, because waiting does not help.
func CostTooHigh(cost, highest int64) *plugins.Denial {
	return &plugins.Denial{
		Status: http.StatusBadRequest, Reason: plugins.ReasonCostAboveBurst,
		Value: "cost " + strconv.FormatInt(cost, 10), Bound: "burst " + strconv.FormatInt(highest, 10),
	}
}

// KeyMissing refuses a request that can't be counted. It is never counted together
// with all others like it.
func KeyMissing(what string) *plugins.Denial {
	return &plugins.Denial{
		Status: http.StatusBadRequest, Reason: plugins.ReasonLimitKeyMissing,
		Value: what + " is empty", Bound: "a value to count by, or `missing anonymous`",
	}
}
