package redisgcra

import (
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins/ratelimit"
)

func TestDenyCache(t *testing.T) {
	d := newDenyCache(func(l *ratelimit.Limit) time.Duration { return l.Interval() }, func() {})
	key := ratelimit.NewKey("z", ratelimit.KindOwner, "u")
	limits := []ratelimit.Limit{ratelimit.MustParseLimit("10/1s")}
	rows := make([]ratelimit.Row, 1)
	ask := func(now time.Duration, want bool) ticket {
		t.Helper()
		ticket, refused := d.check(key, limits, 1, now, rows)
		if refused == want {
			t.Fatalf("at %s: refused without asking is %v", now, refused)
		}
		return ticket
	}
	answer := func(sent time.Duration, debt time.Duration, tick ticket) {
		row := limits[0].Row(debt)
		d.done(key, limits, 1, sent, sent, []ratelimit.Row{row}, tick)
	}
	answer(0, 500*time.Millisecond, ask(0, true))
	ask(0, true)
	// The last unit was taken: until the next is due nobody needs to ask.
	answer(0, time.Second, ask(0, true))
	ask(time.Millisecond, false)
	if got, want := rows[0].RetryAfter, 99*time.Millisecond+clockGrain; got != want || rows[0].Remaining != 0 {
		t.Errorf("got %+v, want a wait of %s", rows[0], want)
	}
	ask(99*time.Millisecond, false)
	// One unit is due: one asks, and the others wait for the next.
	first := ask(100*time.Millisecond, true)
	ask(100*time.Millisecond, false)
	if got, want := rows[0].RetryAfter, 100*time.Millisecond+clockGrain; got != want {
		t.Errorf("got a wait of %s, want %s", got, want)
	}
	ask(199*time.Millisecond, false)
	second := ask(200*time.Millisecond, true)
	// An ask that fails leaves its unit to another.
	d.failed(key, second)
	second = ask(200*time.Millisecond, true)
	ask(200*time.Millisecond, false)
	answer(200*time.Millisecond, time.Second, second)
	ask(299*time.Millisecond, false)
	// An answer from before counts no more, and its ticket neither.
	d.failed(key, first)
	ask(299*time.Millisecond, false)
	// Another limit, a look and a refund ask; a refund and a reset end it.
	if _, refused := d.check(key, []ratelimit.Limit{ratelimit.MustParseLimit("20/1s")}, 1, 250*time.Millisecond, rows); refused {
		t.Error("a changed limit was refused without asking")
	}
	if _, refused := d.check(key, limits, 0, 250*time.Millisecond, rows); refused {
		t.Error("a look was refused")
	}
	d.done(key, limits, -1, 250*time.Millisecond, 250*time.Millisecond, []ratelimit.Row{limits[0].Row(0)}, ticket{})
	ask(250*time.Millisecond, true)
}

func TestDenyCacheTrustsForASecond(t *testing.T) {
	d := newDenyCache(func(l *ratelimit.Limit) time.Duration { return l.Interval() }, func() {})
	key := ratelimit.NewKey("z", ratelimit.KindOwner, "u")
	limits := []ratelimit.Limit{ratelimit.MustParseLimit("24/1d")}
	rows := make([]ratelimit.Row, 1)
	d.done(key, limits, 1, 0, 0, []ratelimit.Row{limits[0].Row(24 * time.Hour)}, ticket{})
	if _, refused := d.check(key, limits, 1, 999*time.Millisecond, rows); !refused {
		t.Error("it was asked within the second")
	}
	if got, want := rows[0].RetryAfter, time.Hour-999*time.Millisecond+clockGrain; got != want {
		t.Errorf("got a wait of %s, want %s", got, want)
	}
	if _, refused := d.check(key, limits, 1, time.Second, rows); refused {
		t.Error("it was not asked after a second")
	}
	if _, refused := d.check(key, limits, 1, time.Second, rows); !refused {
		t.Error("two asked for one unit")
	}
}

// A node that hears of resets asks again when the unit is due, and not before;
// what it asked before it heard is not trusted so long.
func TestDenyCacheTrustsWhatItHears(t *testing.T) {
	wanted := 0
	d := newDenyCache(func(l *ratelimit.Limit) time.Duration { return l.Interval() }, func() { wanted++ })
	key := ratelimit.NewKey("z", ratelimit.KindOwner, "u")
	limits := []ratelimit.Limit{ratelimit.MustParseLimit("24/1d")}
	rows := make([]ratelimit.Row, 1)
	refused := func(now time.Duration) bool {
		_, refused := d.check(key, limits, 1, now, rows)
		return refused
	}
	empty := func(sent time.Duration) {
		d.done(key, limits, 1, sent, sent, []ratelimit.Row{limits[0].Row(24 * time.Hour)}, ticket{})
	}
	empty(0)
	if wanted != 1 {
		t.Errorf("it was asked to listen %d times, want once", wanted)
	}
	d.hears(time.Millisecond)
	if refused(time.Second) {
		t.Error("an answer from before it heard was trusted for longer than a second")
	}
	empty(2 * time.Second)
	if !refused(time.Hour) {
		t.Error("it was asked before the unit was due")
	}
	if refused(time.Hour + 2*time.Second) {
		t.Error("it was not asked when the unit was due")
	}
	empty(2 * time.Hour)
	d.hearOf(key, 2*time.Hour+time.Second)
	if refused(2*time.Hour + time.Second) {
		t.Error("a reset by another node was not seen")
	}
	// The answer to a question from before the reset comes late.
	empty(2*time.Hour + time.Second/2)
	if refused(2*time.Hour + 2*time.Second) {
		t.Error("an answer from before the reset was trusted for longer than a second")
	}
	empty(3 * time.Hour)
	d.deaf()
	if refused(3*time.Hour + time.Second) {
		t.Error("it hears nothing any more and was not asked")
	}
}

func TestDenyCacheIsBounded(t *testing.T) {
	d := newDenyCache(func(l *ratelimit.Limit) time.Duration { return l.Interval() }, func() {})
	limits := []ratelimit.Limit{ratelimit.MustParseLimit("1/1h")}
	for n := range 100_000 {
		key := ratelimit.NewKey("z", ratelimit.KindIP, string(rune(n)))
		d.done(key, limits, 1, 0, 0, []ratelimit.Row{limits[0].Row(time.Hour)}, ticket{})
	}
	total := 0
	for i := range d.shards {
		total += len(d.shards[i].entries)
	}
	if total > len(d.shards)*denyPerShard {
		t.Errorf("%d entries", total)
	}
}

// The whole of a limit is owed and nothing was charged: it may be what is left of a
// larger debt, under a larger limit, which Redis cuts off at each look. The next
// caller asks again, since Redis tells the same wait then (found by TestModel,
// -rapid.seed=2569035527576125165).
func TestDenyCacheDoesNotAgeADebtThatIsCutOff(t *testing.T) {
	for _, tc := range []struct {
		name    string
		cost    int64
		refused bool
		debt    time.Duration
		want    bool // refused without asking
	}{
		{"a look at a whole debt", 0, false, 6 * time.Hour, false},
		{"a refusal at a whole debt", 1, true, 6 * time.Hour, false},
		{"a look at a debt that falls", 0, false, 6*time.Hour - time.Second, true},
		{"a refusal at a debt that falls", 1, true, 6*time.Hour - time.Second, true},
		{"a charge that makes the debt whole", 1, false, 6 * time.Hour, true},
	} {
		d := newDenyCache(func(l *ratelimit.Limit) time.Duration { return l.Interval() }, func() {})
		key := ratelimit.NewKey("z", ratelimit.KindOwner, "u")
		limits := []ratelimit.Limit{ratelimit.MustParseLimit("4/1d burst 1")}
		rows := []ratelimit.Row{limits[0].Row(tc.debt)}
		if tc.refused {
			rows[0].RetryAfter = rows[0].NextAfter
		}
		d.done(key, limits, tc.cost, 0, 0, rows, ticket{})
		if _, refused := d.check(key, limits, 1, 40*time.Microsecond, make([]ratelimit.Row, 1)); refused != tc.want {
			t.Errorf("%s: refused without asking is %v, want %v", tc.name, refused, tc.want)
		}
	}
}
