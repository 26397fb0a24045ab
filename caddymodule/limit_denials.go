package caddymodule

import (
	"net/http"
	"strconv"
	"time"

	"github.com/ainative/portcullis/plugins"
)

// overLimit is the refusal of a limiter.
func overLimit(c *charge) *plugins.Denial {
	row := &c.Rows[c.Blocking]
	d := tooMany(c.RetryAfter)
	d.Value = c.policy.LimitName(c.Blocking) + ": " + strconv.FormatInt(row.Remaining, 10) + " left, next in " + row.RetryAfter.String()
	d.Bound = row.Limit.String()
	return d
}

// tooManyAtOnce refuses a request while others of the caller are under way.
func tooManyAtOnce(concurrency int) *plugins.Denial {
	d := tooMany(time.Second)
	d.Reason = plugins.ReasonConcurrency
	d.Value = "no place left"
	d.Bound = "concurrency " + strconv.Itoa(concurrency)
	return d
}

// tooMany is a 429; its text follows from the wait.
func tooMany(retryAfter time.Duration) *plugins.Denial {
	return &plugins.Denial{
		Status: http.StatusTooManyRequests, Reason: plugins.ReasonRateLimited,
		RetryAfter: max(retryAfter, time.Nanosecond),
	}
}

// costTooHigh is a 400 and not a 429, because waiting does not help.
func costTooHigh(cost, highest int64) *plugins.Denial {
	return &plugins.Denial{
		Status: http.StatusBadRequest, Reason: plugins.ReasonCostAboveBurst,
		Value: "cost " + strconv.FormatInt(cost, 10), Bound: "burst " + strconv.FormatInt(highest, 10),
	}
}

// keyMissing refuses a request that can't be counted. It is never counted in one
// bucket with all others like it.
func keyMissing(what string) *plugins.Denial {
	return &plugins.Denial{
		Status: http.StatusBadRequest, Reason: plugins.ReasonLimitKeyMissing,
		Value: what + " is empty", Bound: "a value to count by, or `missing anonymous`",
	}
}
