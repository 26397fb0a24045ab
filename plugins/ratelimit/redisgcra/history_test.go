package redisgcra_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins/ratelimit"
	"github.com/ainative/portcullis/plugins/ratelimit/limitertest"
	"github.com/ainative/portcullis/plugins/ratelimit/redisgcra"
)

// The tests of this file run several gateways on one Redis under load, break
// something in the middle, and check the history of what was admitted: in no
// window more than the limit and what the fault may add.

// excess is by how much the history breaks the limit.
func (l *load) excess(limit ratelimit.Limit) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return limitertest.ExcessOfSpans(l.admitted, limit)
}

// storm runs a nemesis against gateways under load.
func storm(t *testing.T, nodes []*redisgcra.Limiter, key ratelimit.Key, limit ratelimit.Limit, workers int, d time.Duration, nemesis func(after func(time.Duration))) *load {
	t.Helper()
	var l *load
	var done sync.WaitGroup
	done.Go(func() { l = hammer(t, nodes, key, limit, workers, d) })
	nemesis(func(d time.Duration) {
		timer := time.NewTimer(d)
		<-timer.C
	})
	done.Wait()
	return l
}

func gateways(t *testing.T, n int, o redisgcra.Options, urls ...string) []*redisgcra.Limiter {
	t.Helper()
	var nodes []*redisgcra.Limiter
	for range n {
		nodes = append(nodes, newLimiter(t, o, urls...))
	}
	return nodes
}

// wantExcess fails where more was admitted than the limit and the extra.
func (l *load) wantExcess(t *testing.T, limit ratelimit.Limit, most int64) int64 {
	t.Helper()
	got := l.excess(limit)
	if got > most {
		t.Errorf("%d more admitted than %s allows in some window, want %d at most", got, limit, most)
	}
	return got
}

// F4: three gateways meet the end of an outage: what they admitted is charged once.
func TestF4UsageIsChargedOnce(t *testing.T) {
	s := startServer(t)
	const n, workers = 3, 2
	nodes := gateways(t, n, redisgcra.Options{Timeout: tight, Share: 0.2}, s.url())
	limit := ratelimit.MustParseLimit("100/1h")
	patient := newLimiter(t, redisgcra.Options{OnFailure: redisgcra.FailClosed}, s.url())
	for range 10 {
		take(t, patient, owner(1), limit.String(), 1)
	}
	s.signal(syscall.SIGSTOP)
	l := hammer(t, nodes, owner(1), limit, workers, long(time.Second))
	s.signal(syscall.SIGCONT)
	for _, node := range nodes {
		awaitBreaker(t, node, "closed")
	}
	used, timeouts, forgiven := l.count(), int64(0), int64(0)
	for _, node := range nodes {
		timeouts += node.Health().Timeouts
		forgiven += 20 * node.Health().Unsettled // a charge that fails, of a share
	}
	if most := int64(n * 20); used > most {
		t.Errorf("%d admitted while it hung, want %d at most", used, most)
	}
	var remaining int64
	// A charge that was on its way when the caller gave up may come later still.
	s.await(func(context.Context) error {
		remaining = take(t, patient, owner(1), limit.String(), 0).Rows[0].Remaining
		if remaining > 90-used+forgiven {
			return fmt.Errorf("%d remain of 90 after %d were used and %d forgiven", remaining, used, forgiven)
		}
		return nil
	})
	if least := 90 - used - timeouts; remaining < least {
		t.Errorf("%d remain, want %d at least", remaining, least)
	}
	measured(t, "F4", "recovery", "what the policy admitted is charged once, and at most one unit too much for each call that timed out",
		"%d gateways admitted %d while Redis hung, %d were charged, %d calls had timed out", n, used, 90-remaining, timeouts)
}

// F5: a replica that lags behind takes over under load.
func TestF5PromotedUnderLoad(t *testing.T) {
	const lag = 300 * time.Millisecond
	master := startServer(t, "--repl-diskless-sync-delay", "0")
	replica := startServer(t, "--replicaof", "127.0.0.1 "+portOf(startDelay(t, master.addr, lag)))
	replica.await(func(ctx context.Context) error {
		if role := fmt.Sprint(replica.do("role")); !strings.Contains(role, "connected") {
			return errors.New("the replica is not in step yet: " + role)
		}
		return nil
	})
	// Probes are counted that go to the replica once it has taken over.
	p := startProxy(t, master.addr)
	var probes atomic.Int64
	count := func(args []string) []string {
		if slices.ContainsFunc(args, func(arg string) bool { return strings.Contains(arg, probeName) }) {
			probes.Add(1)
		}
		return args
	}
	const n, workers = 4, 2
	// No call hangs in this fault: a budget that a busy machine can't use up.
	nodes := gateways(t, n, redisgcra.Options{OnFailure: redisgcra.FailClosed}, p.url())
	limit := ratelimit.MustParseLimit("200/1s burst 100")
	pause := func(d time.Duration) {
		timer := time.NewTimer(long(d))
		<-timer.C
	}
	l := startLoad(nodes, owner(1), limit, workers)
	pause(time.Second)
	master.kill()
	replica.do("replicaof", "no", "one")
	p.set(func(p *proxy) { p.upstream, p.rewrite = replica.addr, count })
	p.cut()
	back := time.Since(l.start)
	resumed := time.Duration(-1)
	replica.await(func(context.Context) error {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, a := range l.admitted {
			if a.From > back {
				resumed = a.To - back
				return nil
			}
		}
		return errors.New("nobody is admitted after the replica took over")
	})
	for _, node := range nodes {
		awaitBreaker(t, node, "closed")
	}
	pause(time.Second)
	l.stop()
	// The lag of the machine is added to that of the line.
	extra := min(limit.Burst, bound(limit, 2*lag)-limit.Burst+n*workers)
	got := l.wantExcess(t, limit, extra)
	// Each gateway asks with one probe, or more where its breaker opened again.
	var opened int64
	for _, node := range nodes {
		opened += node.Health().Opened
	}
	if sent := probes.Load(); sent > opened {
		t.Errorf("the replica was asked by %d probes before %d breakers closed, want one each", sent, opened)
	}
	measured(t, "F5", "a replica takes over that lags λ behind", "min(B, R × λ and what is under way); service within a probe of the breaker",
		"excess %d with λ of %s and B of 100; the first admitted %s after, by %d probes of %d gateways", got, lag, resumed.Round(time.Millisecond), probes.Load(), n)
}

// probeName is the Redis key by which a gateway asks whether Redis answers again.
var probeName = ratelimit.NewKey("", "probe", "").String()

// F6: the data is lost under load.
func TestF6FlushedUnderLoad(t *testing.T) {
	s := startServer(t)
	nodes := gateways(t, 4, redisgcra.Options{}, s.url())
	limit := ratelimit.MustParseLimit("200/1s burst 100")
	const losses = 2
	l := storm(t, nodes, owner(1), limit, 2, long(1500*time.Millisecond), func(after func(time.Duration)) {
		for range losses {
			after(400 * time.Millisecond)
			s.do("flushall")
		}
	})
	got := l.wantExcess(t, limit, losses*limit.Burst)
	if len(l.errs) > 0 {
		t.Errorf("clients saw errors: %v", l.errs[0])
	}
	measured(t, "F6", "data loss: FLUSHALL, restart without a file", "B once for each loss, no error", "excess %d in %d losses with B of 100, %d errors", got, losses, len(l.errs))
}

// F7: scripts are flushed all the time, under the load of four gateways.
func TestF7ScriptsFlushedUnderLoad(t *testing.T) {
	s := startServer(t)
	for _, engine := range engines {
		nodes := gateways(t, 4, redisgcra.Options{Engine: engine}, s.url())
		limit := ratelimit.MustParseLimit("200/1s burst 100")
		flushes := 0
		l := storm(t, nodes, ratelimit.NewKey("f7", "", string(engine)), limit, 2, long(time.Second), func(after func(time.Duration)) {
			for end := time.Now().Add(long(800 * time.Millisecond)); time.Now().Before(end); flushes++ {
				s.client.ScriptFlush(context.Background())
				after(time.Millisecond)
			}
		})
		got := l.wantExcess(t, limit, 0)
		if len(l.errs) > 0 {
			t.Errorf("%s: clients saw errors: %v", engine, l.errs[0])
		}
		measured(t, "F7", "SCRIPT FLUSH, again and again", "0, one more round trip", "%s: excess %d, %d errors in %d flushes", engine, got, len(l.errs), flushes)
	}
}

// F10: the clocks of gateways jump and run at different speeds. Redis has the only
// clock that counts.
func TestF10GatewayClocks(t *testing.T) {
	s := startServer(t)
	var nodes []*redisgcra.Limiter
	var jumps [4]atomic.Int64
	start := time.Now()
	for i := range jumps {
		speed := 1 + float64(i)*0.001
		nodes = append(nodes, newLimiter(t, redisgcra.Options{Clock: func() time.Duration {
			return time.Duration(float64(time.Since(start))*speed) + time.Duration(jumps[i].Load())
		}}, s.url()))
	}
	limit := ratelimit.MustParseLimit("200/1s burst 100")
	d := long(1500 * time.Millisecond)
	l := storm(t, nodes, owner(1), limit, 2, d, func(after func(time.Duration)) {
		for range 10 {
			after(100 * time.Millisecond)
			// A monotonic clock does not go back.
			jumps[rand.IntN(len(jumps))].Add(int64(rand.N(2 * time.Hour)))
		}
	})
	got := l.wantExcess(t, limit, 0)
	if least := bound(limit, d) * 7 / 10; l.count() < least {
		t.Errorf("%d admitted, want %d at least", l.count(), least)
	}
	measured(t, "F10", "clocks of gateways jump and run apart", "0", "excess %d on four gateways with speeds 0.3%% apart and ten jumps of up to 2h", got)
}

// F12: limits change under load, on one node after the other.
func TestF12LimitsChange(t *testing.T) {
	s := startServer(t)
	nodes := gateways(t, 4, redisgcra.Options{Engine: redisgcra.EngineNative}, s.url())
	worst, longest := int64(0), 0.0
	for round := range 6 {
		limit := ratelimit.Limit{Count: 20 + rand.Int64N(200), Period: time.Second}
		limit.Burst = 1 + rand.Int64N(100)
		for _, node := range nodes {
			d, err := node.Take(t.Context(), owner(1), []ratelimit.Limit{limit}, 1, nil)
			row := d.Rows[0]
			if err != nil || row.Limit != limit || row.Remaining > limit.Burst || row.ResetAfter > limit.Horizon()+time.Millisecond {
				t.Fatalf("round %d: got %+v, %v, want the new limit %s to hold and no debt beyond it", round, d, err, limit)
			}
			longest = max(longest, row.ResetAfter.Seconds()/limit.Horizon().Seconds())
		}
		l := hammer(t, nodes, owner(1), limit, 2, long(300*time.Millisecond))
		worst = max(worst, l.wantExcess(t, limit, 0))
	}
	measured(t, "F12", "a limit changes", "the new limit holds from the next request; B' of the new limit", "excess %d over each new limit in six changes on four gateways; no debt beyond B' × T' (%.2f of it)", worst, longest)
}

// F14: a flood of keys. Memory is bounded, and a caller over their limit stays so.
func TestF14KeyFlood(t *testing.T) {
	s := startServer(t)
	p := startProxy(t, s.addr)
	const maxKeys = 20_000
	l := newLimiter(t, redisgcra.Options{Timeout: tight, MaxKeys: maxKeys}, p.url())
	limit := ratelimit.MustParseLimit("4/1h")
	p.set(func(p *proxy) { p.refuse = true })
	p.cut()
	trip(t, l)
	for range 3 {
		take(t, l, owner(1), limit.String(), 1)
	}
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	keys := int(long(120_000))
	for n := range keys {
		_, _ = l.Take(t.Context(), ratelimit.NewKey("flood", ratelimit.KindIP, fmt.Sprint(n)), []ratelimit.Limit{limit}, 1, nil)
	}
	grown := int64(heap()) - int64(before)
	extra := 0
	for range 10 {
		if take(t, l, owner(1), limit.String(), 1).Allowed {
			extra++
		}
	}
	if extra > 0 {
		t.Errorf("the flood gave a caller over the limit %d more", extra)
	}
	// Books of the outage: 100,000 debtors at most.
	if grown > 64<<20 || l.Health().Owed > 100_000 {
		t.Errorf("%d MiB and %d debtors after %d keys", grown>>20, l.Health().Owed, keys)
	}
	measured(t, "F14", "a flood of new keys", "memory is bounded; B for a key that is pushed out", "%d keys against a bound of %d: %.0f MiB; a caller over the limit got %d more", keys, maxKeys, float64(grown)/(1<<20), extra)
}

// F17: the configuration is loaded anew, again and again, under load.
func TestF17ReloadedUnderLoad(t *testing.T) {
	s := startServer(t)
	limit := ratelimit.MustParseLimit("200/1s burst 100")
	var now atomic.Pointer[redisgcra.Limiter]
	now.Store(newLimiter(t, redisgcra.Options{}, s.url()))
	l := &load{start: time.Now()}
	ctx, cancel := context.WithTimeout(t.Context(), long(time.Second))
	defer cancel()
	var all sync.WaitGroup
	var inUse sync.RWMutex
	for range 8 {
		all.Go(func() {
			for ctx.Err() == nil {
				inUse.RLock()
				before := time.Since(l.start)
				d, err := now.Load().Take(context.Background(), owner(1), []ratelimit.Limit{limit}, 1, nil)
				after := time.Since(l.start)
				inUse.RUnlock()
				l.mu.Lock()
				if err != nil {
					l.errs = append(l.errs, err)
				} else if d.Allowed {
					l.admitted = append(l.admitted, limitertest.Span{From: before, To: after})
				}
				l.mu.Unlock()
			}
		})
	}
	reloads := 0
	for ctx.Err() == nil {
		timer := time.NewTimer(100 * time.Millisecond)
		<-timer.C
		old := now.Swap(newLimiter(t, redisgcra.Options{}, s.url()))
		// The pool closes a limiter when nobody uses it any more.
		inUse.Lock()
		err := old.Close()
		inUse.Unlock()
		if err != nil {
			t.Error(err)
		}
		reloads++
	}
	all.Wait()
	got := l.wantExcess(t, limit, 0)
	if len(l.errs) > 0 {
		t.Errorf("clients saw errors: %v", l.errs[0])
	}
	measured(t, "F17", "reload, graceful restart", "0", "excess %d, %d errors in %d reloads under load", got, len(l.errs), reloads)
}

// F19: two masters, each with a part of the gateways, until the split is healed.
func TestF19SplitBrain(t *testing.T) {
	a := startServer(t, "--repl-diskless-sync-delay", "0")
	b := startServer(t, "--replicaof", "127.0.0.1 "+fmt.Sprint(a.port()))
	p := startProxy(t, a.addr)
	o := redisgcra.Options{OnFailure: redisgcra.FailClosed, Timeout: time.Second}
	nodes := append(gateways(t, 2, o, a.url()), gateways(t, 2, o, p.url())...)
	limit := ratelimit.MustParseLimit("200/1s burst 100")
	d := long(2 * time.Second)
	split := d / 2
	l := storm(t, nodes, owner(1), limit, 2, d, func(after func(time.Duration)) {
		after(d / 4)
		b.do("replicaof", "no", "one")
		p.set(func(p *proxy) { p.upstream = b.addr })
		p.cut()
		after(split)
		p.set(func(p *proxy) { p.upstream = a.addr })
		p.cut()
	})
	// Half of the load of the machine goes to the other side.
	extra := bound(limit, split+200*time.Millisecond)
	got := l.wantExcess(t, limit, extra)
	if got == 0 {
		t.Error("nothing more was admitted: the two sides were not apart")
	}
	measured(t, "F19", "two masters at once", "B + R × W, W the time until it is healed; each side holds the limit", "excess %d, bound %d, in %s", got, extra, split)
}
