package ratelimit

import (
	"strconv"
	"time"
)

// Detail is the public text of a refusal: `Rate limit exceeded. Try again in 30
// seconds.`, in the whole seconds of Retry-After.
func Detail(retryAfter time.Duration) string {
	n := RetrySeconds(retryAfter)
	if n == 1 {
		return "Rate limit exceeded. Try again in 1 second."
	}
	return "Rate limit exceeded. Try again in " + strconv.Itoa(n) + " seconds."
}
