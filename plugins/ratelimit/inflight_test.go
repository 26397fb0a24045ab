package ratelimit

import (
	"sync"
	"sync/atomic"
	"testing"
)

func TestInFlight(t *testing.T) {
	f := NewInFlight(1000)
	a, b := NewKey("z", KindOwner, "a"), NewKey("z", KindOwner, "b")
	for range 3 {
		if !f.Acquire(a, 3) {
			t.Fatal("a place was refused")
		}
	}
	if f.Acquire(a, 3) {
		t.Error("a fourth place was given")
	}
	if !f.Acquire(b, 3) {
		t.Error("another key was refused")
	}
	f.Release(a)
	if !f.Acquire(a, 3) {
		t.Error("the released place was refused")
	}
	if f.Acquire(a, 1) {
		t.Error("a lowered limit does not hold at once")
	}
	for range 5 {
		f.Release(a)
	}
	if got := f.Held(a); got != 0 {
		t.Errorf("%d are held after too many releases", got)
	}
}

func TestInFlightIsBoundedAndForgets(t *testing.T) {
	f := NewInFlight(64)
	given := map[Key]bool{}
	for n := range 10_000 {
		k := NewKey("z", KindIP, string(rune(n+1)))
		if f.Acquire(k, 1) {
			given[k] = true
		}
	}
	if len(given) > 64 {
		t.Errorf("%d keys are held, want 64 at most", len(given))
	}
	for k := range given {
		f.Release(k)
	}
	for i := range f.shards {
		if n := len(f.shards[i].held); n != 0 {
			t.Errorf("shard %d still has %d keys", i, n)
		}
	}
}

func TestInFlightNeverExceedsInParallel(t *testing.T) {
	f := NewInFlight(1000)
	key := NewKey("z", KindOwner, "a")
	var now, most atomic.Int64
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for range 1000 {
				if !f.Acquire(key, 5) {
					continue
				}
				n := now.Add(1)
				for {
					m := most.Load()
					if n <= m || most.CompareAndSwap(m, n) {
						break
					}
				}
				now.Add(-1)
				f.Release(key)
			}
		})
	}
	all.Wait()
	if got := most.Load(); got > 5 {
		t.Errorf("%d were under way at once, want 5 at most", got)
	}
	if got := f.Held(key); got != 0 {
		t.Errorf("%d are held at the end", got)
	}
}
