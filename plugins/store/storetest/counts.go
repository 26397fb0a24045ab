package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins/store"
)

// newCount makes a count of the zone z that ends an hour after base.
func newCount(n byte) store.Count {
	return store.Count{Zone: "z", Key: [16]byte{0, n, 255}, Period: 24 * time.Hour, Full: base.Add(time.Hour + time.Microsecond)}
}

// newWindow makes a strict one with events at these minutes.
func newWindow(n byte, minutes ...int64) store.Count {
	c := newCount(n)
	c.Strict = true
	for _, minute := range minutes {
		c.Events = append(c.Events, store.CountEvents{At: base.Add(time.Duration(minute) * time.Minute), N: minute + 1})
	}
	return c
}

func testCounts(t *testing.T, open func(t *testing.T) store.Store) {
	read := func(t *testing.T, s store.Store, zone string, now time.Time) []store.Count {
		t.Helper()
		list := []store.Count{}
		must(t, s.Counts(ctx(), zone, now, func(c store.Count) error {
			list = append(list, c)
			return nil
		}))
		slices.SortFunc(list, func(a, b store.Count) int { return slices.Compare([]byte(fmt.Sprint(a)), []byte(fmt.Sprint(b))) })
		return list
	}

	t.Run("kept as they are, by zone", func(t *testing.T) {
		s := open(t)
		wantEqual(t, "empty", read(t, s, "z", base), []store.Count{})
		must(t, s.SaveCounts(ctx(), nil))
		one, other, window := newCount(1), newCount(1), newWindow(1, 0, 1, 7)
		other.Period, other.Overdrawn = time.Hour, true
		elsewhere := newCount(1)
		elsewhere.Zone = "z anonymous"
		must(t, s.SaveCounts(ctx(), []store.Count{one, other, window, elsewhere}))
		want := []store.Count{one, other, window}
		slices.SortFunc(want, func(a, b store.Count) int { return slices.Compare([]byte(fmt.Sprint(a)), []byte(fmt.Sprint(b))) })
		wantEqual(t, "zone z", read(t, s, "z", base), want)
		wantEqual(t, "the other zone", read(t, s, "z anonymous", base), []store.Count{elsewhere})
		wantEqual(t, "at the end", read(t, s, "z", one.Full), []store.Count{})

		stop := errors.New("stop")
		if err := s.Counts(ctx(), "z", base, func(store.Count) error { return stop }); !errors.Is(err, stop) {
			t.Errorf("err = %v, want that of each", err)
		}

		must(t, s.DeleteCounts(ctx(), "z", one.Key))
		wantEqual(t, "deleted", read(t, s, "z", base), []store.Count{})
		wantEqual(t, "the same key elsewhere", read(t, s, "z anonymous", base), []store.Count{elsewhere})
		must(t, s.DeleteCounts(ctx(), "z", one.Key))
	})

	t.Run("merged", func(t *testing.T) {
		s := open(t)
		early, late := newCount(1), newCount(1)
		late.Full, late.Overdrawn = early.Full.Add(time.Microsecond), true
		for _, c := range []store.Count{early, late, early} {
			must(t, s.SaveCounts(ctx(), []store.Count{c}))
		}
		wantEqual(t, "the later end", read(t, s, "z", base), []store.Count{late})
		a, b := newWindow(2, 0, 10), newWindow(2, 5, 10, 11)
		must(t, s.SaveCounts(ctx(), []store.Count{a, b}))
		wantEqual(t, "windows", read(t, s, "z", base)[1:], []store.Count{a.Merge(b)})
		must(t, s.SaveCounts(ctx(), []store.Count{a}))
		wantEqual(t, "again", read(t, s, "z", base)[1:], []store.Count{a.Merge(b)})
	})

	t.Run("swept", func(t *testing.T) {
		s := open(t)
		c := newCount(1)
		must(t, s.SaveCounts(ctx(), []store.Count{c}))
		n, err := s.SweepCounts(ctx(), base.Add(time.Hour))
		must(t, err)
		wantEqual(t, "swept too early", n, 0)
		n, err = s.SweepCounts(ctx(), base.Add(time.Hour+time.Second))
		must(t, err)
		wantEqual(t, "swept", n, 1)
	})

	t.Run("invalid counts are refused", func(t *testing.T) {
		s := open(t)
		for name, change := range map[string]func(*store.Count){
			"no zone":         func(c *store.Count) { c.Zone = "" },
			"NUL":             func(c *store.Count) { c.Zone = "z\x00" },
			"no period":       func(c *store.Count) { c.Period = 0 },
			"odd period":      func(c *store.Count) { c.Period = time.Microsecond },
			"no end":          func(c *store.Count) { c.Full = time.Time{} },
			"1969":            func(c *store.Count) { c.Full = time.Unix(-1, 0) },
			"a bucket's":      func(c *store.Count) { c.Events = newWindow(1, 1).Events },
			"no events":       func(c *store.Count) { c.Strict = true },
			"many events":     func(c *store.Count) { c.Strict, c.Events = true, make([]store.CountEvents, store.MaxEvents+1) },
			"no number":       func(c *store.Count) { c.Strict, c.Events = true, []store.CountEvents{{At: base}} },
			"no order":        func(c *store.Count) { *c = newWindow(1, 2, 1) },
			"event in year 1": func(c *store.Count) { c.Strict, c.Events = true, []store.CountEvents{{N: 1}} },
		} {
			c := newCount(1)
			change(&c)
			wantErr(t, name, s.SaveCounts(ctx(), []store.Count{newCount(2), c}), store.ErrInvalid)
		}
		wantEqual(t, "all", read(t, s, "z", base), []store.Count{})
	})

	t.Run("many at once", func(t *testing.T) {
		s := open(t)
		var all sync.WaitGroup
		for writer := range 4 {
			all.Go(func() {
				var counts []store.Count
				for n := range 1500 {
					c := newCount(byte(n))
					c.Key[5] = byte(n >> 8)
					c.Full = c.Full.Add(time.Duration(writer) * time.Second)
					counts = append(counts, c)
				}
				if err := s.SaveCounts(ctx(), counts); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		list := read(t, s, "z", base)
		if len(list) != 1500 {
			t.Fatalf("%d counts, want 1500", len(list))
		}
		for _, c := range list {
			if want := newCount(0).Full.Add(3 * time.Second); !c.Full.Equal(want) {
				t.Fatalf("got %s, want the latest, %s", c.Full, want)
			}
		}
	})
}
