package limitertest

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins/ratelimit"
)

// testStrictBound throws random loads at strict windows: no window ever holds
// more than the limit, and none is refused that the window, made longer by a
// 60th, has room for.
func testStrictBound(t *testing.T, s Subject) {
	for _, text := range []string{"5/1m window strict", "60/1m window strict", "200/7s window strict"} {
		limit := ratelimit.MustParseLimit(text)
		b := newBench(t, s)
		random := rand.New(rand.NewPCG(1, uint64(limit.Count)))
		var at []time.Duration
		now := time.Duration(0)
		within := func(window time.Duration) (n int64) {
			for i := len(at) - 1; i >= 0 && at[i] > now-window; i-- {
				n++
			}
			return n
		}
		longer := limit.Period + (limit.Period+59)/60 + s.Tolerance
		for range 3000 {
			step := time.Duration(random.Int64N(int64(4 * limit.Interval())))
			if random.IntN(4) > 0 {
				step /= 50
			}
			b.advance(step)
			now += step
			d := b.take(1, limit)
			if d.Allowed {
				at = append(at, now)
				if n := within(limit.Period - s.Tolerance); n > limit.Count {
					t.Fatalf("%s: %d in one window", text, n)
				}
			} else if n := within(longer); n < limit.Count {
				t.Fatalf("%s: refused with %d in a window and a 60th", text, n)
			}
		}
	}
}

func testStrictBurst(t *testing.T, s Subject) {
	b := newBench(t, s)
	limit := ratelimit.MustParseLimit("10/1m window strict")
	for i := range int64(10) {
		if got := b.wantAllowed(1, limit).Rows[0].Remaining; got != 9-i {
			t.Errorf("%d remain, want %d", got, 9-i)
		}
	}
	d := b.wantRefused(1, limit)
	if !s.near(d.RetryAfter, time.Minute) {
		t.Errorf("the wait is %s, want 1m", d.RetryAfter)
	}
	b.advance(59 * time.Second)
	b.wantRefused(1, limit)
	b.advance(time.Second + s.Tolerance)
	b.wantAllowed(10, limit)
	b.wantRefused(1, limit)
	if got := b.wantRefused(11, limit).RetryAfter; got != -1 {
		t.Errorf("a cost above the limit: got a wait of %s, want never", got)
	}

	// Two thirds now and one third later come back in the same order.
	b.advance(2 * time.Minute)
	b.wantAllowed(6, limit)
	b.advance(30 * time.Second)
	b.wantAllowed(4, limit)
	d = b.wantRefused(5, limit)
	if !s.near(d.RetryAfter, 30*time.Second) {
		t.Errorf("the wait for 5 is %s, want 30s", d.RetryAfter)
	}
	if got := earliest(b.wantRefused(7, limit)); !s.near(got, time.Minute) {
		t.Errorf("the wait for 7 is %s, want 1m", got)
	}
	b.advance(30*time.Second + s.Tolerance)
	b.wantAllowed(6, limit)
	b.wantRefused(1, limit)
}

func testStrictAllOrNothing(t *testing.T, s Subject) {
	b := newBench(t, s)
	ls := limits("10/1m burst 2", "5/1m window strict")
	b.wantAllowed(2, ls...)
	if d := b.wantRefused(1, ls...); d.Blocking != 0 || d.Rows[1].Remaining != 3 {
		t.Errorf("got %+v, want the bucket to block and 3 of the window", d)
	}
	b.advance(12*time.Second + s.Tolerance)
	b.wantAllowed(2, ls...)
	b.advance(12*time.Second + s.Tolerance)
	b.wantAllowed(1, ls...)
	d := b.wantRefused(1, ls...)
	if d.Blocking != 1 || d.Rows[0].Remaining != 1 {
		t.Errorf("got %+v, want the window to block and 1 of the bucket", d)
	}
}

func testStrictRefund(t *testing.T, s Subject) {
	b := newBench(t, s)
	limit := ratelimit.MustParseLimit("5/1m window strict")
	b.wantAllowed(-3, limit)
	b.wantAllowed(3, limit)
	b.advance(20 * time.Second)
	b.wantAllowed(2, limit)
	b.wantRefused(1, limit)
	if got := b.wantAllowed(-1, limit).Rows[0].Remaining; got != 1 {
		t.Errorf("%d remain, want 1", got)
	}
	b.wantAllowed(1, limit)
	if got := b.wantAllowed(-100, limit).Rows[0]; got.Remaining != 5 || got.ResetAfter != 0 {
		t.Errorf("got %+v, want a full limit", got)
	}
}

func testStrictDebt(t *testing.T, s Subject) {
	b := newBench(t, s)
	limit := ratelimit.MustParseLimit("5/1m window strict")
	b.wantAllowed(1, limit)
	if got := b.adjust(1000, limit).Rows[0]; got.Remaining != 0 || !s.near(got.ResetAfter, time.Minute) {
		t.Errorf("got %+v, want nothing left for 1m", got)
	}
	// A debt of five has to be given back before the five of the limit.
	if got := b.adjust(-5, limit).Rows[0].Remaining; got != 0 {
		t.Errorf("%d remain with the debt given back, want 0", got)
	}
	if got := b.adjust(-2, limit).Rows[0].Remaining; got != 2 {
		t.Errorf("%d remain, want 2", got)
	}
	b.wantAllowed(2, limit)
	b.wantRefused(1, limit)
	b.advance(time.Minute + s.Tolerance)
	b.wantAllowed(5, limit)
}
