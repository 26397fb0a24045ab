package limitertest

import (
	"container/heap"
	"math/rand/v2"
	"net/http"
	"reflect"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/ratelimit"
)

// testSingleCaller sends requests one after the other and waits as it is told, in
// whole seconds and exactly: no answer knows of turns, down to the bytes of the
// headers.
func testSingleCaller(t *testing.T, s Subject) {
	for _, tc := range []struct {
		name   string
		limits []string
		cost   int64
	}{
		{"60/1m", []string{"60/1m"}, 1},
		{"300/1m", []string{"300/1m"}, 1},
		{"a cost of 7", []string{"60/1m burst 20"}, 7},
		{"a burst of 1", []string{"10/1s burst 1"}, 1},
		{"two limits", []string{"10/10s burst 5", "40/1h"}, 1},
	} {
		b := newBench(t, s)
		ls := limits(tc.limits...)
		policy, err := ratelimit.NewPolicy("p", ls, 0)
		if err != nil {
			t.Fatal(err)
		}
		random := rand.New(rand.NewPCG(7, 7))
		refusals := 0
		for range 60 {
			d := b.take(tc.cost, ls...)
			for n := 0; d.Allowed && n < 1000; n++ {
				d = b.take(tc.cost, ls...)
			}
			plain := ratelimit.Decide(d.Rows)
			plain.Share = d.Share
			got, want := http.Header{}, http.Header{}
			ratelimit.SetHeaders(got, policy, &d, ratelimit.HeadersAll)
			ratelimit.SetHeaders(want, policy, &plain, ratelimit.HeadersAll)
			if d.RetryAfter != plain.RetryAfter || !reflect.DeepEqual(got, want) {
				t.Fatalf("%s: a single caller is told %v, %v; want %v, %v", tc.name, d.RetryAfter, got, plain.RetryAfter, want)
			}
			b.advance(time.Duration(random.Int64N(int64(5 * time.Millisecond))))
			refusals++
			if wait := d.RetryAfter; refusals%2 == 0 {
				b.advance(wait)
			} else {
				b.advance(time.Duration(plugins.RetrySeconds(wait)) * time.Second)
			}
		}
	}
}

// testTurns refuses callers at one moment: each is told of a later unit, up to the
// end of the spread, and nothing of it holds anybody back.
func testTurns(t *testing.T, s Subject) {
	for _, tc := range []struct {
		limit  string
		cost   int64
		spread time.Duration
	}{
		{"60/1m", 1, 64 * time.Second},
		{"300/1m", 1, time.Minute},
		{"60/1m burst 10", 3, 64 * time.Second},
		{"10/1s burst 2", 1, 6400 * time.Millisecond},
		{"10/1m", 1, 5 * time.Minute},
		{"100/1h", 1, 5 * time.Minute},
		{"5/1d", 1, 0},
	} {
		b := newBench(t, s)
		limit := ratelimit.MustParseLimit(tc.limit)
		b.wantAllowed(limit.Burst, limit)
		var last time.Duration
		for k := range 400 {
			d := b.wantRefused(tc.cost, limit)
			first := earliest(d)
			turn := first + min(tc.spread, time.Duration(int64(k)*tc.cost)*limit.Interval())
			// An interval may be rounded up by a microsecond.
			if slack := s.Tolerance + time.Duration(k)*time.Microsecond; d.RetryAfter < turn-s.Tolerance || d.RetryAfter > turn+slack {
				t.Fatalf("%s: refusal %d is told %s, want %s", tc.limit, k+1, d.RetryAfter, turn)
			}
			if d.RetryAfter < last {
				t.Fatalf("%s: refusal %d is told %s after %s", tc.limit, k+1, d.RetryAfter, last)
			}
			last = d.RetryAfter
		}
		// Whoever comes when a unit is free gets it, whatever was told to others.
		b.advance(time.Duration(tc.cost)*limit.Interval() + s.Tolerance + time.Duration(tc.cost)*time.Microsecond)
		b.wantAllowed(tc.cost, limit)
	}
}

// testTurnsEnd leaves a crowd that does not come back: its turns are forgotten
// when units are left lying, or when they are over, and for other keys there are none.
func testTurnsEnd(t *testing.T, s Subject) {
	limit := ratelimit.MustParseLimit("60/1m")
	crowd := func() *bench {
		b := newBench(t, s)
		b.wantAllowed(60, limit)
		for range 500 {
			b.wantRefused(1, limit)
		}
		return b
	}
	single := func(b *bench, name string) {
		t.Helper()
		for b.take(1, limit).Allowed {
		}
		// The loop's own refusal has got the first turn.
		b.advance(time.Second + s.Tolerance)
		b.wantAllowed(1, limit)
		if d := b.wantRefused(1, limit); d.RetryAfter != earliest(d) {
			t.Errorf("%s: told %s, want %s", name, d.RetryAfter, earliest(d))
		}
	}
	b := crowd()
	b.advance(20 * time.Second)
	single(b, "nobody came for 20s")

	b = crowd()
	for range 63 {
		b.advance(time.Second + s.Tolerance)
		b.wantAllowed(1, limit)
	}
	b.advance(2 * time.Second)
	single(b, "all turns are over")

	b = crowd()
	b.key = ratelimit.NewKey("test", ratelimit.KindOwner, "another")
	b.wantAllowed(60, limit)
	single(b, "another key")

	b = crowd()
	if err := b.l.Reset(t.Context(), b.key, []ratelimit.Limit{limit}); err != nil {
		t.Fatal(err)
	}
	b.wantAllowed(60, limit)
	if d := b.wantRefused(1, limit); d.RetryAfter != earliest(d) {
		t.Errorf("after a reset: told %s, want %s", d.RetryAfter, earliest(d))
	}
}

// testTurnsOfLooks looks, gives back and corrects between refusals: only refused
// charges get turns.
func testTurnsOfLooks(t *testing.T, s Subject) {
	b := newBench(t, s)
	limit := ratelimit.MustParseLimit("60/1m")
	b.wantAllowed(60, limit)
	for k := range 5 {
		d := b.wantRefused(1, limit)
		if want := time.Duration(k+1) * time.Second; !s.near(d.RetryAfter, want) {
			t.Errorf("refusal %d is told %s, want %s", k+1, d.RetryAfter, want)
		}
		for range 3 {
			b.wantAllowed(0, limit)
			b.wantRefused(61, limit)
			b.adjust(0, limit)
		}
	}
}

// A crowd is the clients of one key, each of which sends its calls one after the
// other and waits as it is told, in whole seconds.
type crowd struct {
	limits  []string
	cost    int64
	clients int
	calls   int
	// latency is the longest time that a request is on its way, and late how much
	// later than it wanted a client wakes up at most.
	latency, late time.Duration
}

// crowdTries is how often a client sends a call before it gives up.
const crowdTries = 3

// Crowd is what turns are for: of the clients of one key everybody gets through
// within three tries, and no more than the limit has.
func Crowd(t *testing.T, s Subject) {
	for _, c := range []crowd{
		{limits: []string{"60/1m"}, cost: 1, clients: 50, calls: 1},
		{limits: []string{"60/1m"}, cost: 1, clients: 5, calls: 4},
		{limits: []string{"60/1m"}, cost: 1, clients: 50, calls: 3},
		{limits: []string{"61/1m"}, cost: 1, clients: 50, calls: 1},
		{limits: []string{"60/1m burst 10"}, cost: 1, clients: 50, calls: 1},
		{limits: []string{"20/1m"}, cost: 1, clients: 50, calls: 1},
		{limits: []string{"300/1m"}, cost: 1, clients: 50, calls: 1},
		{limits: []string{"1000/1m"}, cost: 1, clients: 50, calls: 1},
		{limits: []string{"10/1s"}, cost: 1, clients: 50, calls: 1},
		{limits: []string{"120/1m"}, cost: 3, clients: 40, calls: 1},
		{limits: []string{"60/1m", "1000/1h"}, cost: 1, clients: 50, calls: 1},
		{limits: []string{"60/1m window strict"}, cost: 1, clients: 50, calls: 1},
	} {
		if s.NoStrict && limits(c.limits...)[0].Strict {
			continue
		}
		c.latency, c.late = 20*time.Millisecond, 50*time.Millisecond
		for seed := range uint64(3) {
			c.run(t, s, seed)
		}
	}
}

func (c crowd) run(t *testing.T, s Subject, seed uint64) {
	t.Helper()
	b := newBench(t, s)
	ls := limits(c.limits...)
	for range ls[0].Burst {
		b.take(1, ls...)
	}
	random := rand.New(rand.NewPCG(seed, 1))
	upTo := func(d time.Duration) time.Duration { return time.Duration(random.Int64N(int64(d) + 1)) }
	var requests queue
	for range c.clients {
		heap.Push(&requests, request{at: upTo(30 * time.Millisecond), calls: c.calls, tries: crowdTries})
	}
	now, gaveUp := time.Duration(0), 0
	var history []Admission
	for len(requests) > 0 {
		r := heap.Pop(&requests).(request)
		b.advance(r.at - now)
		now = r.at
		d := b.take(c.cost, ls...)
		r.at += upTo(c.latency)
		if d.Allowed {
			history = append(history, Admission{At: now, Cost: c.cost})
			r.calls, r.tries = r.calls-1, crowdTries
		} else {
			r.tries--
			r.at += time.Duration(plugins.RetrySeconds(d.RetryAfter))*time.Second + upTo(c.late)
		}
		switch {
		case r.tries == 0:
			gaveUp++
		case r.calls > 0:
			r.at += upTo(c.latency)
			heap.Push(&requests, r)
		}
	}
	if gaveUp > 0 {
		t.Errorf("%v, %d clients with %d calls, seed %d: %d gave up after %d tries", c.limits, c.clients, c.calls, seed, gaveUp, crowdTries)
	}
	if excess := Excess(history, ls[0]); excess > int64(float64(ls[0].Burst)*s.Over) {
		t.Errorf("%v: %d units more than the limit has", c.limits, excess)
	}
}

// A request of a crowd's client is sent at a time; calls are those that are left,
// this one included, and tries those of this one.
type request struct {
	at           time.Duration
	calls, tries int
}

// queue is a heap of requests, the next first.
type queue []request

func (q *queue) Len() int           { return len(*q) }
func (q *queue) Less(i, j int) bool { return (*q)[i].at < (*q)[j].at }
func (q *queue) Swap(i, j int)      { (*q)[i], (*q)[j] = (*q)[j], (*q)[i] }
func (q *queue) Push(x any)         { *q = append(*q, x.(request)) }

func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}
