package store_test

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins/store"
)

func at(minute int) time.Time {
	return time.Unix(1770112800, 0).Add(time.Duration(minute) * time.Minute)
}

func TestMergeTakesTheLaterEnd(t *testing.T) {
	early, late := store.Count{Full: at(1), Overdrawn: true}, store.Count{Full: at(2)}
	for _, got := range []store.Count{early.Merge(late), late.Merge(early)} {
		if !reflect.DeepEqual(got, late) {
			t.Errorf("got %+v, want %+v", got, late)
		}
	}
	if !(store.Count{Full: at(1)}).Merge(early).Overdrawn {
		t.Error("a debt was lost")
	}
}

// since is how many events a window counts after a moment.
func since(events []store.CountEvents, moment time.Time) (n int64) {
	for _, e := range events {
		if e.At.After(moment) {
			n += e.N
		}
	}
	return n
}

// A merged window counts as many since each moment as either of the two, and no
// more unless it had to be made shorter.
func TestMergeOfWindows(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	draw := func(most int) (events []store.CountEvents) {
		for range random.IntN(most) {
			events = append(events, store.CountEvents{At: at(random.IntN(300)), N: 1 + random.Int64N(5)})
		}
		slices.SortFunc(events, func(a, b store.CountEvents) int { return a.At.Compare(b.At) })
		return events
	}
	for round := range 2000 {
		most := 8
		if round%2 == 0 {
			most = 62
		}
		a, b := draw(most), draw(most)
		got := store.Count{Events: a}.Merge(store.Count{Events: b}).Events
		if len(got) > store.MaxEvents {
			t.Fatalf("%d events", len(got))
		}
		exact := len(got) < store.MaxEvents
		for minute := -1; minute < 301; minute++ {
			want := max(since(a, at(minute)), since(b, at(minute)))
			if n := since(got, at(minute)); n < want || exact && n != want {
				t.Fatalf("%v and %v give %v: %d since minute %d, want %d", a, b, got, n, minute, want)
			}
		}
	}
}
