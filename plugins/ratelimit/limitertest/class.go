package limitertest

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins/ratelimit"
)

// A rateLimiter is the class RateLimiter of the API's document for customers, line by
// line. It notes the time before it sleeps.
type rateLimiter struct {
	maxRequests int
	timeWindow  time.Duration
	requests    []time.Duration
}

// waitIfNeeded is called at now and returns how long it sleeps.
func (r *rateLimiter) waitIfNeeded(now time.Duration) (sleep time.Duration) {
	for len(r.requests) > 0 && now-r.requests[0] > r.timeWindow {
		r.requests = r.requests[1:]
	}
	if len(r.requests) >= r.maxRequests {
		sleep = max(0, r.timeWindow-(now-r.requests[0]))
	}
	r.requests = append(r.requests, now)
	return sleep
}

// network is how long a request is on its way, there and back together: from least
// to most, the part of it to the gateway by chance.
type network struct{ least, most time.Duration }

// refused sends calls as the class does and counts those that are refused.
func (b *bench) refused(promised int, limit ratelimit.Limit, n network, calls int) (refused int) {
	class := rateLimiter{maxRequests: promised, timeWindow: time.Minute}
	random := rand.New(rand.NewPCG(uint64(promised), uint64(n.most)))
	now := time.Duration(0)
	pass := func(d time.Duration) {
		b.advance(d)
		now += d
	}
	for range calls {
		// A sleep takes a little longer than it was asked for.
		if sleep := class.waitIfNeeded(now); sleep > 0 {
			pass(sleep + time.Duration(random.Int64N(int64(500*time.Microsecond))))
		}
		trip := n.least + time.Duration(random.Int64N(int64(n.most-n.least)+1))
		there := n.least/2 + time.Duration(random.Int64N(int64(trip-n.least)+1))
		pass(there)
		if !b.take(1, limit).Allowed {
			refused++
		}
		pass(trip - there)
	}
	return refused
}

// testDocumentClass runs the document's class, on networks from the fastest to the
// slowest, against the default tiers: it is never refused, but by limiters that may
// refuse early. One unit less, which is what the class is told, refuses it, and so does
// a larger burst in the end.
func testDocumentClass(t *testing.T, s Subject) {
	promises := []int{60, 300, 1000}
	for i, tier := range ratelimit.DefaultTiers() {
		for _, n := range []network{
			{5 * time.Millisecond, 5 * time.Millisecond},
			{5 * time.Millisecond, 40 * time.Millisecond},
			{20 * time.Millisecond, 900 * time.Millisecond},
		} {
			b := newBench(t, s)
			calls := 3*promises[i] + 100
			if got := b.refused(promises[i], tier.Limits[0], n, calls); float64(got) > s.Under*float64(calls) {
				t.Errorf("%s, a network of %v: %d of %d calls are refused, want none", tier.Name, n, got, calls)
			}
		}
	}
	fast := network{5 * time.Millisecond, 5 * time.Millisecond}
	for text, calls := range map[string]int{"60/1m": 200, "60/1m burst 62": 400} {
		if got := newBench(t, s).refused(60, ratelimit.MustParseLimit(text), fast, calls); got == 0 {
			t.Errorf("%s: none of %d calls is refused: the tolerance of the tiers is too large", text, calls)
		}
	}
}
