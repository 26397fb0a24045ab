package apikey

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// batches records what is written.
type batches struct {
	mu      sync.Mutex
	written []map[string]time.Time
	err     error
}

func (b *batches) write(ctx context.Context, used map[string]time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if b.err != nil {
		return b.err
	}
	b.written = append(b.written, used)
	return nil
}

func (b *batches) want(t *testing.T, want ...map[string]time.Time) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.written) != len(want) {
		t.Fatalf("%d batches written, want %d: %v", len(b.written), len(want), b.written)
	}
	for i := range want {
		if !maps.Equal(b.written[i], want[i]) {
			t.Errorf("batch %d = %v, want %v", i, b.written[i], want[i])
		}
	}
}

func TestLastUsedKeepsTheLatest(t *testing.T) {
	var b batches
	l := NewLastUsed(10, b.write)
	for _, d := range []time.Duration{1, 3, 2} {
		l.Touch("a", testNow.Add(d*time.Second))
	}
	l.Touch("b", testNow)
	for range 2 { // a second time writes nothing
		if err := l.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	b.want(t, map[string]time.Time{"a": testNow.Add(3 * time.Second), "b": testNow})
}

func TestLastUsedIsBounded(t *testing.T) {
	var b batches
	l := NewLastUsed(2, b.write)
	for _, id := range []string{"a", "b", "c"} {
		l.Touch(id, testNow)
	}
	l.Touch("a", testNow.Add(time.Second)) // one that is there is still noted
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.want(t, map[string]time.Time{"a": testNow.Add(time.Second), "b": testNow})
}

func TestLastUsedIsKeptWhenTheWriteFails(t *testing.T) {
	b := batches{err: errors.New("down")}
	l := NewLastUsed(2, func(ctx context.Context, used map[string]time.Time) error {
		return b.write(ctx, used)
	})
	l.Touch("a", testNow)
	l.Touch("b", testNow)
	if err := l.Flush(t.Context()); !errors.Is(err, b.err) {
		t.Fatalf("err = %v, want %v", err, b.err)
	}
	l.Touch("a", testNow.Add(-time.Second))
	l.Touch("b", testNow.Add(time.Second))
	l.Touch("c", testNow)
	b.err = nil
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.want(t, map[string]time.Time{"a": testNow, "b": testNow.Add(time.Second)})
}

func TestRunFlushesInTimeAndAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b batches
		var failures []error
		l := NewLastUsed(10, b.write)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			l.Run(ctx, 10*time.Second, func(err error) { failures = append(failures, err) })
			close(done)
		}()
		first := time.Now()
		l.Touch("a", first)
		time.Sleep(9 * time.Second)
		synctest.Wait()
		b.want(t)
		time.Sleep(time.Second)
		synctest.Wait()
		b.want(t, map[string]time.Time{"a": first})

		b.mu.Lock()
		b.err = errors.New("down")
		b.mu.Unlock()
		second := time.Now()
		l.Touch("a", second)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		b.mu.Lock()
		b.err = nil
		b.mu.Unlock()
		cancel()
		<-done
		b.want(t, map[string]time.Time{"a": first}, map[string]time.Time{"a": second})
		if len(failures) != 1 {
			t.Errorf("failures = %v, want one", failures)
		}
	})
}

// A write that hangs must not keep the process from ending.
func TestRunGivesUpTheLastWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLastUsed(10, func(ctx context.Context, _ map[string]time.Time) error {
			<-ctx.Done()
			return ctx.Err()
		})
		l.Touch("a", testNow)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		begin := time.Now()
		l.Run(ctx, time.Hour, nil)
		if took := time.Since(begin); took != flushTimeout {
			t.Errorf("took %v, want %v", took, flushTimeout)
		}
	})
}

func TestLastUsedConcurrently(t *testing.T) {
	var b batches
	l := NewLastUsed(1000, b.write)
	var group sync.WaitGroup
	for w := range 4 {
		group.Go(func() {
			for i := range 200 {
				l.Touch(fmt.Sprint(w, "-", i), testNow)
				if i%50 == 0 {
					if err := l.Flush(context.Background()); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	group.Wait()
	if err := l.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	all := 0
	for _, batch := range b.written {
		all += len(batch)
	}
	if all != 800 {
		t.Errorf("%d uses written, want 800", all)
	}
}
