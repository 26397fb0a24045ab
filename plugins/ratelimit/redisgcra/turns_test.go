package redisgcra_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins/ratelimit"
	"github.com/ainative/portcullis/plugins/ratelimit/limitertest"
	"github.com/ainative/portcullis/plugins/ratelimit/redisgcra"
)

// spread asks one of several gateways after the other, and waits until they have
// told each other of their turns. Times do not move meanwhile.
type spread struct {
	t     testing.TB
	s     *server
	nodes []*redisgcra.Limiter
	next  atomic.Int64
}

func (n *spread) node() *redisgcra.Limiter {
	return n.nodes[int(n.next.Add(1))%len(n.nodes)]
}

func (n *spread) Take(ctx context.Context, key ratelimit.Key, limits []ratelimit.Limit, cost int64, rows []ratelimit.Row) (ratelimit.Decision, error) {
	l := n.node()
	d, err := l.Take(ctx, key, limits, cost, rows)
	n.s.awaitThat("the gateways know of the turn", func() bool { return !l.Telling() })
	return d, err
}

func (n *spread) Adjust(ctx context.Context, key ratelimit.Key, limits []ratelimit.Limit, delta int64, rows []ratelimit.Row) (ratelimit.Decision, error) {
	return n.node().Adjust(ctx, key, limits, delta, rows)
}

func (n *spread) Reset(ctx context.Context, key ratelimit.Key, limits []ratelimit.Limit) error {
	return n.node().Reset(ctx, key, limits)
}

// spreadSubject makes several gateways on one Redis whose time stands still.
func spreadSubject(t *testing.T, engine redisgcra.Engine, gateways int) limitertest.Subject {
	s := startServer(t)
	p := startProxy(t, s.addr)
	p.set(func(p *proxy) { p.rewrite = freeze() })
	return limitertest.Subject{
		Tolerance: 200 * time.Microsecond,
		New: func(t testing.TB) (ratelimit.Limiter, func(time.Duration)) {
			s.do("flushdb")
			start := time.Date(2026, 2, 3, 10, 0, 0, 0, time.UTC)
			var passed atomic.Int64
			advance := func(d time.Duration) {
				now := start.Add(time.Duration(passed.Add(int64(d))).Truncate(time.Microsecond))
				s.do("mset", "clock:s", now.Unix(), "clock:us", now.Nanosecond()/1000)
			}
			advance(0)
			n := &spread{t: t, s: s}
			for i := range gateways {
				l := newLimiter(t, redisgcra.Options{
					Engine: engine, Node: fmt.Sprint("node", i),
					Clock: func() time.Duration { return time.Duration(passed.Load()) },
				}, p.url())
				n.nodes = append(n.nodes, l)
			}
			// Without Join: signs of life would end with the time that is not real.
			s.awaitThat("all gateways know of each other", func() bool {
				all := true
				for _, l := range n.nodes {
					all = l.Check(t.Context()) == nil && l.Health().Gateways == gateways && all
				}
				return all
			})
			return n, advance
		},
	}
}

// A crowd whose requests go to several gateways gets through as one at a single
// gateway does.
func TestCrowdOverGateways(t *testing.T) {
	for gateways, engine := range map[int]redisgcra.Engine{2: redisgcra.EngineNative, 4: redisgcra.EngineRedisRate} {
		t.Run(fmt.Sprint(gateways, " gateways"), func(t *testing.T) {
			limitertest.Crowd(t, spreadSubject(t, engine, gateways))
		})
	}
}

// In real time, at two gateways at once: fifty callers wait exactly as they are told.
func TestCrowdInRealTime(t *testing.T) {
	s := startServer(t)
	limit := []ratelimit.Limit{ratelimit.MustParseLimit("40/1s")}
	var nodes []*redisgcra.Limiter
	for i := range 2 {
		l := newLimiter(t, redisgcra.Options{Node: fmt.Sprint("node", i)}, s.url())
		l.Join()
		nodes = append(nodes, l)
	}
	for _, l := range nodes {
		s.awaitThat("both know of two", func() bool { return l.Health().Gateways == 2 })
	}
	take(t, nodes[0], owner(1), "40/1s", 40)
	var gaveUp atomic.Int64
	var all sync.WaitGroup
	for n := range 50 {
		all.Go(func() {
			for range 3 {
				d, err := nodes[n%2].Take(context.Background(), owner(1), limit, 1, nil)
				if err != nil {
					t.Error(err)
					return
				}
				if d.Allowed {
					return
				}
				// As over HTTP, a caller comes a little later than it was told to.
				time.Sleep(d.RetryAfter + 25*time.Millisecond) //nolint:forbidigo // a client that waits as it is told is what is tested
			}
			gaveUp.Add(1)
		})
	}
	all.Wait()
	if n := gaveUp.Load(); n > 0 {
		t.Errorf("%d of 50 gave up after three tries", n)
	}
}

// A flood of refusals is told to other gateways in few calls, and one gateway alone
// tells nobody.
func TestTurnsAreToldInFewCalls(t *testing.T) {
	for _, tc := range []struct {
		gateways int
		most     int64
	}{{1, 0}, {2, 30}} {
		t.Run(fmt.Sprint(tc.gateways), func(t *testing.T) {
			l, _ := spreadSubject(t, redisgcra.EngineNative, tc.gateways).New(t)
			n := l.(*spread)
			first := n.nodes[0]
			take(t, first, owner(1), "60/1m", 60)
			take(t, first, owner(1), "60/1m", 1)
			before := first.Health().Calls
			for range 5000 {
				take(t, first, owner(1), "60/1m", 1)
				n.s.awaitThat("the turn is told", func() bool { return !first.Telling() })
			}
			if got := first.Health().Calls - before; got > tc.most {
				t.Errorf("%d calls for 5000 refusals, want %d at most", got, tc.most)
			}
		})
	}
}

// What is kept of refused callers is bounded, and goes with the turns.
func TestTurnsAreBounded(t *testing.T) {
	l, advance := frozen(t, redisgcra.Options{Engine: redisgcra.EngineNative}).New(t)
	for n := range 3 {
		take(t, l, owner(n), "60/1m", 60)
		take(t, l, owner(n), "60/1m", 1)
	}
	r := l.(*redisgcra.Limiter)
	if got := r.Turns(); got != 3 {
		t.Errorf("turns of %d counts, want 3", got)
	}
	advance(10 * time.Second)
	for n := range 3 {
		take(t, l, owner(n), "60/1m", 1)
	}
	if got := r.Turns(); got != 0 {
		t.Errorf("turns of %d counts, want none: all of them are over", got)
	}
}
