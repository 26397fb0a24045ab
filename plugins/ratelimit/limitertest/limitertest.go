// Package limitertest is the contract of a ratelimit.Limiter as tests: what
// every implementation answers to the same calls at the same times. Traces with
// known answers, a model to compare with and a checker for histories are in it.
package limitertest

import (
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins/ratelimit"
)

// Subject makes the limiter under test.
type Subject struct {
	// New makes an empty limiter and the way to move its time. The time stands
	// still but for that.
	New func(t testing.TB) (l ratelimit.Limiter, advance func(time.Duration))
	// Tolerance is how far a time in an answer may be off, for limiters that
	// count in coarser units than nanoseconds.
	Tolerance time.Duration
	// Backward says that advance takes negative durations.
	Backward bool
	// Over and Under are how far the admissions of callers who come at once may be
	// from the burst, as parts of it, for limiters that promise a bound.
	Over, Under float64
	// NoStrict says that limits with a strict window are refused.
	NoStrict bool
}

// Run holds a limiter to the contract.
func Run(t *testing.T, s Subject) {
	t.Run("traces", func(t *testing.T) { runTraces(t, s) })
	for _, tc := range []struct {
		name string
		run  func(*testing.T, Subject)
	}{
		{"a burst passes exactly, whatever the rate", testExactBurst},
		{"remaining counts down and the next refusal is at 0", testRemaining},
		{"waiting exactly the retry lets the next one in", testRetryIsExact},
		{"refused requests cost nothing and extend nothing", testRefusedAreFree},
		{"a cost above the burst can never pass", testCostAboveBurst},
		{"a cost of 0 looks", testLook},
		{"a negative cost gives back, never past full", testRefund},
		{"a look charges nothing and changes nothing", testPeek},
		{"adjusting charges and gives back", testAdjust},
		{"a charge past empty is a debt of one burst at most", testDebt},
		{"a debt holds a caller to the rate", testDebtKeepsTheRate},
		{"several limits charge all or none", testAllOrNothing},
		{"the limit with the longest wait blocks", testBlocking},
		{"keys do not touch each other", testKeys},
		{"a changed limit holds at once", testLimitChange},
		{"reset forgets the limits it names", testReset},
		{"reset forgets a debt", testResetOfDebt},
		{"in parallel exactly the burst passes", testParallel},
		{"limits that can't be are errors", testInvalid},
		{"rows are appended to the caller's slice", testRows},
		{"long windows count beside short ones", testLongWindow},
		{"a single caller that waits as it is told never hears of turns", testSingleCaller},
		{"refused callers get turns that are spread and bounded", testTurns},
		{"turns end when nobody comes", testTurnsEnd},
		{"only refused charges get turns", testTurnsOfLooks},
		{"a crowd that waits as it is told gets through in three tries", Crowd},
		{"the document's own class is never refused by a default tier", testDocumentClass},
	} {
		t.Run(tc.name, func(t *testing.T) { tc.run(t, s) })
	}
	if s.NoStrict {
		return
	}
	for _, tc := range []struct {
		name string
		run  func(*testing.T, Subject)
	}{
		{"a strict window never admits more", testStrictBound},
		{"a strict window forgets a burst in time", testStrictBurst},
		{"a strict window beside a bucket charges all or none", testStrictAllOrNothing},
		{"a strict window gives back", testStrictRefund},
		{"a strict window takes a debt", testStrictDebt},
	} {
		t.Run(tc.name, func(t *testing.T) { tc.run(t, s) })
	}
}

// bench is a limiter with one key, for tests that read as sentences.
type bench struct {
	t       testing.TB
	s       Subject
	l       ratelimit.Limiter
	advance func(time.Duration)
	key     ratelimit.Key
	rows    []ratelimit.Row
}

func newBench(t testing.TB, s Subject) *bench {
	l, advance := s.New(t)
	return &bench{t: t, s: s, l: l, advance: advance, key: ratelimit.NewKey("test", ratelimit.KindOwner, "u1")}
}

func limits(texts ...string) []ratelimit.Limit {
	var ls []ratelimit.Limit
	for _, text := range texts {
		ls = append(ls, ratelimit.MustParseLimit(text))
	}
	return ls
}

func (b *bench) take(cost int64, ls ...ratelimit.Limit) ratelimit.Decision {
	b.t.Helper()
	d, err := b.l.Take(b.t.Context(), b.key, ls, cost, b.rows)
	return b.check(d, err, cost, ls)
}

// adjust corrects a charge.
func (b *bench) adjust(delta int64, ls ...ratelimit.Limit) ratelimit.Decision {
	b.t.Helper()
	d, err := b.l.Adjust(b.t.Context(), b.key, ls, delta, b.rows)
	if err == nil && !d.Allowed {
		b.t.Fatalf("adjusting %v by %d: refused", ls, delta)
	}
	return b.check(d, err, delta, ls)
}

// check finds what is wrong with any answer.
func (b *bench) check(d ratelimit.Decision, err error, cost int64, ls []ratelimit.Limit) ratelimit.Decision {
	b.t.Helper()
	if err != nil {
		b.t.Fatalf("taking %d of %v: %v", cost, ls, err)
	}
	b.rows = d.Rows
	if len(d.Rows) != len(ls) {
		b.t.Fatalf("taking %d of %v: %d rows", cost, ls, len(d.Rows))
	}
	for i, row := range d.Rows {
		if row.Limit != ls[i] {
			b.t.Fatalf("row %d is about %v, want %v", i, row.Limit, ls[i])
		}
		if row.Remaining < 0 || row.Remaining > row.Limit.Burst || row.ResetAfter < 0 || row.NextAfter < 0 || row.NextAfter > row.ResetAfter {
			b.t.Fatalf("row %d can't be: %+v", i, row)
		}
		if (row.NextAfter == 0) != (row.Remaining == row.Limit.Burst) {
			b.t.Fatalf("row %d: %d of %d remain and more comes after %s", i, row.Remaining, row.Limit.Burst, row.NextAfter)
		}
	}
	if d.Allowed != (d.Blocking == -1) || d.Allowed != (d.RetryAfter == 0) {
		b.t.Fatalf("the decision contradicts itself: %+v", d)
	}
	if first := earliest(d); d.RetryAfter < first || (d.RetryAfter < 0) != (first < 0) {
		b.t.Fatalf("a turn before the unit is free, %s: %+v", first, d)
	}
	return d
}

func (b *bench) wantAllowed(cost int64, ls ...ratelimit.Limit) ratelimit.Decision {
	b.t.Helper()
	d := b.take(cost, ls...)
	if !d.Allowed {
		b.t.Fatalf("taking %d of %v: refused, want allowed: %+v", cost, ls, d)
	}
	return d
}

func (b *bench) wantRefused(cost int64, ls ...ratelimit.Limit) ratelimit.Decision {
	b.t.Helper()
	d := b.take(cost, ls...)
	if d.Allowed {
		b.t.Fatalf("taking %d of %v: allowed, want refused: %+v", cost, ls, d)
	}
	return d
}

// earliest is the time until the cost can pass, whoever else was told so.
func earliest(d ratelimit.Decision) time.Duration {
	if d.Allowed {
		return 0
	}
	return d.Rows[d.Blocking].RetryAfter
}

// near reports whether two times agree within the subject's tolerance.
func (s Subject) near(got, want time.Duration) bool {
	return got-want <= s.Tolerance && want-got <= s.Tolerance
}
