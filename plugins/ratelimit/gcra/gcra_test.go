package gcra_test

import (
	"context"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ainative/portcullis/plugins/ratelimit"
	"github.com/ainative/portcullis/plugins/ratelimit/gcra"
	"github.com/ainative/portcullis/plugins/ratelimit/limitertest"
)

// manual is a clock that tests move.
type manual struct{ now atomic.Int64 }

func (m *manual) clock() time.Duration    { return time.Duration(m.now.Load()) }
func (m *manual) advance(d time.Duration) { m.now.Add(int64(d)) }

func newManual(t testing.TB, maxKeys int) (*gcra.Limiter, *manual) {
	m := &manual{}
	l := gcra.New(gcra.Options{Clock: m.clock, MaxKeys: maxKeys, SweepEvery: time.Hour})
	t.Cleanup(func() { _ = l.Close() })
	return l, m
}

var subject = limitertest.Subject{
	Backward: true,
	New: func(t testing.TB) (ratelimit.Limiter, func(time.Duration)) {
		l, m := newManual(t, 1000)
		return l, m.advance
	},
}

func TestContract(t *testing.T) { limitertest.Run(t, subject) }

func TestModel(t *testing.T) { limitertest.Model(t, subject, 1) }

func key(n int) ratelimit.Key {
	var k ratelimit.Key
	binary.LittleEndian.PutUint64(k[:], uint64(n))
	return k
}

func take(t testing.TB, l ratelimit.Limiter, k ratelimit.Key, limit string, cost int64) ratelimit.Decision {
	t.Helper()
	d, err := l.Take(t.Context(), k, []ratelimit.Limit{ratelimit.MustParseLimit(limit)}, cost, nil)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestClockStepBackWaitsNoLongerThanTheBucketTakes(t *testing.T) {
	l, m := newManual(t, 10)
	m.advance(100 * time.Hour)
	take(t, l, key(1), "10/10s", 10)
	take(t, l, key(1), "10/1m window strict", 10)
	m.advance(-50 * time.Hour)
	if got := take(t, l, key(1), "10/10s", 1); got.Allowed || got.RetryAfter != time.Second {
		t.Errorf("bucket: got %+v, want a wait of 1s", got)
	}
	m.advance(time.Second)
	if got := take(t, l, key(1), "10/10s", 1); !got.Allowed {
		t.Errorf("bucket: got %+v after the wait that was told", got)
	}
	m.advance(-time.Second)
	if got := take(t, l, key(1), "10/1m window strict", 1); got.Allowed || got.RetryAfter != time.Minute {
		t.Errorf("window: got %+v, want a wait of 1m", got)
	}
}

func TestNoAllocation(t *testing.T) {
	l, m := newManual(t, 1000)
	limits := []ratelimit.Limit{ratelimit.MustParseLimit("60/1m"), ratelimit.MustParseLimit("1000/1d")}
	rows := make([]ratelimit.Row, 0, 2)
	got := testing.AllocsPerRun(1000, func() {
		m.advance(100 * time.Millisecond)
		_, _ = l.Take(context.Background(), key(1), limits, 1, rows)
	})
	if got != 0 {
		t.Errorf("%v allocations", got)
	}
}

func TestTableStaysBounded(t *testing.T) {
	for _, maxKeys := range []int{1, 10, 1000, 20000} {
		l, _ := newManual(t, maxKeys)
		for n := range 3 * maxKeys {
			take(t, l, key(n), "60/1m", 1)
		}
		stats := l.Stats()
		if stats.Keys > int64(maxKeys) || stats.Evicted != int64(2*maxKeys) || stats.EvictedOverLimit != 0 {
			t.Errorf("%d: got %+v", maxKeys, stats)
		}
	}
}

// floodSize is how many new keys a flood has: a few for each change, and what the
// environment says for the long form, GCRA_FLOOD=10000000.
func floodSize(t *testing.T) int {
	text := os.Getenv("GCRA_FLOOD")
	if text == "" {
		return 50_000
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestFloodDoesNotFreeWhoIsOverTheLimit(t *testing.T) {
	flood := floodSize(t)
	for _, limit := range []string{"5/1h", "5/1h window strict", "50000/30d burst 5"} {
		l, _ := newManual(t, 10000)
		const victims = 500
		for n := range victims {
			take(t, l, key(n), limit, 5)
		}
		// Keys of callers that do not exist are hashes, and come in any order.
		random := rand.New(rand.NewPCG(1, uint64(flood)))
		for range flood {
			var k ratelimit.Key
			binary.LittleEndian.PutUint64(k[:], random.Uint64())
			binary.LittleEndian.PutUint64(k[8:], 1+random.Uint64()>>1)
			take(t, l, k, limit, 1)
		}
		for n := range victims {
			if take(t, l, key(n), limit, 1).Allowed {
				t.Errorf("%s: the flood freed caller %d", limit, n)
			}
		}
		if stats := l.Stats(); stats.Keys > 10000 || stats.EvictedOverLimit != 0 {
			t.Errorf("%s: got %+v", limit, stats)
		}
	}
}

// TestFloodOfOneShotLimits is the worst flood: each new key is over its limit
// with its first request, so that no count is spare.
func TestFloodOfOneShotLimits(t *testing.T) {
	l, m := newManual(t, 5000)
	for n := range 100 {
		take(t, l, key(n), "1/1h", 1)
	}
	m.advance(time.Minute)
	for n := range 100_000 {
		take(t, l, key(1000+n), "1/1h", 1)
	}
	freed := 0
	for n := range 100 {
		if take(t, l, key(n), "1/1h", 1).Allowed {
			freed++
		}
	}
	if stats := l.Stats(); freed > 0 || stats.Keys > 5000 || stats.EvictedOverLimit == 0 {
		t.Errorf("%d of 100 were freed, %+v", freed, stats)
	}
}

func TestSweepRemovesWhatIsIdle(t *testing.T) {
	l, m := newManual(t, 100_000)
	for n := range 50_000 {
		take(t, l, key(n), "60/1m", int64(1+n%2*59))
	}
	take(t, l, key(-1), "60/1m window strict", 1)
	m.advance(time.Second)
	l.Sweep()
	if got := l.Stats().Keys; got != 25_001 {
		t.Errorf("%d keys are left, want 25,001", got)
	}
	for n := range 50_000 {
		if got := take(t, l, key(n), "60/1m", 0).Rows[0].Remaining; got != int64(60-n%2*59) {
			t.Fatalf("caller %d has %d left", n, got)
		}
	}
	m.advance(time.Minute)
	l.Sweep()
	if got := l.Stats().Keys; got != 0 {
		t.Errorf("%d keys are left, want none", got)
	}
}

// TestTableAgainstMap adds and removes at random and compares with a plain map:
// the open-addressing index must never lose or double an entry.
func TestTableAgainstMap(t *testing.T) {
	l, m := newManual(t, 1_000_000)
	used := map[int]int64{}
	state := uint64(7)
	next := func(n uint64) int {
		state = state*6364136223846793005 + 1442695040888963407
		return int(state >> 33 % n)
	}
	for range 200_000 {
		switch n := next(3000); next(10) {
		case 0:
			_ = l.Reset(t.Context(), key(n), []ratelimit.Limit{ratelimit.MustParseLimit("1000/1h")})
			delete(used, n)
		default:
			if d := take(t, l, key(n), "1000/1h", 1); d.Allowed {
				used[n]++
			}
			if got := take(t, l, key(n), "1000/1h", 0).Rows[0].Remaining; got != 1000-used[n] {
				t.Fatalf("caller %d has %d left, want %d", n, got, 1000-used[n])
			}
		}
	}
	if got := l.Stats().Keys; got != int64(len(used)) {
		t.Errorf("%d keys, want %d", got, len(used))
	}
	m.advance(2 * time.Hour)
	l.Sweep()
	if got := l.Stats().Keys; got != 0 {
		t.Errorf("%d keys after the sweep", got)
	}
}

func TestCloseLeavesNoGoroutine(t *testing.T) {
	// A bubble fails by itself where a goroutine is left.
	synctest.Test(t, func(t *testing.T) {
		l := gcra.New(gcra.Options{SweepEvery: time.Second})
		take(t, l, key(1), "60/1m", 1)
		time.Sleep(1500 * time.Millisecond)
		synctest.Wait()
		if got := l.Stats().Keys; got != 0 {
			t.Errorf("%d keys after the sweeper ran, want 0", got)
		}
		_ = l.Close()
		_ = l.Close()
		if !take(t, l, key(2), "60/1m", 1).Allowed {
			t.Error("a closed limiter no longer decides")
		}
	})
}

func TestExportSurvivesARestart(t *testing.T) {
	wall := time.Date(2026, 2, 3, 10, 0, 0, 0, time.UTC)
	old, m := newManual(t, 1000)
	take(t, old, key(1), "100/1d", 40)
	take(t, old, key(1), "60/1m", 60)
	take(t, old, key(2), "100/30d", 100)
	take(t, old, key(3), "10/1d window strict", 4)
	m.advance(6 * time.Hour)
	take(t, old, key(3), "10/1d window strict", 5)
	var saved []gcra.Saved
	for s := range old.Export(time.Hour, true, wall.Add(6*time.Hour)) {
		saved = append(saved, s)
	}
	if len(saved) != 3 {
		t.Fatalf("%d counts were exported, want the 3 of long windows: %+v", len(saved), saved)
	}
	for s := range old.Export(time.Hour, true, wall) {
		t.Errorf("%+v is exported again without a change", s)
	}
	again := 0
	for range old.Export(time.Hour, false, wall) {
		again++
	}
	if again != 3 {
		t.Errorf("a full export has %d counts, want 3", again)
	}

	// Two hours later another process starts, with a clock of its own.
	restarted, m := newManual(t, 1000)
	m.advance(5 * time.Second)
	if got := restarted.Import(sequence(saved), wall.Add(8*time.Hour)); got != 3 {
		t.Errorf("%d were taken in, want 3", got)
	}
	if got := take(t, restarted, key(1), "100/1d", 0).Rows[0]; got.Remaining != 93 || got.ResetAfter != 40*864*time.Second-8*time.Hour {
		t.Errorf("daily: got %+v, want 60 and what 8 hours brought", got)
	}
	if got := take(t, restarted, key(2), "100/30d", 1); got.Allowed != true || got.Rows[0].Remaining != 0 {
		t.Errorf("monthly: got %+v, want the one of 8 hours", got)
	}
	if got := take(t, restarted, key(1), "60/1m", 0).Rows[0].Remaining; got != 60 {
		t.Errorf("the minute was saved too: %d", got)
	}
	d := take(t, restarted, key(3), "10/1d window strict", 2)
	if d.Allowed || d.RetryAfter != 16*time.Hour {
		t.Errorf("strict: got %+v, want a wait of 16h", d)
	}
}

func TestImportIsNotTrusted(t *testing.T) {
	wall := time.Date(2026, 2, 3, 10, 0, 0, 0, time.UTC)
	day := 24 * time.Hour
	far := time.Unix(1<<40, 0)
	for name, saved := range map[string]gcra.Saved{
		"no period":       {Key: key(1), Full: wall.Add(day)},
		"long period":     {Key: key(1), Period: math.MaxInt64, Full: wall.Add(day)},
		"past":            {Key: key(1), Period: day, Full: wall},
		"strict, empty":   {Key: key(1), Period: day, Strict: true, Full: wall.Add(day)},
		"strict, minus":   {Key: key(1), Period: day, Strict: true, Full: far, Events: []gcra.SavedEvents{{At: wall, N: -1}}},
		"strict, order":   {Key: key(1), Period: day, Strict: true, Full: far, Events: []gcra.SavedEvents{{At: wall, N: 1}, {At: wall.Add(-time.Hour), N: 1}}},
		"strict, expired": {Key: key(1), Period: day, Strict: true, Full: far, Events: []gcra.SavedEvents{{At: wall.Add(-day), N: 1}}},
		"strict, nothing": {Key: key(1), Period: day, Strict: true, Full: far, Events: make([]gcra.SavedEvents, 100)},
	} {
		l, _ := newManual(t, 10)
		if got := l.Import(sequence([]gcra.Saved{saved}), wall); got != 0 || l.Stats().Keys != 0 {
			t.Errorf("%s: was taken in", name)
		}
	}
	l, _ := newManual(t, 10)
	l.Import(sequence([]gcra.Saved{{Key: key(1), Period: day, Full: far}}), wall)
	if got := take(t, l, key(1), "24/1d", 1); got.Allowed || got.RetryAfter != time.Hour {
		t.Errorf("a time beyond the horizon: got %+v, want an empty bucket", got)
	}
	take(t, l, key(2), "24/1d", 24)
	l.Import(sequence([]gcra.Saved{{Key: key(2), Period: day, Full: wall.Add(time.Hour)}}), wall)
	if got := take(t, l, key(2), "24/1d", 1); got.Allowed {
		t.Error("taking in lowered what was used")
	}
}

// A window of more parts than fit forgets the oldest later and never earlier.
func TestImportOfALongWindow(t *testing.T) {
	wall := time.Date(2026, 2, 3, 10, 0, 0, 0, time.UTC)
	l, m := newManual(t, 10)
	saved := gcra.Saved{Key: key(1), Period: time.Hour, Strict: true, Full: wall.Add(time.Hour)}
	for n := range 100 {
		saved.Events = append(saved.Events, gcra.SavedEvents{At: wall.Add(time.Duration(n-100) * time.Second), N: 1})
	}
	if got := l.Import(sequence([]gcra.Saved{saved}), wall); got != 1 {
		t.Fatalf("%d were taken in", got)
	}
	for second := range 101 {
		left := take(t, l, key(1), "100/1h window strict", 0).Rows[0].Remaining
		if left > int64(second) {
			t.Fatalf("%d are forgotten when %d should be", left, second)
		}
		if second == 0 {
			m.advance(time.Hour - 100*time.Second)
			continue
		}
		m.advance(time.Second)
	}
	if left := take(t, l, key(1), "100/1h window strict", 0).Rows[0].Remaining; left != 100 {
		t.Errorf("%d are forgotten in the end, want all", left)
	}
}

// A debt outlives a restart.
func TestExportOfADebt(t *testing.T) {
	wall := time.Date(2026, 2, 3, 10, 0, 0, 0, time.UTC)
	old, _ := newManual(t, 10)
	limits := []ratelimit.Limit{ratelimit.MustParseLimit("24/1d")}
	if _, err := old.Adjust(t.Context(), key(1), limits, 30, nil); err != nil {
		t.Fatal(err)
	}
	restarted, _ := newManual(t, 10)
	restarted.Import(old.Export(time.Hour, true, wall), wall.Add(time.Hour))
	if got := take(t, restarted, key(1), "24/1d", 1); got.Allowed || got.RetryAfter != 6*time.Hour {
		t.Errorf("got %+v, want a wait of 6h", got)
	}
}

func sequence(saved []gcra.Saved) func(func(gcra.Saved) bool) {
	return func(yield func(gcra.Saved) bool) {
		for _, s := range saved {
			if !yield(s) {
				return
			}
		}
	}
}

const million = 1_000_000

// numbered is the key of caller n as a gateway makes it.
func numbered(n int) ratelimit.Key {
	return ratelimit.NewKey("default", ratelimit.KindOwner, strconv.Itoa(n))
}

// fill makes a table of a million live keys.
func fill(tb testing.TB) (*gcra.Limiter, float64) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	l := gcra.New(gcra.Options{SweepEvery: time.Hour})
	tb.Cleanup(func() { _ = l.Close() })
	limits := []ratelimit.Limit{ratelimit.MustParseLimit("1000/1h")}
	var rows [1]ratelimit.Row
	for n := range million {
		_, _ = l.Take(context.Background(), numbered(n), limits, 1, rows[:])
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if got := l.Stats(); got.Keys != million || got.Evicted != 0 {
		tb.Fatalf("got %+v, want a million keys", got)
	}
	return l, float64(after.HeapAlloc-before.HeapAlloc) / million
}

func TestBytesPerKey(t *testing.T) {
	l, bytes := fill(t)
	if bytes >= 100 {
		t.Errorf("%.1f bytes a key, want under 100", bytes)
	}
	t.Logf("%.1f bytes a key with a million live keys", bytes)
	runtime.KeepAlive(l)
}

// BenchmarkTake decides with a million live keys in the table, for callers drawn
// evenly from all of them and for a busy few of them. cpu-ns/op is what a
// decision costs the processor; load-ns is what this machine takes for one read
// from a random place of a table of this size, which no limiter can save.
func BenchmarkTake(b *testing.B) {
	l, bytes := fill(b)
	load := randomLoad(b)
	one := []ratelimit.Limit{ratelimit.MustParseLimit("1000/1h")}
	two := []ratelimit.Limit{one[0], ratelimit.MustParseLimit("100000/1d")}
	wide := []ratelimit.Limit{ratelimit.MustParseLimit("1000000000/2h")}
	for _, bench := range []struct {
		name    string
		callers int
		limits  []ratelimit.Limit
	}{
		{"within-limit/1000-callers", 1000, wide},
		{"one-limit/1000-callers", 1000, one},
		{"one-limit/all-callers", million, one},
		{"two-limits/1000-callers", 1000, two},
		{"two-limits/all-callers", million, two},
	} {
		keys := make([]ratelimit.Key, 1<<16)
		for n := range keys {
			keys[n] = numbered(int(uint64(n) * 2654435761 % uint64(bench.callers)))
		}
		b.Run(bench.name, func(b *testing.B) {
			rows := make([]ratelimit.Row, 2)
			for n := range keys {
				_, _ = l.Take(context.Background(), keys[n], bench.limits, 1, rows)
			}
			b.ReportAllocs()
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			start := threadTime(b)
			for n := 0; b.Loop(); n++ {
				_, _ = l.Take(context.Background(), keys[n&(1<<16-1)], bench.limits, 1, rows)
			}
			b.ReportMetric(float64(threadTime(b)-start)/float64(b.N), "cpu-ns/op")
			b.ReportMetric(bytes, "bytes/key")
			b.ReportMetric(load, "load-ns")
		})
		b.Run(bench.name+"/parallel", func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				rows := make([]ratelimit.Row, 2)
				for n := 0; pb.Next(); n += 7 {
					_, _ = l.Take(context.Background(), keys[n&(1<<16-1)], bench.limits, 1, rows)
				}
			})
		})
	}
}

// randomLoad is the processor time of one dependent read from 64 MiB.
func randomLoad(tb testing.TB) float64 {
	table := make([]uint64, 64<<20/8)
	for i := range table {
		table[i] = uint64(i) * 2654435761
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const reads = 1 << 20
	start, at := threadTime(tb), uint64(1)
	for range reads {
		at = at*6364136223846793005 + 1442695040888963407
		at ^= table[at>>41]
	}
	runtime.KeepAlive(at)
	return float64(threadTime(tb)-start) / reads
}

func BenchmarkFlood(b *testing.B) {
	l := gcra.New(gcra.Options{MaxKeys: 100_000})
	defer func() { _ = l.Close() }()
	limits := []ratelimit.Limit{ratelimit.MustParseLimit("20/1m")}
	rows := make([]ratelimit.Row, 1)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		_, _ = l.Take(context.Background(), key(n), limits, 1, rows)
	}
}
