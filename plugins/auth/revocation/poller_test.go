package revocation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ainative/portcullis/plugins"
)

// fakeSource is another process's store: it can be changed and can fail or hang.
type fakeSource struct {
	mu       sync.Mutex
	version  uint64
	all      []plugins.Revocation
	err      error
	listErr  error
	hang     bool
	asked    []time.Time
	listed   int
	duringDo func()
}

func (f *fakeSource) Version(ctx context.Context) (uint64, error) {
	f.mu.Lock()
	f.asked = append(f.asked, time.Now())
	hang, version, err := f.hang, f.version, f.err
	f.mu.Unlock()
	if hang {
		<-ctx.Done()
		return 0, ctx.Err()
	}
	return version, err
}

func (f *fakeSource) Revocations(context.Context, time.Time) ([]plugins.Revocation, error) {
	f.mu.Lock()
	f.listed++
	all, err, during := slices.Clone(f.all), f.listErr, f.duringDo
	f.mu.Unlock()
	if during != nil {
		during()
	}
	return all, err
}

func (f *fakeSource) set(change func(*fakeSource)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (f *fakeSource) revoke(r plugins.Revocation) {
	f.set(func(f *fakeSource) { f.all, f.version = append(f.all, r), f.version+1 })
}

func newPoller(t *testing.T, source *fakeSource, change func(*PollerConfig)) (*Poller, *Set) {
	t.Helper()
	set := NewSet()
	config := PollerConfig{Set: set, Source: source}
	if change != nil {
		change(&config)
	}
	p, err := NewPoller(config)
	if err != nil {
		t.Fatal(err)
	}
	return p, set
}

// What another process revokes holds within a second here, at whatever moment of
// the interval it happens.
func TestRevocationHoldsWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fakeSource{}
		p, set := newPoller(t, source, func(c *PollerConfig) { c.Interval = time.Hour })
		ctx, cancel := context.WithCancel(t.Context())
		go p.Run(ctx)
		for i := range 100 {
			jti := fmt.Sprint("j", i)
			source.revoke(token(jti, "main", jti))
			time.Sleep(time.Second)
			if !set.Revoked("main", jti, "", base) {
				t.Fatalf("%s is not revoked after a second", jti)
			}
			time.Sleep(time.Duration(i*37) * time.Millisecond)
		}
		cancel()
		synctest.Wait() // the bubble fails if Run does not return
	})
}

func TestPollLoadsOnlyWhatChanged(t *testing.T) {
	source, changed := &fakeSource{version: 7}, 0
	p, set := newPoller(t, source, func(c *PollerConfig) { c.Changed = func() { changed++ } })
	poll := func() {
		t.Helper()
		if err := p.Poll(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	want := func(listed, changes int) {
		t.Helper()
		if source.listed != listed || changed != changes {
			t.Errorf("listed %d times with %d changes told, want %d and %d", source.listed, changed, listed, changes)
		}
	}
	poll()
	want(1, 0)
	poll()
	want(1, 0)
	source.revoke(token("1", "main", "j"))
	poll()
	want(2, 1)
	if !set.Revoked("main", "j", "", base) {
		t.Error("not revoked")
	}
	// A restored backup has a smaller version.
	source.set(func(f *fakeSource) { f.version, f.all = 2, nil })
	poll()
	want(3, 2)
	if set.Revoked("main", "j", "", base) {
		t.Error("still revoked")
	}

	// A list that can't be read is asked for again though the version is known by
	// then, and told of once.
	source.set(func(f *fakeSource) { f.version, f.listErr = 3, errors.New("no") })
	if err := p.Poll(t.Context()); err == nil {
		t.Error("no error")
	}
	want(4, 3)
	source.set(func(f *fakeSource) { f.listErr = nil })
	poll()
	want(5, 3)

	// A change of our own while the list was on its way: once more, to be sure.
	source.set(func(f *fakeSource) { f.version, f.duringDo = 4, func() { set.Add(token("2", "main", "k")) } })
	poll()
	want(6, 4)
	source.set(func(f *fakeSource) { f.duringDo = nil })
	if !set.Revoked("main", "k", "", base) {
		t.Error("what was added meanwhile is lost")
	}
	poll()
	want(7, 4)
	if set.Revoked("main", "k", "", base) {
		t.Error("what the source does not have stays")
	}
	poll()
	want(7, 4)
}

func TestPollerBacksOffAndRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fakeSource{}
		var failures atomic.Int64
		p, set := newPoller(t, source, func(c *PollerConfig) { c.Failed = func(error) { failures.Add(1) } })
		if age, ok := p.Stale(); ok {
			t.Errorf("Stale = %v before the first poll", age)
		}
		source.revoke(token("1", "main", "j"))
		if err := p.Poll(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go p.Run(ctx)
		time.Sleep(10 * time.Second)
		if age, ok := p.Stale(); !ok || age > MaxInterval {
			t.Errorf("Stale = %v, %t while all is well", age, ok)
		}

		source.set(func(f *fakeSource) { f.err, f.asked = errors.New("down"), nil })
		time.Sleep(time.Minute)
		source.mu.Lock()
		asked := len(source.asked)
		for i := 5; i < asked; i++ {
			if pause := source.asked[i].Sub(source.asked[i-1]); pause < DefaultMaxBackoff*9/10 || pause > DefaultMaxBackoff {
				t.Errorf("pause %d is %v, want about %v", i, pause, DefaultMaxBackoff)
			}
		}
		source.mu.Unlock()
		if asked < 28 || asked > 40 || failures.Load() != int64(asked) {
			t.Errorf("asked %d times in a minute of failure with %d failures told, want about 33 each", asked, failures.Load())
		}
		if age, ok := p.Stale(); !ok || age < 59*time.Second || age > 61*time.Second {
			t.Errorf("Stale = %v, %t after a minute of failure", age, ok)
		}
		if !set.Revoked("main", "j", "", base) {
			t.Error("the set was emptied by a failure")
		}

		source.set(func(f *fakeSource) { f.err = nil })
		source.revoke(token("2", "main", "k"))
		time.Sleep(DefaultMaxBackoff)
		if !set.Revoked("main", "k", "", base) {
			t.Error("not recovered")
		}
		if age, ok := p.Stale(); !ok || age > DefaultMaxBackoff {
			t.Errorf("Stale = %v, %t after recovery", age, ok)
		}
		cancel()
		synctest.Wait()
	})
}

func TestPollerEndsWhileTheSourceHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fakeSource{hang: true}
		var failures atomic.Int64
		p, _ := newPoller(t, source, func(c *PollerConfig) { c.Failed = func(error) { failures.Add(1) } })
		ctx, cancel := context.WithCancel(t.Context())
		go p.Run(ctx)
		time.Sleep(askTimeout + MaxInterval)
		if failures.Load() != 1 {
			t.Errorf("%d failures told, want 1: the time-out", failures.Load())
		}
		time.Sleep(DefaultMaxBackoff)
		cancel()
		synctest.Wait()
		if failures.Load() != 1 {
			t.Errorf("%d failures told, want none for the end", failures.Load())
		}
	})
}

// The configured times are kept, below their bounds, and nobody need listen.
func TestPollerKeepsItsConfiguredTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fakeSource{}
		p, _ := newPoller(t, source, func(c *PollerConfig) { c.Interval, c.MaxBackoff = 50*time.Millisecond, 200*time.Millisecond })
		ctx, cancel := context.WithCancel(t.Context())
		go p.Run(ctx)
		count := func() int {
			source.set(func(f *fakeSource) { f.asked = nil })
			time.Sleep(10 * time.Second)
			source.mu.Lock()
			defer source.mu.Unlock()
			return len(source.asked)
		}
		if got := count(); got < 199 || got > 225 {
			t.Errorf("asked %d times in 10s, want 200 to 223", got)
		}
		source.set(func(f *fakeSource) { f.err = errors.New("down") })
		if got := count(); got < 49 || got > 58 {
			t.Errorf("asked %d times in 10s of failure, want about 53", got)
		}
		source.set(func(f *fakeSource) { f.err = nil })
		time.Sleep(200 * time.Millisecond)
		if got := count(); got < 199 || got > 225 {
			t.Errorf("asked %d times in 10s after recovery, want 200 to 223", got)
		}
		cancel()
		synctest.Wait()
	})
}

func TestPollSweeps(t *testing.T) {
	now := base
	source := &fakeSource{}
	p, set := newPoller(t, source, func(c *PollerConfig) { c.Clock = func() time.Time { return now } })
	r := token("1", "main", "j")
	r.ExpiresAt = base.Add(90 * time.Second)
	source.revoke(r)
	for i, want := range []int{1, 1, 0} {
		if err := p.Poll(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := set.Len(); got != want {
			t.Errorf("after %d minutes: %d entries, want %d", i, got, want)
		}
		now = now.Add(time.Minute)
	}
}

// Sweeping copies; once a minute is enough, and no less.
func TestPollSweepsOnceAMinute(t *testing.T) {
	now := base
	source := &fakeSource{}
	p, set := newPoller(t, source, func(c *PollerConfig) { c.Clock = func() time.Time { return now } })
	r := token("1", "main", "j")
	r.ExpiresAt = base.Add(30 * time.Second)
	source.revoke(r)
	for _, step := range []struct {
		at   time.Duration
		want int
	}{{0, 1}, {time.Minute - 1, 1}, {time.Minute, 0}} {
		now = base.Add(step.at)
		if err := p.Poll(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := set.Len(); got != step.want {
			t.Errorf("after %s: %d entries, want %d", step.at, got, step.want)
		}
	}
}

func TestPollsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fakeSource{hang: true}
		p, _ := newPoller(t, source, nil)
		go func() { _ = p.Poll(t.Context()) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := p.Poll(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("err = %v, want the deadline", err)
		}
		if len(source.asked) != 1 {
			t.Errorf("asked %d times at once, want 1", len(source.asked))
		}
		time.Sleep(askTimeout)
	})
}

func TestNewPollerNeedsItsParts(t *testing.T) {
	for name, config := range map[string]PollerConfig{"no set": {Source: &fakeSource{}}, "no source": {Set: NewSet()}} {
		if _, err := NewPoller(config); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
