package redisgcra_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/ratelimit"
	"github.com/ainative/portcullis/plugins/ratelimit/limitertest"
	"github.com/ainative/portcullis/plugins/ratelimit/redisgcra"
)

// generous is a budget for tests of answers, on machines that do other things.
const generous = 5 * time.Second

func newLimiter(t testing.TB, o redisgcra.Options, urls ...string) *redisgcra.Limiter {
	t.Helper()
	target, err := redisgcra.ParseURLs(urls)
	if err != nil {
		t.Fatal(err)
	}
	o.Target = target
	if o.Timeout == 0 {
		o.Timeout = generous
	}
	l, err := redisgcra.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("closing the limiter: %v", err)
		}
	})
	return l
}

// A frozenSubject makes limiters on a real Redis whose scripts see a clock that
// stands still.
type frozenSubject struct {
	limitertest.Subject
	// newStepping makes one with a way to move the clock of Redis alone.
	newStepping func(testing.TB) (l ratelimit.Limiter, advance, step func(time.Duration))
}

func frozen(t *testing.T, o redisgcra.Options) frozenSubject {
	s := startServer(t)
	p := startProxy(t, s.addr)
	p.set(func(p *proxy) { p.rewrite = freeze() })
	var f frozenSubject
	f.newStepping = func(t testing.TB) (ratelimit.Limiter, func(time.Duration), func(time.Duration)) {
		s.do("flushdb")
		now := time.Date(2026, 2, 3, 10, 0, 0, 123457000, time.UTC)
		odd := time.Duration(0)
		step := func(d time.Duration) {
			// Redis counts microseconds: the rest of a step is kept for the next.
			odd += d
			now = now.Add(odd.Truncate(time.Microsecond))
			odd -= odd.Truncate(time.Microsecond)
			s.do("mset", "clock:s", now.Unix(), "clock:us", now.Nanosecond()/1000)
		}
		step(0)
		var clock atomic.Int64
		o := o
		o.Clock = func() time.Duration { return time.Duration(clock.Load()) }
		return newLimiter(t, o, p.url()), func(d time.Duration) {
			clock.Add(int64(d))
			step(d)
		}, step
	}
	f.New = func(t testing.TB) (ratelimit.Limiter, func(time.Duration)) {
		l, advance, _ := f.newStepping(t)
		return l, advance
	}
	return f
}

func TestContract(t *testing.T) {
	for name, o := range map[string]redisgcra.Options{
		"redis_rate": {Engine: redisgcra.EngineRedisRate},
		"native":     {Engine: redisgcra.EngineNative},
		// One node alone holds what it was given in advance and on credit: it answers
		// as the exact mode does.
		"leases":              {Engine: redisgcra.EngineNative, Mode: redisgcra.ModeBounded, Nodes: 1, Error: -1},
		"bounded, redis_rate": {Engine: redisgcra.EngineRedisRate, Mode: redisgcra.ModeBounded, Nodes: 1},
		"bounded, native":     {Engine: redisgcra.EngineNative, Mode: redisgcra.ModeBounded, Nodes: 1, Error: 0.5},
	} {
		t.Run(name, func(t *testing.T) {
			s := frozen(t, o)
			// An interval is rounded up to a microsecond by the native engine and to
			// 60 ns for redis_rate: a burst of the tests is late by less than this.
			s.Tolerance = 200 * time.Microsecond
			if o.Mode == redisgcra.ModeBounded {
				// A lease is a tenth of a burst at most.
				s.Over, s.Under = max(o.Error, 0), 0.1
				if o.Error == 0 {
					s.Over = 0.05
				}
			}
			limitertest.Run(t, s.Subject)
		})
	}
}

// TestContractOfTheFallback holds the memory that decides without Redis to the
// same contract: with the whole share one node is as exact as Redis.
func TestContractOfTheFallback(t *testing.T) {
	limitertest.Run(t, limitertest.Subject{
		New: func(t testing.TB) (ratelimit.Limiter, func(time.Duration)) {
			var clock atomic.Int64
			l := newLimiter(t, redisgcra.Options{
				Share: 1,
				Clock: func() time.Duration { return time.Duration(clock.Load()) },
			}, "redis://127.0.0.1:1")
			return forgetful{l}, func(d time.Duration) { clock.Add(int64(d)) }
		},
	})
}

func TestModel(t *testing.T) {
	s := frozen(t, redisgcra.Options{Engine: redisgcra.EngineNative})
	// A refusal without asking Redis is told a microsecond more, the resolution of
	// Redis's clock.
	s.Tolerance = time.Microsecond
	limitertest.Model(t, s.Subject, time.Microsecond)
}

// forgetful is a limiter whose Redis is gone: a reset says that it could not be
// made there, and is made here.
type forgetful struct{ ratelimit.Limiter }

func (f forgetful) Reset(ctx context.Context, key ratelimit.Key, limits []ratelimit.Limit) error {
	var gone *plugins.Unavailable
	if err := f.Limiter.Reset(ctx, key, limits); !errors.As(err, &gone) {
		return fmt.Errorf("got %w, want it to say that redis is gone", err)
	}
	return nil
}
