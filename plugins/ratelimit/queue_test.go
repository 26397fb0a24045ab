package ratelimit

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestQueue(t *testing.T) {
	t.Run("no more than the places at once, in turn", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			q := NewQueue(2, time.Minute)
			var underWay, most atomic.Int64
			var order []int
			var mu sync.Mutex
			var group sync.WaitGroup
			for i := range 10 {
				group.Go(func() {
					if err := q.Enter(t.Context()); err != nil {
						t.Errorf("request %d: %v", i, err)
						return
					}
					most.Store(max(most.Load(), underWay.Add(1)))
					mu.Lock()
					order = append(order, i)
					mu.Unlock()
					time.Sleep(time.Second)
					underWay.Add(-1)
					q.Leave()
				})
				// Each has entered, or waits, before the next comes.
				synctest.Wait()
			}
			began := time.Now()
			group.Wait()
			if most.Load() != 2 || time.Since(began) != 5*time.Second {
				t.Errorf("%d under way at most, done after %s, want 2 and 5s", most.Load(), time.Since(began))
			}
			for i, got := range order {
				if got/2 != i/2 {
					t.Errorf("served in the order %v, want that in which they came", order)
					break
				}
			}
		})
	})
	t.Run("a bounded time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			q := NewQueue(1, 3*time.Second)
			if err := q.Enter(t.Context()); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			if err := q.Enter(t.Context()); !errors.Is(err, ErrBusy) || time.Since(began) != 3*time.Second {
				t.Errorf("got %v after %s, want ErrBusy after 3s", err, time.Since(began))
			}
			q.Leave()
			began = time.Now()
			if err := q.Enter(t.Context()); err != nil || time.Since(began) != 0 {
				t.Errorf("after the last has left: got %v after %s, want a place at once", err, time.Since(began))
			}
		})
	})
	t.Run("no longer than the client", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			q := NewQueue(1, time.Hour)
			_ = q.Enter(t.Context())
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if err := q.Enter(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			q.Leave()
			if err := q.Enter(t.Context()); err != nil {
				t.Errorf("a place is lost: %v", err)
			}
		})
	})
	t.Run("a bounded number", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			q := NewQueue(1, time.Minute)
			_ = q.Enter(t.Context())
			ctx, cancel := context.WithCancel(t.Context())
			var group sync.WaitGroup
			for range waitersPerPlace {
				group.Go(func() { _ = q.Enter(ctx) })
			}
			synctest.Wait()
			if err := q.Enter(t.Context()); !errors.Is(err, ErrBusy) {
				t.Errorf("got %v with %d before it, want ErrBusy at once", err, waitersPerPlace)
			}
			cancel()
			group.Wait()
		})
	})
	t.Run("no patience", func(t *testing.T) {
		q := NewQueue(1, 0)
		_ = q.Enter(t.Context())
		if err := q.Enter(t.Context()); !errors.Is(err, ErrBusy) {
			t.Errorf("got %v", err)
		}
	})
}
