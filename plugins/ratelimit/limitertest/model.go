package limitertest

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ainative/portcullis/plugins/ratelimit"
)

// A reference is GCRA as one reads it in a book: the time at which each bucket
// is full, in whole units, without any care for speed or memory.
type reference struct {
	now  int64
	unit int64
	full map[string]int64
	// overdrawn are the buckets that were last charged past empty.
	overdrawn map[string]bool
	// turns are the last turns of refused callers.
	turns map[string]int64
}

func (r *reference) interval(l ratelimit.Limit) int64 {
	period := int64(l.Period)
	t := period / l.Count
	for t*l.Count < period || t%r.unit != 0 {
		t++
	}
	return t
}

type answer struct {
	allowed   bool
	retry     int64
	told      int64
	remaining []int64
	reset     []int64
}

func (r *reference) take(key ratelimit.Key, ls []ratelimit.Limit, cost int64, force bool) answer {
	a := answer{allowed: true}
	name := func(l ratelimit.Limit) string { return key.String() + l.Period.String() }
	debts := make([]int64, len(ls))
	var clamped []int
	blocking := 0
	for i, l := range ls {
		t := r.interval(l)
		debt := max(r.full[name(l)]-r.now, 0)
		most := l.Burst * t
		if r.overdrawn[name(l)] {
			most *= 2
		}
		if debt > most {
			debt = most
			clamped = append(clamped, i)
		}
		debts[i] = debt
		if force {
			continue
		}
		if cost > l.Burst {
			a.allowed, a.retry = false, -1
		} else if wait := debt + cost*t - l.Burst*t; cost > 0 && wait > 0 {
			a.allowed = false
			if a.retry >= 0 && wait > a.retry {
				a.retry, blocking = wait, i
			}
		}
	}
	for _, i := range clamped {
		if a.retry > 0 {
			r.full[name(ls[i])] = r.now + debts[i]
		}
	}
	a.told = a.retry
	if a.retry > 0 {
		l := ls[blocking]
		a.told = r.turn(name(l), l, cost, a.retry)
	}
	for i, l := range ls {
		t := r.interval(l)
		if _, there := r.full[name(l)]; a.allowed && (cost > 0 || cost < 0 && there) {
			debts[i] += cost * t
			debts[i] = min(max(debts[i], 0), 2*l.Burst*t)
			r.full[name(l)] = r.now + debts[i]
			r.overdrawn[name(l)] = debts[i] > l.Burst*t
		}
		remaining := int64(0)
		for remaining < l.Burst && debts[i]+(remaining+1)*t <= l.Burst*t {
			remaining++
		}
		free, ahead := (remaining+cost-1)*t, r.turns[name(l)]-r.now
		if a.allowed && cost > 0 && !force && (ahead <= int64(time.Millisecond) || free > int64(2*time.Second) && 4*free >= ahead) {
			delete(r.turns, name(l))
		}
		a.remaining = append(a.remaining, remaining)
		a.reset = append(a.reset, debts[i])
	}
	return a
}

// turn is when a refused caller is told to come: after the ones before it, and at
// most one period, 64 intervals or 5 minutes after the first unit.
func (r *reference) turn(name string, l ratelimit.Limit, cost, wait int64) int64 {
	t := r.interval(l)
	spread := min(max(int64(l.Period), 64*t), int64(5*time.Minute))
	if t > int64(5*time.Minute) {
		spread = 0
	}
	turn := r.now + wait
	switch last := r.turns[name]; {
	case last <= r.now+int64(time.Millisecond):
	case last > turn+spread+l.Burst*t:
	default:
		turn = max(turn, min(last+cost*t, turn+spread))
	}
	r.turns[name] = turn
	return turn - r.now
}

// Model compares a limiter with the reference over random calls, steps of the
// clock in both directions, changes of the limits, refunds, charges past empty, the
// turns of refused callers and several limits at once. Each of rapid's checks is 200 operations: 100 checks by default, and
// `-rapid.checks=5000` is a million. Unit is the resolution of the limiter, in
// which all times are chosen.
func Model(t *testing.T, s Subject, unit time.Duration) {
	rapid.Check(t, func(rt *rapid.T) { model(t, rt, s, int64(unit)) })
}

func model(t *testing.T, rt *rapid.T, s Subject, unit int64) {
	l, advance := s.New(t)
	ref := &reference{unit: unit, full: map[string]int64{}, overdrawn: map[string]bool{}, turns: map[string]int64{}}
	keys := make([]ratelimit.Key, 3)
	for i := range keys {
		keys[i] = ratelimit.NewKey("model", ratelimit.KindOwner, fmt.Sprint(i))
	}
	periods := []time.Duration{time.Second, 7 * time.Second, time.Minute, 24 * time.Hour}
	move := func(d int64) {
		d -= d % unit
		advance(time.Duration(d))
		ref.now += d
	}
	// The model's books start at 0; a step back must not lead before it, where an
	// absent bucket and one that is full at 0 differ.
	move(int64(48 * time.Hour))
	var rows []ratelimit.Row
	for range 200 {
		switch op := rapid.IntRange(0, 9).Draw(rt, "op"); {
		case op < 6:
			var ls []ratelimit.Limit
			for _, period := range periods {
				if len(ls) == 0 && period == periods[len(periods)-1] || rapid.IntRange(0, 2).Draw(rt, "use") == 0 {
					ls = append(ls, ratelimit.Limit{
						Count: int64(rapid.IntRange(1, 70).Draw(rt, "count")), Period: period,
						Burst: int64(rapid.IntRange(1, 70).Draw(rt, "burst")),
					})
				}
			}
			cost := int64(1)
			if rapid.IntRange(0, 2).Draw(rt, "kind") == 0 {
				cost = int64(rapid.IntRange(-20, 75).Draw(rt, "cost"))
			}
			key := keys[rapid.IntRange(0, len(keys)-1).Draw(rt, "key")]
			force := rapid.IntRange(0, 9).Draw(rt, "adjust") == 0
			want := ref.take(key, ls, cost, force)
			decide := l.Take
			if force {
				decide = l.Adjust
			}
			got, err := decide(t.Context(), key, ls, cost, rows)
			if err != nil {
				rt.Fatal(err)
			}
			rows = got.Rows
			if got.Allowed != want.allowed || !s.near(earliest(got), time.Duration(want.retry)) || !s.near(got.RetryAfter, time.Duration(want.told)) {
				rt.Fatalf("taking %d of %v, adjusting %v: got %+v, want %+v", cost, ls, force, got, want)
			}
			for i, row := range rows {
				if row.Remaining != want.remaining[i] || !s.near(row.ResetAfter, time.Duration(want.reset[i])) {
					rt.Fatalf("taking %d of %v, adjusting %v: row %d is %+v, want %+v", cost, ls, force, i, row, want)
				}
			}
		case op < 9:
			scale := rapid.SampledFrom([]time.Duration{time.Microsecond, time.Millisecond, time.Second, time.Minute, time.Hour}).Draw(rt, "scale")
			move(rapid.Int64Range(0, 3*int64(scale)).Draw(rt, "step"))
		case s.Backward:
			back := rapid.Int64Range(0, int64(time.Minute)).Draw(rt, "back")
			move(-min(back, ref.now))
		}
	}
}
