package limitertest

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins/ratelimit"
)

func testExactBurst(t *testing.T, s Subject) {
	for _, text := range []string{"60/1m", "300/1m", "1000/1m", "7/1m", "13/1m", "90/1m", "49/1m", "3/1s", "10/1s burst 20", "60/1m burst 1", "1/1d"} {
		b := newBench(t, s)
		limit := ratelimit.MustParseLimit(text)
		for i := range limit.Burst {
			if d := b.take(1, limit); !d.Allowed || d.Rows[0].Remaining != limit.Burst-i-1 {
				t.Fatalf("%s: request %d at one instant: got %+v", text, i+1, d)
			}
		}
		b.wantRefused(1, limit)
		// A period later it passes again in full.
		b.advance(limit.Horizon() + s.Tolerance)
		b.wantAllowed(limit.Burst, limit)
		b.wantRefused(1, limit)
	}
}

func testRemaining(t *testing.T, s Subject) {
	b := newBench(t, s)
	limit := ratelimit.MustParseLimit("6/1m")
	for _, want := range []int64{5, 4, 3, 2, 1, 0} {
		if got := b.wantAllowed(1, limit).Rows[0].Remaining; got != want {
			t.Errorf("got %d, want %d", got, want)
		}
	}
	row := b.wantRefused(1, limit).Rows[0]
	if row.Remaining != 0 || !s.near(row.NextAfter, 10*time.Second) || !s.near(row.ResetAfter, time.Minute) {
		t.Errorf("got %+v, want 0 remaining, the next in 10s and all in 1m", row)
	}
	// A fraction of the interval brings no unit back.
	b.advance(10*time.Second - time.Millisecond)
	if row := b.wantRefused(1, limit).Rows[0]; row.Remaining != 0 || !s.near(row.NextAfter, time.Millisecond) {
		t.Errorf("got %+v, want 0 remaining and the next in 1ms", row)
	}
}

func testRetryIsExact(t *testing.T, s Subject) {
	for _, text := range []string{"60/1m", "7/1m", "3/1s burst 5", "1000/1m", "100000/1d"} {
		for _, cost := range []int64{1, 3} {
			b := newBench(t, s)
			limit := ratelimit.MustParseLimit(text)
			b.wantAllowed(limit.Burst, limit)
			retry := b.wantRefused(cost, limit).RetryAfter
			if want := time.Duration(cost) * limit.Interval(); !s.near(retry, want) {
				t.Errorf("%s: cost %d is told to wait %s, want %s", text, cost, retry, want)
			}
			early := s.Tolerance + 1
			b.advance(retry - early)
			if again := earliest(b.wantRefused(cost, limit)); !s.near(again, early) {
				t.Errorf("%s: %s before the time the wait is %s", text, early, again)
			}
			b.advance(early)
			b.wantAllowed(cost, limit)
		}
	}
}

func testRefusedAreFree(t *testing.T, s Subject) {
	b := newBench(t, s)
	limit := ratelimit.MustParseLimit("10/10s")
	b.wantAllowed(10, limit)
	for i := range 99 {
		b.advance(10 * time.Millisecond)
		want := time.Second - time.Duration(i+1)*10*time.Millisecond
		if got := earliest(b.wantRefused(1, limit)); !s.near(got, want) {
			t.Fatalf("after %d refusals the wait is %s, want %s", i+1, got, want)
		}
	}
	b.advance(10*time.Millisecond + s.Tolerance)
	b.wantAllowed(1, limit)
	b.wantRefused(1, limit)
}

func testCostAboveBurst(t *testing.T, s Subject) {
	b := newBench(t, s)
	ls := limits("60/1m burst 5", "100/1h")
	for _, cost := range []int64{6, 1000, 1 << 40, 1<<63 - 1} {
		d := b.wantRefused(cost, ls...)
		if d.RetryAfter != -1 || d.Blocking != 0 || d.Rows[0].RetryAfter != -1 {
			t.Errorf("cost %d: got %+v, want never", cost, d)
		}
		if d.Rows[0].Remaining != 5 || d.Rows[1].Remaining != 100 {
			t.Errorf("cost %d drained something: %+v", cost, d)
		}
	}
	b.wantAllowed(5, ls...)
}

func testLook(t *testing.T, s Subject) {
	b := newBench(t, s)
	limit := ratelimit.MustParseLimit("10/1s")
	if d := b.wantAllowed(0, limit); d.Rows[0].Remaining != 10 || d.Rows[0].ResetAfter != 0 {
		t.Errorf("a look at nothing: got %+v", d)
	}
	b.wantAllowed(10, limit)
	for range 3 {
		if d := b.wantAllowed(0, limit); d.Rows[0].Remaining != 0 || !s.near(d.Rows[0].NextAfter, 100*time.Millisecond) {
			t.Errorf("a look at an empty bucket: got %+v", d)
		}
	}
	b.advance(100*time.Millisecond + s.Tolerance)
	b.wantAllowed(1, limit)
}

func testRefund(t *testing.T, s Subject) {
	b := newBench(t, s)
	limit := ratelimit.MustParseLimit("10/10s")
	for _, step := range []struct{ cost, remaining int64 }{
		{-5, 10}, {1, 9}, {-1, 10}, {-100, 10}, {10, 0}, {-3, 3}, {0, 3}, {3, 0}, {-1 << 63, 10}, {0, 10}, {10, 0},
	} {
		if got := b.wantAllowed(step.cost, limit).Rows[0].Remaining; got != step.remaining {
			t.Fatalf("after a cost of %d: %d remain, want %d", step.cost, got, step.remaining)
		}
	}
	b.wantRefused(1, limit)
	b.take(-1, limit)
	b.wantAllowed(1, limit)
	b.wantRefused(1, limit)
}

func testAllOrNothing(t *testing.T, s Subject) {
	b := newBench(t, s)
	ls := limits("12/1m", "200/30d")
	for range 12 {
		b.wantAllowed(1, ls...)
	}
	for range 5 {
		d := b.wantRefused(1, ls...)
		if d.Blocking != 0 || d.Rows[1].Remaining != 188 || d.Rows[1].RetryAfter != 0 {
			t.Fatalf("got %+v, want the first limit to block and 188 of the second", d)
		}
	}
	if got := b.wantAllowed(0, ls[1]).Rows[0].Remaining; got != 188 {
		t.Errorf("asked alone the long limit has %d, want 188", got)
	}
	b.advance(5*time.Second + s.Tolerance)
	if d := b.wantAllowed(1, ls...); d.Rows[1].Remaining != 187 {
		t.Errorf("got %+v, want 187 of the second", d)
	}
}

func testBlocking(t *testing.T, s Subject) {
	b := newBench(t, s)
	ls := limits("2/1s", "2/1m", "100/1h")
	b.wantAllowed(2, ls...)
	d := b.wantRefused(1, ls...)
	if d.Blocking != 1 || !s.near(d.RetryAfter, 30*time.Second) || !s.near(d.Rows[0].RetryAfter, 500*time.Millisecond) || d.Rows[2].RetryAfter != 0 {
		t.Errorf("got %+v, want the second to block for 30s", d)
	}
}

func testKeys(t *testing.T, s Subject) {
	b := newBench(t, s)
	limit := ratelimit.MustParseLimit("2/1m")
	first, second := b.key, ratelimit.NewKey("test", ratelimit.KindOwner, "u2")
	for range 2 {
		b.wantAllowed(2, limit)
		b.wantRefused(1, limit)
		b.key = second
	}
	b.key = first
	b.wantRefused(1, limit)
}

func testLimitChange(t *testing.T, s Subject) {
	b := newBench(t, s)
	high, low := ratelimit.MustParseLimit("100/1m"), ratelimit.MustParseLimit("10/1m")
	b.wantAllowed(100, high)
	// No more is owed than an empty bucket of the new limit.
	if d := b.wantRefused(1, low); !s.near(d.RetryAfter, 6*time.Second) || !s.near(d.Rows[0].ResetAfter, time.Minute) {
		t.Errorf("lowered: got %+v, want a wait of 6s", d)
	}
	b.advance(6*time.Second + s.Tolerance)
	b.wantAllowed(1, low)
	b.wantRefused(1, low)
	// That holds for a lower burst too, and what is told is what happens.
	b.advance(time.Hour)
	wide := ratelimit.MustParseLimit("60/1m burst 600")
	b.wantAllowed(600, wide)
	narrow := ratelimit.MustParseLimit("60/1m burst 5")
	retry := b.wantRefused(1, narrow).RetryAfter
	if !s.near(retry, time.Second) {
		t.Errorf("burst lowered: got a wait of %s, want 1s", retry)
	}
	b.advance(retry + s.Tolerance)
	b.wantAllowed(1, narrow)
	b.wantRefused(1, narrow)
	// A raised burst is there at once.
	b.advance(time.Hour)
	b.wantAllowed(10, low)
	b.wantRefused(1, low)
	wide = ratelimit.MustParseLimit("10/1m burst 20")
	b.wantAllowed(10, wide)
	b.wantRefused(1, wide)
}

func testReset(t *testing.T, s Subject) {
	b := newBench(t, s)
	ls := limits("2/1m", "5/1h")
	b.wantAllowed(2, ls...)
	b.wantRefused(1, ls...)
	if err := b.l.Reset(t.Context(), b.key, ls[:1]); err != nil {
		t.Fatal(err)
	}
	if d := b.wantAllowed(1, ls...); d.Rows[0].Remaining != 1 || d.Rows[1].Remaining != 2 {
		t.Errorf("got %+v, want 1 and 2", d)
	}
	if err := b.l.Reset(t.Context(), ratelimit.NewKey("nobody", "", ""), ls); err != nil {
		t.Errorf("resetting nothing: %v", err)
	}
}

func testParallel(t *testing.T, s Subject) {
	b := newBench(t, s)
	limit := ratelimit.MustParseLimit("100/1h")
	var passed atomic.Int64
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for range 20 {
				d, err := b.l.Take(t.Context(), b.key, []ratelimit.Limit{limit}, 1, nil)
				if err != nil {
					t.Error(err)
					return
				}
				if d.Allowed {
					passed.Add(1)
				}
			}
		})
	}
	all.Wait()
	if got := float64(passed.Load()); got > 100*(1+s.Over) || got < 100*(1-s.Under) {
		t.Errorf("%v of 320 passed, want 100", got)
	}
}

func testInvalid(t *testing.T, s Subject) {
	b := newBench(t, s)
	good := ratelimit.MustParseLimit("1/1m")
	for name, ls := range map[string][]ratelimit.Limit{
		"none":     nil,
		"zero":     {{}},
		"period 0": {{Count: 1, Burst: 1}},
		"burst 0":  {{Count: 1, Period: time.Minute}},
		"rate 0":   {{Period: time.Minute, Burst: 1}},
		"negative": {{Count: -1, Period: time.Minute, Burst: -1}},
		"twice":    {good, good},
		"too many": make([]ratelimit.Limit, ratelimit.MaxLimits+1),
		"one bad":  {good, {}},
		"too fast": {{Count: 1 << 40, Period: time.Second, Burst: 1}},
		"too long": {{Count: 1, Period: time.Hour, Burst: 1 << 60}},
	} {
		if d, err := b.l.Take(t.Context(), b.key, ls, 1, nil); !errors.Is(err, ratelimit.ErrLimit) || d.Allowed {
			t.Errorf("%s: got %+v, %v, want ErrLimit", name, d, err)
		}
	}
	b.wantAllowed(1, good)
}

func testRows(t *testing.T, s Subject) {
	b := newBench(t, s)
	rows := make([]ratelimit.Row, 3, 8)
	d, err := b.l.Take(t.Context(), b.key, limits("2/1s", "2/1m"), 1, rows)
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Rows) != 2 || &d.Rows[0] != &rows[0] {
		t.Errorf("got %d rows in another array", len(d.Rows))
	}
}

func testLongWindow(t *testing.T, s Subject) {
	b := newBench(t, s)
	ls := limits("60/1m", "100/30d")
	admitted := 0
	for range 300 {
		if b.take(1, ls...).Allowed {
			admitted++
		}
		b.advance(500 * time.Millisecond)
	}
	if admitted != 100 {
		t.Errorf("%d passed, want the 100 of the long window", admitted)
	}
	if d := b.wantRefused(1, ls...); d.Blocking != 1 || d.Rows[0].RetryAfter != 0 {
		t.Errorf("got %+v, want the long window to block", d)
	}
}
