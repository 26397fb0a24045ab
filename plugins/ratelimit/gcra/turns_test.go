package gcra_test

import (
	"context"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins/ratelimit"
	"github.com/ainative/portcullis/plugins/ratelimit/gcra"
)

// Many callers of both kinds of limit have turns, lose them and get new ones: none
// gets those of another, and what is told stays right.
func TestTurnsOfManyCallers(t *testing.T) {
	now := time.Hour
	l := gcra.New(gcra.Options{Clock: func() time.Duration { return now }, SweepEvery: time.Hour})
	defer func() { _ = l.Close() }()
	const callers = 300
	limit := func(n int) string {
		if n%3 == 0 {
			return "4/1m window strict"
		}
		return "4/1m"
	}
	for round := range 3 {
		for n := range callers {
			take(t, l, key(n), limit(n), 4)
		}
		for k := range 3 {
			for n := range callers {
				if n%2 == round%2 {
					continue // this one is not refused in this round
				}
				first := 15 * time.Second
				if n%3 == 0 {
					first = time.Minute
				}
				if got, want := take(t, l, key(n), limit(n), 1).RetryAfter, first+time.Duration(k)*15*time.Second; got != want {
					t.Fatalf("round %d, caller %d, refusal %d: told %s, want %s", round, n, k+1, got, want)
				}
			}
		}
		now += 50 * time.Second
		l.Sweep()
		now += 50 * time.Second
		l.Sweep()
	}
	if got := l.Stats().Keys; got != 0 {
		t.Errorf("%d counts are left, want none", got)
	}
}

// A flood of new callers still pushes out those who used least: one with turns is over
// its limit and stays, and so do its turns.
func TestTurnsSurviveAFlood(t *testing.T) {
	now := time.Hour
	l := gcra.New(gcra.Options{Clock: func() time.Duration { return now }, MaxKeys: 100})
	defer func() { _ = l.Close() }()
	take(t, l, key(1), "60/1m", 60)
	for range 5 {
		take(t, l, key(1), "60/1m", 1)
	}
	for n := range 10_000 {
		take(t, l, key(1000+n), "60/1m", 1)
	}
	if got := take(t, l, key(1), "60/1m", 1).RetryAfter; got != 6*time.Second {
		t.Errorf("told %s, want 6s", got)
	}
}

// Turns are not written down: after a restart they begin anew, and what is used does
// not.
func TestTurnsDoNotOutliveTheProcess(t *testing.T) {
	now := time.Hour
	clock := func() time.Duration { return now }
	before, after := gcra.New(gcra.Options{Clock: clock}), gcra.New(gcra.Options{Clock: clock})
	defer func() { _, _ = before.Close(), after.Close() }()
	take(t, before, key(1), "100/1h", 100)
	for range 3 {
		take(t, before, key(1), "100/1h", 1)
	}
	wall := time.Date(2026, 2, 3, 10, 0, 0, 0, time.UTC)
	if n := after.Import(before.Export(time.Minute, false, wall), wall); n != 1 {
		t.Fatalf("%d counts restored, want 1", n)
	}
	if got := take(t, after, key(1), "100/1h", 1).RetryAfter; got != 36*time.Second {
		t.Errorf("told %s after a restart, want 36s", got)
	}
	// What is restored over turns that are there leaves them.
	if n := before.Import(after.Export(time.Minute, false, wall), wall); n != 1 {
		t.Fatalf("%d counts restored, want 1", n)
	}
	if got := take(t, before, key(1), "100/1h", 1).RetryAfter; got != 4*36*time.Second {
		t.Errorf("told %s, want 2m24s", got)
	}
}

// A refusal allocates nothing, however many were refused before it.
func TestRefusalAllocatesNothing(t *testing.T) {
	l := gcra.New(gcra.Options{})
	defer func() { _ = l.Close() }()
	limits := []ratelimit.Limit{ratelimit.MustParseLimit("1/1h")}
	rows := make([]ratelimit.Row, 1)
	refuse := func() {
		if d, err := l.Take(context.Background(), key(1), limits, 1, rows); err != nil || d.Allowed {
			t.Fatalf("got %+v, %v", d, err)
		}
	}
	_, _ = l.Take(context.Background(), key(1), limits, 1, rows)
	refuse()
	if got := testing.AllocsPerRun(1000, refuse); got != 0 {
		t.Errorf("a refusal allocates %v times, want 0", got)
	}
}
