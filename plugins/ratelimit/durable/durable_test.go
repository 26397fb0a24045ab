package durable_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins/ratelimit"
	"github.com/ainative/portcullis/plugins/ratelimit/durable"
	"github.com/ainative/portcullis/plugins/ratelimit/gcra"
)

// memory is a store that can fail.
type memory struct {
	zones map[string]map[ratelimit.Key]ratelimit.Saved
	err   error
	saves int
	// saved is called in the middle of a write.
	saved func()
}

func newMemory() *memory { return &memory{zones: map[string]map[ratelimit.Key]ratelimit.Saved{}} }

func (m *memory) SaveCounts(_ context.Context, zone string, counts []ratelimit.Saved) error {
	if m.err != nil {
		return m.err
	}
	m.saves++
	if m.zones[zone] == nil {
		m.zones[zone] = map[ratelimit.Key]ratelimit.Saved{}
	}
	for _, c := range counts {
		m.zones[zone][c.Key] = c
	}
	if m.saved != nil {
		m.saved()
	}
	return nil
}

func (m *memory) Counts(_ context.Context, zone string, now time.Time, each func(ratelimit.Saved) error) error {
	if m.err != nil {
		return m.err
	}
	for _, c := range m.zones[zone] {
		if c.Full.After(now) {
			if err := each(c); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *memory) DeleteCounts(_ context.Context, zone string, key ratelimit.Key) error {
	if m.err != nil {
		return m.err
	}
	delete(m.zones[zone], key)
	return nil
}

var (
	errDown = errors.New("store is down")
	caller  = ratelimit.NewKey("z", ratelimit.KindOwner, "u")
	day     = []ratelimit.Limit{ratelimit.MustParseLimit("10/1d")}
	minute  = []ratelimit.Limit{ratelimit.MustParseLimit("10/1m")}
)

func newCounts(t *testing.T) *gcra.Limiter {
	t.Helper()
	l := gcra.New(gcra.Options{})
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// spend charges one and returns what remains.
func spend(t *testing.T, l ratelimit.Limiter, limits []ratelimit.Limit, cost int64) int64 {
	t.Helper()
	d, err := l.Take(t.Context(), caller, limits, cost, nil)
	if err != nil {
		t.Fatal(err)
	}
	return d.Rows[0].Remaining
}

func keep(t *testing.T, k *durable.Keeper, name string, counts durable.Counts) (release func()) {
	t.Helper()
	release, err := k.Keep(t.Context(), name, counts)
	if err != nil {
		t.Fatal(err)
	}
	return release
}

func open(t *testing.T, s durable.Store) *durable.Keeper {
	t.Helper()
	k := new(durable.Keeper)
	if err := k.Open(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	return k
}

func TestNeeded(t *testing.T) {
	if durable.Needed(minute) || !durable.Needed(slices.Concat(minute, day)) {
		t.Error("limits of an hour or more are kept, and no others")
	}
}

// Whether a zone is kept before the store opens or after, the next process goes on
// where this one ended.
func TestCountsOutliveTheProcess(t *testing.T) {
	for _, late := range []bool{false, true} {
		s := newMemory()
		k, counts := new(durable.Keeper), newCounts(t)
		var release func()
		if !late {
			release = keep(t, k, "z\x00anonymous", counts)
		}
		if err := k.Open(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if late {
			release = keep(t, k, "z\x00anonymous", counts)
		}
		spend(t, counts, day, 4)
		spend(t, counts, minute, 4)
		release() // writes
		if len(s.zones["z anonymous"]) != 1 {
			t.Fatalf("the store has %v, want the long count alone, in a zone without a zero byte", s.zones)
		}

		next := newCounts(t)
		keep(t, open(t, s), "z\x00anonymous", next)
		if got := spend(t, next, day, 0); got != 6 {
			t.Errorf("late %v: %d remain after the restart, want 6", late, got)
		}
		if got := spend(t, next, minute, 0); got != 10 {
			t.Errorf("late %v: %d of the short limit remain, want 10", late, got)
		}
	}
}

// What a caller has used comes back while the process is down, too.
func TestTimeGoesOnMeanwhile(t *testing.T) {
	for _, tc := range []struct {
		name string
		down time.Duration
		want int64
	}{
		{"no time", 0, 6},
		{"half of what it takes", 4*time.Hour + 48*time.Minute, 8},
		{"all of it", 9*time.Hour + 36*time.Minute, 10},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, counts := newMemory(), newCounts(t)
			stopped := time.Now()
			k := &durable.Keeper{Clock: func() time.Time { return stopped }}
			if err := k.Open(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			release := keep(t, k, "z", counts)
			spend(t, counts, day, 4)
			release() // writes

			k = &durable.Keeper{Clock: func() time.Time { return stopped.Add(tc.down) }}
			if err := k.Open(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			next := newCounts(t)
			keep(t, k, "z", next)
			if got := spend(t, next, day, 0); got != tc.want {
				t.Errorf("%d remain after the restart, want %d", got, tc.want)
			}
		})
	}
}

// A write that fails is made up for by the next.
func TestFailedWriteIsMadeAgain(t *testing.T) {
	s := newMemory()
	k, counts := open(t, s), newCounts(t)
	keep(t, k, "z", counts)
	spend(t, counts, day, 1)
	s.err = errDown
	if err := k.Save(t.Context()); !errors.Is(err, errDown) {
		t.Fatalf("err = %v, want that of the store", err)
	}
	s.err = nil
	if err := k.Save(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(s.zones["z"]) != 1 {
		t.Error("what a failed write had taken is lost")
	}
	if err := k.Save(t.Context()); err != nil || s.saves != 1 {
		t.Errorf("err = %v after %d writes, want none where nothing has changed", err, s.saves)
	}
}

// A store that can't be read is a failure, and no count that begins anew.
func TestFailureToRead(t *testing.T) {
	s := newMemory()
	k := open(t, s)
	s.err = errDown
	if _, err := k.Keep(t.Context(), "z", newCounts(t)); !errors.Is(err, errDown) {
		t.Errorf("Keep: err = %v, want that of the store", err)
	}
	other := new(durable.Keeper)
	keep(t, other, "z", newCounts(t))
	if err := other.Open(t.Context(), s); !errors.Is(err, errDown) {
		t.Errorf("Open: err = %v, want that of the store", err)
	}
}

func TestFailedIsToldOfTheLastWrite(t *testing.T) {
	s := newMemory()
	k, counts := open(t, s), newCounts(t)
	var told error
	k.Failed = func(_ string, err error) { told = err }
	first, second := keep(t, k, "z", counts), keep(t, k, "z", counts)
	spend(t, counts, day, 1)
	s.err = errDown
	first()
	if told != nil {
		t.Error("it was written although another holds it")
	}
	second()
	if !errors.Is(told, errDown) {
		t.Errorf("told of %v, want the failure", told)
	}
}

// What is reset stays reset, while a write is on its way too.
func TestReset(t *testing.T) {
	s := newMemory()
	k, counts := open(t, s), newCounts(t)
	keep(t, k, "z", counts)
	spend(t, counts, day, 4)
	done := make(chan error, 1)
	s.saved = func() {
		s.saved = nil
		go func() { done <- k.Reset(context.Background(), "z", counts, caller, day) }()
	}
	if err := k.Save(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := spend(t, counts, day, 0); got != 10 || len(s.zones["z"]) != 0 {
		t.Errorf("%d remain and the store has %v, want 10 and nothing", got, s.zones["z"])
	}
	// A limiter that is not kept is reset too.
	other := newCounts(t)
	spend(t, other, day, 4)
	if err := k.Reset(t.Context(), "z", other, caller, day); err != nil || spend(t, other, day, 0) != 10 {
		t.Errorf("err = %v, want the other limiter to be reset", err)
	}
	s.err = errDown
	if err := k.Reset(t.Context(), "z", counts, caller, day); !errors.Is(err, errDown) {
		t.Errorf("err = %v, want that of the store", err)
	}
}

// After Close nothing is written any more.
func TestClose(t *testing.T) {
	s := newMemory()
	k, counts := open(t, s), newCounts(t)
	release := keep(t, k, "z", counts)
	spend(t, counts, day, 1)
	if err := k.Close(t.Context()); err != nil || len(s.zones["z"]) != 1 {
		t.Fatalf("err = %v, the store has %v, want the last write", err, s.zones)
	}
	spend(t, counts, day, 1)
	release()
	if err := k.Save(t.Context()); err != nil || s.saves != 1 {
		t.Errorf("err = %v, %d writes, want none after Close", err, s.saves)
	}
}

// Stored times never favour the caller.
func TestTimesAreRoundedUp(t *testing.T) {
	s := newMemory()
	k, counts := open(t, s), newCounts(t)
	keep(t, k, "z", counts)
	spend(t, counts, []ratelimit.Limit{ratelimit.MustParseLimit("10/1d window strict")}, 3)
	if err := k.Save(t.Context()); err != nil {
		t.Fatal(err)
	}
	saved := s.zones["z"][caller]
	if saved.Full.Nanosecond()%1000 != 0 || len(saved.Events) == 0 || saved.Events[0].At.Nanosecond()%1000 != 0 || saved.Events[0].N != 3 {
		t.Errorf("got %+v, want whole microseconds", saved)
	}
}
