package redisgcra_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/ratelimit"
	"github.com/ainative/portcullis/plugins/ratelimit/limitertest"
	"github.com/ainative/portcullis/plugins/ratelimit/redisgcra"
)

// The tests of this file are the failure table: what is promised in each fault,
// as an inequality, on a real redis-server. They log what they measured.

// tight is the budget that is promised by default.
const tight = 50 * time.Millisecond

var engines = []redisgcra.Engine{redisgcra.EngineRedisRate, redisgcra.EngineNative}

func owner(n int) ratelimit.Key {
	return ratelimit.NewKey("faults", ratelimit.KindOwner, fmt.Sprint(n))
}

// load is what several nodes admitted for one key.
type load struct {
	mu       sync.Mutex
	start    time.Time
	admitted []limitertest.Span
	asked    int
	errs     []error
	slowest  time.Duration

	cancel  context.CancelFunc
	workers sync.WaitGroup
}

func (l *load) count() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return int64(len(l.admitted))
}

// hammer sends requests from workers of every node until the time is over.
func hammer(t *testing.T, nodes []*redisgcra.Limiter, key ratelimit.Key, limit ratelimit.Limit, workers int, d time.Duration) *load {
	t.Helper()
	l := startLoad(nodes, key, limit, workers)
	timer := time.NewTimer(d)
	<-timer.C
	l.stop()
	return l
}

// startLoad sends requests from workers of every node until stop is called.
func startLoad(nodes []*redisgcra.Limiter, key ratelimit.Key, limit ratelimit.Limit, workers int) *load {
	l := &load{start: time.Now()}
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	for _, node := range nodes {
		for range workers {
			l.workers.Go(func() {
				for ctx.Err() == nil {
					before := time.Now()
					dec, err := node.Take(context.Background(), key, []ratelimit.Limit{limit}, 1, nil)
					took := time.Since(before)
					l.mu.Lock()
					l.asked++
					l.slowest = max(l.slowest, took)
					if err != nil {
						l.errs = append(l.errs, err)
					} else if dec.Allowed {
						l.admitted = append(l.admitted, limitertest.Span{From: before.Sub(l.start), To: before.Sub(l.start) + took})
					}
					l.mu.Unlock()
					if err == nil && !dec.Allowed {
						// A client who is refused does not come again at once, and the machine has
						// other tests to run.
						pause := time.NewTimer(500 * time.Microsecond)
						<-pause.C
					}
				}
			})
		}
	}
	return l
}

// stop ends the load when its last requests have been answered.
func (l *load) stop() {
	l.cancel()
	l.workers.Wait()
}

// bound is what a limit admits in a time.
func bound(limit ratelimit.Limit, d time.Duration) int64 {
	return limit.Burst + int64(float64(limit.Count)*float64(d)/float64(limit.Period))
}

func awaitBreaker(t *testing.T, l *redisgcra.Limiter, want string) {
	t.Helper()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for l.Health().Breaker != want {
		select {
		case <-deadline.C:
			t.Fatalf("the breaker is not %s: %+v", want, l.Health())
		case <-tick.C:
		}
	}
}

func take(t testing.TB, l ratelimit.Limiter, key ratelimit.Key, limit string, cost int64) ratelimit.Decision {
	t.Helper()
	d, err := l.Take(t.Context(), key, []ratelimit.Limit{ratelimit.MustParseLimit(limit)}, cost, nil)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// trip makes calls until the breaker opens.
func trip(t *testing.T, l *redisgcra.Limiter) {
	t.Helper()
	for n := range 20 {
		if l.Health().Breaker == "open" {
			return
		}
		_, _ = l.Take(t.Context(), owner(1000+n), []ratelimit.Limit{ratelimit.MustParseLimit("60/1m")}, 1, nil)
	}
	if h := l.Health(); h.Breaker != "open" {
		t.Fatalf("the breaker did not open: %+v", h)
	}
}

// F0: several nodes hold one limit together, exactly.
func TestF0SeveralNodesHoldOneLimit(t *testing.T) {
	s := startServer(t)
	for _, engine := range engines {
		t.Run(string(engine), func(t *testing.T) {
			var nodes []*redisgcra.Limiter
			for range 4 {
				nodes = append(nodes, newLimiter(t, redisgcra.Options{Engine: engine}, s.url()))
			}
			limit := ratelimit.MustParseLimit("100/1s burst 50")
			start := time.Now()
			l := hammer(t, nodes, owner(1), limit, 4, long(time.Second))
			elapsed := time.Since(start)
			excess := l.wantExcess(t, limit, 0)
			if len(l.errs) > 0 {
				t.Errorf("clients saw errors: %v", l.errs[0])
			}
			if least := bound(limit, elapsed) * 8 / 10; l.count() < least {
				t.Errorf("%d admitted in %s, want %d at least: callers were refused who should not be", l.count(), elapsed, least)
			}
			var calls int64
			for _, node := range nodes {
				calls += node.Health().Calls
			}
			measured(t, "F0", "none, `mode exact`", "0, and nobody is refused early", "%s: excess %d, %d admitted of %d that were due, on four gateways; %.3f calls a request", engine, excess, l.count(), bound(limit, elapsed), float64(calls)/float64(l.asked))
		})
	}
}

// F0b: the bounded mode keeps its bound, with answers that are late.
func TestF0bBoundedKeepsItsBound(t *testing.T) {
	s := startServer(t)
	p := startProxy(t, s.addr)
	p.set(func(p *proxy) { p.delay = 5 * time.Millisecond })
	const n = 4
	var nodes []*redisgcra.Limiter
	for range n {
		nodes = append(nodes, newLimiter(t, redisgcra.Options{Mode: redisgcra.ModeBounded, Engine: redisgcra.EngineNative, Nodes: n}, p.url()))
	}
	limit := ratelimit.MustParseLimit("1000/1s burst 1000")
	start := time.Now()
	l := hammer(t, nodes, owner(1), limit, 8, long(2*time.Second))
	elapsed := time.Since(start)
	extra := bound(limit, time.Second) - limit.Burst + limit.Burst*5/100
	excess := l.wantExcess(t, limit, extra)
	if len(l.errs) > 0 {
		t.Errorf("clients saw errors: %v", l.errs[0])
	}
	var calls int64
	for _, node := range nodes {
		calls += node.Health().Calls
	}
	measured(t, "F0b", "none, `mode bounded`", "R × 1s + 5% of B", "excess %d, bound %d, %d admitted of %d that were due, on four gateways with answers after 5ms; %.3f calls a request", excess, extra, l.count(), bound(limit, elapsed), float64(calls)/float64(l.asked))
}

// The bounded mode makes fewer calls for a caller within the limit.
func TestBoundedAsksSeldom(t *testing.T) {
	s := startServer(t)
	l := newLimiter(t, redisgcra.Options{Mode: redisgcra.ModeBounded, Nodes: 1}, s.url())
	limit := ratelimit.MustParseLimit("100000/1m")
	const requests = 20_000
	for range requests {
		if d := take(t, l, owner(1), limit.String(), 1); !d.Allowed {
			t.Fatalf("refused: %+v", d)
		}
	}
	calls := l.Health().Calls
	if calls > requests/10 {
		t.Errorf("%d calls for %d requests", calls, requests)
	}
	t.Logf("bounded: %d calls for %d requests", calls, requests)
	// All of it is charged in the end.
	_ = l.Close()
	exact := newLimiter(t, redisgcra.Options{}, s.url())
	if got := take(t, exact, owner(1), limit.String(), 0).Rows[0]; limit.Burst-got.Remaining < requests*6/10 {
		t.Errorf("%d of %d requests are charged", limit.Burst-got.Remaining, requests)
	}
}

// F1: Redis is slower than the budget: callers get an answer in time.
func TestF1SlowRedis(t *testing.T) {
	s := startServer(t)
	p := startProxy(t, s.addr)
	// Far enough from zero and from the delay that a busy machine shifts neither.
	const budget, delay = 200 * time.Millisecond, 5 * time.Second
	l := newLimiter(t, redisgcra.Options{Timeout: budget}, p.url())
	take(t, l, owner(1), "1000/1h", 1)
	p.set(func(p *proxy) { p.delay = delay })
	var took []time.Duration
	for range 4 {
		before := time.Now()
		if d := take(t, l, owner(1), "1000/1h", 1); !d.Allowed {
			t.Errorf("refused: %+v", d)
		}
		took = append(took, time.Since(before))
	}
	slices.Sort(took)
	// The fastest tells of the limiter, the slowest of the machine.
	if took[0] < budget-5*time.Millisecond || took[0] > budget*3/2 {
		t.Errorf("the fastest answer took %s, want about %s", took[0], budget)
	}
	measured(t, "F1", "Redis is slower than `timeout`", "an answer in `timeout`, by `on_failure`", "answers after %s with a budget of %s", took[0].Round(100*time.Microsecond), budget)
}

// F2 and F4: Redis is killed; the breaker opens, callers don't wait, the policy
// decides; afterwards usage is charged once.
func TestF2KilledAndF4Recovered(t *testing.T) {
	for _, engine := range engines {
		t.Run(string(engine), func(t *testing.T) {
			s := startServer(t)
			var seen struct {
				sync.Mutex
				edges             []bool
				answered, refused int
				local             int64
			}
			l := newLimiter(t, redisgcra.Options{Engine: engine, Share: 0.5, Observer: redisgcra.Observer{
				OnBreaker: func(open bool) {
					seen.Lock()
					defer seen.Unlock()
					seen.edges = append(seen.edges, open)
				},
				OnCall: func(took time.Duration, err error) {
					seen.Lock()
					defer seen.Unlock()
					switch {
					case took < 0 || took > time.Minute:
						t.Errorf("a call took %s", took)
					case err == nil:
						seen.answered++
					case slices.Contains(redisgcra.ErrorKinds, redisgcra.ErrorKind(err)):
						seen.refused++
					}
				},
				OnFallback: func(policy redisgcra.OnFailure) {
					seen.Lock()
					defer seen.Unlock()
					seen.local++
				},
			}}, s.url())
			take(t, l, owner(2), "100/1h", 1)
			s.kill()
			trip(t, l)
			if errs := l.Health().Errors; errs > 5 {
				t.Errorf("%d callers saw the failure, want 5 at most", errs)
			}
			admitted := int64(0)
			var took []time.Duration
			for range 2000 {
				before := time.Now()
				if take(t, l, owner(1), "100/1h", 1).Allowed {
					admitted++
				}
				took = append(took, time.Since(before))
			}
			slices.Sort(took)
			if admitted != 50 {
				t.Errorf("%d admitted, want the half of 100", admitted)
			}
			if median := took[len(took)/2]; median > time.Millisecond {
				t.Errorf("a decision without redis takes %s, want under 1ms", median)
			}
			s.start()
			awaitBreaker(t, l, "closed")
			if got := take(t, l, owner(1), "100/1h", 0).Rows[0].Remaining; got != 50 {
				t.Errorf("%d remain, want 50: what was used meanwhile is charged once", got)
			}
			seen.Lock()
			defer seen.Unlock()
			if !slices.Equal(seen.edges, []bool{true, false}) || seen.answered != 2 || int64(seen.refused) != l.Health().Errors || seen.local != 2000+int64(seen.refused) {
				t.Errorf("the observer was told of the edges %v, %d answers, %d failures, %d decisions without redis", seen.edges, seen.answered, seen.refused, seen.local)
			}
			measured(t, "F2", "refused, reset, killed", "5 callers see it, then the breaker is open and adds less than 1ms; `local`: share × (B + R × W) on each gateway, `open`: everything, `closed`: 0", "%s: %d callers saw it, then %s (median) and %s (p99) a decision; %d admitted of a share of 50, %d charged afterwards", engine, l.Health().Errors, took[len(took)/2].Round(100*time.Nanosecond), took[len(took)*99/100].Round(100*time.Nanosecond), admitted, 50)
		})
	}
}

func TestF2Policies(t *testing.T) {
	limit := []ratelimit.Limit{ratelimit.MustParseLimit("2/1h")}
	t.Run("open", func(t *testing.T) {
		l := newLimiter(t, redisgcra.Options{OnFailure: redisgcra.FailOpen, Timeout: tight}, "redis://"+freeAddr(t))
		for range 100 {
			if d, err := l.Take(t.Context(), owner(1), limit, 1, nil); err != nil || !d.Allowed {
				t.Fatalf("got %+v, %v", d, err)
			}
		}
	})
	t.Run("closed", func(t *testing.T) {
		l := newLimiter(t, redisgcra.Options{OnFailure: redisgcra.FailClosed, Timeout: tight}, "redis://"+freeAddr(t))
		for range 100 {
			_, err := l.Take(t.Context(), owner(1), limit, 1, nil)
			var gone *plugins.Unavailable
			if !errors.As(err, &gone) || gone.RetryAfter <= 0 || gone.Reason != plugins.ReasonLimiterUnavailable {
				t.Fatalf("got %v, want it to be unavailable", err)
			}
		}
	})
	t.Run("after Close", func(t *testing.T) {
		s := startServer(t)
		l := newLimiter(t, redisgcra.Options{}, s.url())
		_ = l.Close()
		if d, err := l.Take(t.Context(), owner(1), limit, 1, nil); err != nil || !d.Allowed {
			t.Errorf("got %+v, %v, want a decision from memory", d, err)
		}
	})
}

// F3: Redis hangs under many callers: memory and goroutines stay bounded, nobody
// waits longer than the budget, and it goes on afterwards.
func TestF3Hung(t *testing.T) {
	s := startServer(t)
	l := newLimiter(t, redisgcra.Options{Timeout: tight, OnFailure: redisgcra.FailOpen}, s.url())
	take(t, l, owner(1), "100000/30d", 1)
	s.signal(syscall.SIGSTOP)
	before := runtime.NumGoroutine()
	const callers = 2000
	var all sync.WaitGroup
	took := make([]time.Duration, callers)
	for n := range callers {
		all.Go(func() {
			start := time.Now()
			_, _ = l.Take(context.Background(), owner(n), []ratelimit.Limit{ratelimit.MustParseLimit("100000/30d")}, 1, nil)
			took[n] = time.Since(start)
		})
	}
	all.Wait()
	slices.Sort(took)
	// Two thousand goroutines on a busy machine wait for processors too.
	if slowest := took[callers-1]; slowest > tight+5*time.Second {
		t.Errorf("the slowest of %d took %s", callers, slowest)
	}
	awaitBreaker(t, l, "open")
	if after := runtime.NumGoroutine(); after > before+64 {
		t.Errorf("%d goroutines after, %d before", after, before)
	}
	s.signal(syscall.SIGCONT)
	awaitBreaker(t, l, "closed")
	if d := take(t, l, owner(1), "100000/30d", 1); !d.Allowed {
		t.Errorf("after the pause: %+v", d)
	}
	measured(t, "F3", "hung, or swallowed by the network", "an answer in `timeout`, then as F2; memory and goroutines are bounded", "of %d callers at once the slowest hundredth waited %s, no goroutine was left", callers, took[callers*99/100].Round(time.Millisecond))
}

// F5: a replica takes over: it has no scripts and may lack what was not
// replicated.
func TestF5Promoted(t *testing.T) {
	master := startServer(t)
	replica := startServer(t, "--replicaof", "127.0.0.1 "+fmt.Sprint(master.port()))
	p := startProxy(t, master.addr)
	l := newLimiter(t, redisgcra.Options{}, p.url())
	for range 60 {
		take(t, l, owner(1), "100/1h", 1)
	}
	master.replicate()
	master.kill()
	replica.do("replicaof", "no", "one")
	p.set(func(p *proxy) { p.upstream = replica.addr })
	p.cut()
	// The connection that broke is one failure; the calls after it go on.
	for range 3 {
		take(t, l, owner(2), "100/1h", 1)
	}
	if got := take(t, l, owner(1), "100/1h", 0).Rows[0].Remaining; got != 40 {
		t.Errorf("%d remain, want the 40 of before", got)
	}
}

// F8: Redis answers that it can't. That is a failure and never a denial.
func TestF8Refusals(t *testing.T) {
	for _, tc := range []struct {
		name  string
		args  []string
		setup func(*server)
		want  string
	}{
		{"out of memory", []string{"--maxmemory", "1", "--maxmemory-policy", "noeviction"}, nil, "OOM"},
		{"read-only replica", nil, func(s *server) { s.do("replicaof", "127.0.0.1", 1) }, "READONLY"},
		{"masterdown", []string{"--replica-serve-stale-data", "no"}, func(s *server) { s.do("replicaof", "127.0.0.1", 1) }, "MASTERDOWN"},
		{"no password", []string{"--requirepass", "secret"}, nil, "NOAUTH"},
		{"not permitted", nil, func(s *server) { s.do("acl", "setuser", "default", "-evalsha", "-eval") }, "NOPERM"},
		{"busy script", []string{"--lua-time-limit", "1"}, func(s *server) {
			go s.client.Eval(context.Background(), "while true do end", nil)
			s.await(func(ctx context.Context) error {
				if err := s.client.Get(ctx, "x").Err(); err == nil || err.Error() == "redis: nil" {
					return errors.New("not busy yet")
				}
				return nil
			})
		}, "BUSY"},
		{"no cluster", []string{"--cluster-enabled", "yes", "--cluster-port", portOf(freeAddr(t))}, nil, "CLUSTERDOWN"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := startServer(t, tc.args...)
			if tc.setup != nil {
				tc.setup(s)
			}
			l := newLimiter(t, redisgcra.Options{OnFailure: redisgcra.FailClosed, Timeout: time.Second}, s.url())
			for range 7 {
				d, err := l.Take(t.Context(), owner(1), []ratelimit.Limit{ratelimit.MustParseLimit("60/1m")}, 1, nil)
				if _, ok := errors.AsType[*plugins.Unavailable](err); !ok {
					t.Fatalf("got %+v, %v, want it to be unavailable", d, err)
				}
			}
			measured(t, "F8", "Redis says that it can't", "a failure as F2, never a refusal", "%s: 503", tc.want)
			if h := l.Health(); h.Breaker != "open" || len(h.LastError) < len(tc.want) || h.LastError[:len(tc.want)] != tc.want {
				t.Errorf("got %s with %q, want it open with %s", h.Breaker, h.LastError, tc.want)
			}
		})
	}
}

// F11: the clock of Redis steps. Forward it gives units early, back it makes no
// caller wait longer than the limit takes to fill, and what is told holds.
func TestF11RedisClock(t *testing.T) {
	for _, engine := range engines {
		t.Run(string(engine), func(t *testing.T) {
			s := frozen(t, redisgcra.Options{Engine: engine})
			longest := time.Duration(0)
			for _, step := range []time.Duration{-time.Hour, -30 * 24 * time.Hour, time.Hour} {
				l, advance, stepRedis := s.newStepping(t)
				take(t, l, owner(1), "60/1m", 60)
				stepRedis(step)
				advance(time.Second)
				d := take(t, l, owner(1), "60/1m", 2)
				if !d.Allowed && (d.RetryAfter > time.Minute || d.Rows[0].ResetAfter > time.Minute+time.Millisecond) {
					t.Errorf("%s: got %+v, want no wait beyond 1m", step, d)
				}
				longest = max(longest, d.RetryAfter)
				advance(d.RetryAfter + time.Millisecond)
				if d = take(t, l, owner(1), "60/1m", 1); !d.Allowed {
					t.Errorf("%s: got %+v after the wait that was told", step, d)
				}
			}
			measured(t, "F11", "the clock of Redis steps by Δ", "forward: min(B, R × Δ); back: nobody waits longer than B × T", "%s: steps of -1h, -30d and +1h: the longest wait was %s with B × T of 1m, and held", engine, longest.Round(time.Millisecond))
		})
	}
}

// F13: a node is lost with what it had leased: too little is admitted, for a
// while, and never too much.
func TestF13LostNode(t *testing.T) {
	s := startServer(t)
	limit := ratelimit.MustParseLimit("1000/1h")
	admitted := int64(0)
	for range 3 {
		// A node that is not closed in order: its connections are cut.
		p := startProxy(t, s.addr)
		l := newLimiter(t, redisgcra.Options{Mode: redisgcra.ModeBounded, Nodes: 2, OnFailure: redisgcra.FailClosed, Timeout: time.Second}, p.url())
		for range 600 {
			if d, err := l.Take(t.Context(), owner(1), []ratelimit.Limit{limit}, 1, nil); err == nil && d.Allowed {
				admitted++
			}
		}
		p.set(func(p *proxy) { p.refuse = true })
		p.cut()
	}
	// Each lost node admitted its part of the error on credit at most.
	if most := limit.Burst + 3*int64(float64(limit.Burst)*0.05/2) + 3; admitted > most {
		t.Errorf("%d admitted, want %d at most", admitted, most)
	}
	measured(t, "F13", "a gateway crashes", "2.5% of B on credit for each (5% over two), what it held in advance is lost for a while", "%d admitted of %d over three gateways that were lost", admitted, limit.Burst)
}

// F15: something else stands at our keys.
func TestF15ForeignValues(t *testing.T) {
	s := startServer(t)
	for _, engine := range engines {
		l := newLimiter(t, redisgcra.Options{Engine: engine}, s.url())
		for i, put := range []func(name string){
			func(name string) { s.do("set", name, "garbage") },
			func(name string) { s.do("set", name, "nan") },
			func(name string) { s.do("set", name, "inf") },
			func(name string) { s.do("set", name, "-inf") },
			func(name string) { s.do("set", name, "1e308") },
			func(name string) { s.do("set", name, "") },
			func(name string) { s.do("lpush", name, "x") },
			func(name string) { s.do("hset", name, "x", "y") },
		} {
			key := owner(i)
			s.do("flushall")
			take(t, l, key, "10/1m", 1)
			names := s.do("keys", "*").([]any)
			if len(names) != 1 {
				t.Fatalf("%s: %d keys: %v", engine, len(names), names)
			}
			name := names[0].(string)
			s.do("del", name)
			put(name)
			// A value that is no count is forgotten or an empty bucket; either way the
			// next answers are those of the limit, and it heals.
			first := take(t, l, key, "10/1m", 1)
			if !first.Allowed && first.RetryAfter > 7*time.Second {
				t.Errorf("%s, %d: got %+v", engine, i, first)
			}
			admitted := 0
			for range 30 {
				if take(t, l, key, "10/1m", 1).Allowed {
					admitted++
				}
			}
			if admitted > 10 {
				t.Errorf("%s, %d: %d admitted, want 10 at most", engine, i, admitted)
			}
		}
		strict := "10/1m window strict"
		take(t, l, owner(99), strict, 1)
		for _, name := range s.do("keys", "*s").([]any) {
			s.do("set", name, "12 -3 abc 99999999999999999999999999")
		}
		if d := take(t, l, owner(99), strict, 1); !d.Allowed {
			t.Errorf("%s: a window of nonsense: got %+v", engine, d)
		}
		if h := l.Health(); h.Errors != 0 || h.Corrupt == 0 {
			t.Errorf("%s: got %+v, want what was removed counted and no error", engine, h)
		}
		measured(t, "F15", "something else at our keys", "removed, asked again, counted; B", "%s: 8 kinds of value, no error, none got more than B, %d removed", engine, l.Health().Corrupt)
	}
}

// F16: clients go away in the middle: the charge stands and nothing is left.
func TestF16ClientsGoAway(t *testing.T) {
	s := startServer(t)
	l := newLimiter(t, redisgcra.Options{}, s.url())
	take(t, l, owner(1), "100000/30d", 1)
	before := runtime.NumGoroutine()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	var all sync.WaitGroup
	var failed atomic.Int64
	for range 1000 {
		all.Go(func() {
			if d, err := l.Take(gone, owner(2), []ratelimit.Limit{ratelimit.MustParseLimit("100000/30d")}, 1, nil); err != nil || !d.Allowed {
				failed.Add(1)
			}
		})
	}
	all.Wait()
	if got := take(t, l, owner(2), "100000/30d", 0).Rows[0].Remaining; got != 99_000 || failed.Load() > 0 || l.Health().Errors > 0 {
		t.Errorf("%d remain and %d failed, want 99,000 and none: %+v", got, failed.Load(), l.Health())
	}
	if after := runtime.NumGoroutine(); after > before+2 {
		t.Errorf("%d goroutines after, %d before", after, before)
	}
	measured(t, "F16", "clients go away", "the charge stands; 0", "1000 clients that had gone: 1000 charged, no goroutine left")
}

// F18: one of three nodes is cut off: it grants its share, the others the limit.
func TestF18Partition(t *testing.T) {
	s := startServer(t)
	p := startProxy(t, s.addr)
	limit := ratelimit.MustParseLimit("100/1h")
	nodes := []*redisgcra.Limiter{
		newLimiter(t, redisgcra.Options{}, s.url()),
		newLimiter(t, redisgcra.Options{}, s.url()),
		newLimiter(t, redisgcra.Options{Share: 0.2, Timeout: tight}, p.url()),
	}
	p.set(func(p *proxy) { p.refuse = true })
	p.cut()
	trip(t, nodes[2])
	l := hammer(t, nodes, owner(1), limit, 2, time.Second)
	if most := limit.Burst + 20; l.count() > most || len(l.errs) > 0 {
		t.Errorf("%d admitted, want %d at most; errors %v", l.count(), most, l.errs)
	}
	measured(t, "F18", "k of N gateways are cut off", "k × share × (B + R × W)", "one of three with a share of 0.2: %d admitted, bound %d", l.count(), limit.Burst+20)
}

// F20: answers on a connection are shifted. No caller gets another's decision:
// rich callers are always allowed and poor ones always refused, or the policy
// decides.
func TestF20ShiftedAnswers(t *testing.T) {
	for _, engine := range engines {
		for name, shift := range map[string]func(*proxy){
			"an answer is missing":   func(p *proxy) { p.swallow = 1 },
			"an answer is too many":  func(p *proxy) { p.inject = "*2\r\n:1\r\n:0\r\n" },
			"an error is too many":   func(p *proxy) { p.inject = "-ERR what\r\n" },
			"a decision is too many": func(p *proxy) { p.inject = "*4\r\n:1\r\n:9\r\n$2\r\n-1\r\n$3\r\n0.1\r\n" },
		} {
			t.Run(string(engine)+"/"+name, func(t *testing.T) {
				s := startServer(t)
				p := startProxy(t, s.addr)
				l := newLimiter(t, redisgcra.Options{Engine: engine, OnFailure: redisgcra.FailClosed, Timeout: 300 * time.Millisecond}, p.url())
				take(t, l, owner(0), "1/1h", 1)
				var wrong, failed atomic.Int64
				rounds := int(long(1))
				for range rounds {
					p.set(shift)
					var all sync.WaitGroup
					for n := range 64 {
						all.Go(func() {
							// Even callers have had their one request; odd ones have a million.
							key, limit := owner(100+n), ratelimit.MustParseLimit("1000000/1h")
							if n%2 == 0 {
								key, limit = owner(0), ratelimit.MustParseLimit("1/1h")
							}
							d, err := l.Take(context.Background(), key, []ratelimit.Limit{limit}, 1, nil)
							switch {
							case err != nil:
								failed.Add(1)
							case d.Allowed != (n%2 == 1):
								wrong.Add(1)
							}
						})
					}
					all.Wait()
					awaitBreaker(t, l, "closed")
				}
				if wrong.Load() > 0 {
					t.Errorf("%d callers got another's decision", wrong.Load())
				}
				measured(t, "F20", "answers come to other questions", "0: the connection is closed", "%s: %d of %d callers got another's decision", name, wrong.Load(), rounds*64)
			})
		}
	}
}

// The way to Redis: a Unix socket, a user of an access list, a password.
func TestWaysToRedis(t *testing.T) {
	s := startServer(t)
	s.do("acl", "setuser", "gateway", "on", ">p@ss", "~rate:*", "~rl2:*", "+evalsha", "+eval", "+get", "+set", "+del", "+time", "+echo")
	for name, url := range map[string]string{
		"unix socket": "unix://" + s.socket(),
		"user":        "redis://gateway:p%40ss@" + s.addr,
		"database":    "redis://" + s.addr + "/3",
	} {
		for _, engine := range engines {
			l := newLimiter(t, redisgcra.Options{Engine: engine, OnFailure: redisgcra.FailClosed}, url)
			key := ratelimit.NewKey(name, "", string(engine))
			take(t, l, key, "2/1h", 2)
			if take(t, l, key, "2/1h", 1).Allowed {
				t.Errorf("%s, %s: a third was admitted", name, engine)
			}
			if err := l.Reset(t.Context(), key, []ratelimit.Limit{ratelimit.MustParseLimit("2/1h")}); err != nil {
				t.Errorf("%s, %s: %v", name, engine, err)
			}
		}
	}
}

// A caller a hundred times over the limit costs Redis few calls.
func TestFloodCostsFewCalls(t *testing.T) {
	s := startServer(t)
	for _, engine := range engines {
		l := newLimiter(t, redisgcra.Options{Engine: engine}, s.url())
		key := ratelimit.NewKey("flood", "", string(engine))
		limit := ratelimit.MustParseLimit("1000/1m")
		take(t, l, key, limit.String(), 1000)
		before := l.Health().Calls
		const requests = 1000
		start := time.Now()
		tick := time.NewTicker(600 * time.Microsecond)
		for range requests {
			<-tick.C
			take(t, l, key, limit.String(), 1)
		}
		tick.Stop()
		calls := l.Health().Calls - before
		// One for each unit that came meanwhile, and some: a busy machine takes longer.
		if most := requests*5/100 + bound(limit, time.Since(start)) - limit.Burst; calls > most {
			t.Errorf("%s: %d calls for %d requests, want %d at most", engine, calls, requests, most)
		}
		t.Logf("flood, %s: %.2f calls for 100 requests", engine, float64(calls)*100/requests)
	}
}

// A caller who waits for long costs one call for each unit that comes, and a
// reset or a refund by one node is known to the others at once.
func TestNodesTellEachOther(t *testing.T) {
	s := startServer(t)
	limit := ratelimit.MustParseLimit("60/1h")
	limits := []ratelimit.Limit{limit}
	here := newLimiter(t, redisgcra.Options{}, s.url())
	there := newLimiter(t, redisgcra.Options{}, s.url())
	hears := func(want bool) {
		t.Helper()
		s.await(func(ctx context.Context) error {
			n, err := s.client.PubSubNumSub(ctx, "portcullis:limits").Result()
			if err == nil && (n["portcullis:limits"] == 2) != want {
				err = fmt.Errorf("%v listen", n)
			}
			return err
		})
	}
	empty := func() {
		take(t, there, owner(1), limit.String(), 60)
		for _, l := range []*redisgcra.Limiter{here, there} {
			if take(t, l, owner(1), limit.String(), 1).Allowed {
				t.Fatal("a 61st was admitted")
			}
		}
	}
	empty()
	hears(true)
	// Denials that were asked for from now on are trusted until the unit is due.
	s.await(func(context.Context) error {
		take(t, here, owner(1), limit.String(), 1)
		if h := here.Health(); !h.Hears {
			return errors.New("it does not hear yet")
		}
		return nil
	})
	before := here.Health().Calls
	until := time.NewTimer(3 * time.Second)
	defer until.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for waiting := true; waiting; {
		select {
		case <-until.C:
			waiting = false
		case <-tick.C:
			take(t, here, owner(1), limit.String(), 1)
		}
	}
	// One second of trust may have been of a denial from before it heard.
	if calls := here.Health().Calls - before; calls > 2 {
		t.Errorf("%d calls for a caller who has to wait for a minute, want 2 at most", calls)
	}
	if err := there.Reset(t.Context(), owner(1), limits); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	s.await(func(context.Context) error {
		if !take(t, here, owner(1), limit.String(), 1).Allowed {
			return errors.New("the reset is not known yet")
		}
		return nil
	})
	t.Logf("a reset by another node was known after %s", time.Since(start))
	take(t, there, owner(1), limit.String(), 59)
	if take(t, here, owner(1), limit.String(), 1).Allowed {
		t.Fatal("a 61st was admitted")
	}
	take(t, there, owner(1), limit.String(), -5)
	s.await(func(context.Context) error {
		if !take(t, here, owner(1), limit.String(), 1).Allowed {
			return errors.New("the refund is not known yet")
		}
		return nil
	})
}
