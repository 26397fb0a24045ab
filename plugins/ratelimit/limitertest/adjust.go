package limitertest

import (
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins/ratelimit"
)

func testPeek(t *testing.T, s Subject) {
	b := newBench(t, s)
	ls := limits("10/10s burst 5", "100/1d")
	for _, took := range []int64{0, 2, 3} {
		before := b.wantAllowed(took, ls...)
		rows := append([]ratelimit.Row(nil), before.Rows...)
		for range 3 {
			if d := b.wantAllowed(0, ls...); d.Rows[0] != rows[0] || d.Rows[1] != rows[1] {
				t.Errorf("after taking %d a look has %+v, want %+v", took, d.Rows, rows)
			}
		}
	}
	b.wantRefused(1, ls...)
	// A look at a limit in the past of which nothing was taken brings nothing back.
	b.advance(time.Second + s.Tolerance)
	b.wantAllowed(0, ls...)
	b.wantAllowed(1, ls...)
	b.wantRefused(1, ls...)
}

func testAdjust(t *testing.T, s Subject) {
	b := newBench(t, s)
	ls := limits("10/10s", "100/1d")
	for _, step := range []struct{ delta, first, second int64 }{
		{0, 10, 100}, {3, 7, 97}, {-1, 8, 98}, {-100, 10, 100}, {10, 0, 90}, {-4, 4, 94}, {-1 << 63, 10, 100},
	} {
		d := b.adjust(step.delta, ls...)
		if d.Rows[0].Remaining != step.first || d.Rows[1].Remaining != step.second {
			t.Errorf("after %d: got %+v, want %d and %d", step.delta, d.Rows, step.first, step.second)
		}
	}
	b.wantAllowed(10, ls...)
	b.wantRefused(1, ls...)
}

func testDebt(t *testing.T, s Subject) {
	b := newBench(t, s)
	limit := ratelimit.MustParseLimit("10/10s")
	b.wantAllowed(8, limit)
	row := b.adjust(7, limit).Rows[0]
	if row.Remaining != 0 || !s.near(row.NextAfter, 6*time.Second) || !s.near(row.ResetAfter, 15*time.Second) {
		t.Errorf("got %+v, want nothing left, the next in 6s and all in 15s", row)
	}
	if got := earliest(b.wantRefused(1, limit)); !s.near(got, 6*time.Second) {
		t.Errorf("got a wait of %s, want 6s", got)
	}
	if got := earliest(b.wantRefused(3, limit)); !s.near(got, 8*time.Second) {
		t.Errorf("got a wait of %s for 3, want 8s", got)
	}
	// A look and a refund leave the rest of the debt.
	if got := b.wantAllowed(0, limit).Rows[0]; got.Remaining != 0 || !s.near(got.NextAfter, 6*time.Second) {
		t.Errorf("a look: got %+v", got)
	}
	if got := b.wantAllowed(-2, limit).Rows[0]; got.Remaining != 0 || !s.near(got.NextAfter, 4*time.Second) {
		t.Errorf("a refund: got %+v, want the next in 4s", got)
	}
	b.advance(4*time.Second - time.Millisecond)
	b.wantRefused(1, limit)
	b.advance(time.Millisecond + s.Tolerance)
	b.wantAllowed(1, limit)
	b.wantRefused(1, limit)

	// However much it is, nobody waits longer than two fillings.
	for _, delta := range []int64{1000, 1 << 40, 1<<63 - 1} {
		if got := b.adjust(delta, limit).Rows[0]; !s.near(got.ResetAfter, 20*time.Second) || !s.near(got.NextAfter, 11*time.Second) {
			t.Errorf("after %d: got %+v, want the next in 11s and all in 20s", delta, got)
		}
	}
	// That holds for a limit that was lowered meanwhile.
	low := ratelimit.MustParseLimit("10/10s burst 2")
	if got := earliest(b.wantRefused(1, low)); !s.near(got, 3*time.Second) {
		t.Errorf("burst lowered: got a wait of %s, want 3s", got)
	}
	b.advance(3*time.Second + s.Tolerance)
	b.wantAllowed(1, low)
	b.wantRefused(1, low)
}

// testDebtKeepsTheRate lets each request pay one unit at first and the rest
// afterwards: in the long run the units per time are those of the limit.
func testDebtKeepsTheRate(t *testing.T, s Subject) {
	b := newBench(t, s)
	limit := ratelimit.MustParseLimit("10/10s")
	spent := int64(0)
	for range 1000 {
		if b.take(1, limit).Allowed {
			b.adjust(6, limit)
			spent += 7
		}
		b.advance(time.Second)
	}
	if least, most := int64(1000), int64(1000+10+7); spent < least-7 || spent > most {
		t.Errorf("%d units in 1000s, want from %d to %d", spent, least-7, most)
	}
}

func testResetOfDebt(t *testing.T, s Subject) {
	b := newBench(t, s)
	ls := limits("10/10s", "20/1h")
	b.adjust(100, ls...)
	b.wantRefused(1, ls...)
	if err := b.l.Reset(t.Context(), b.key, ls); err != nil {
		t.Fatal(err)
	}
	if d := b.wantAllowed(0, ls...); d.Rows[0].Remaining != 10 || d.Rows[1].Remaining != 20 {
		t.Errorf("got %+v, want both full", d.Rows)
	}
	b.wantAllowed(10, ls...)
	b.wantRefused(1, ls...)
}
