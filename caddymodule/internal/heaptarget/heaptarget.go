// Package heaptarget trades memory for CPU: it lets the heap grow to a target before the
// garbage collector runs, instead of to twice the live heap.
//
// A gateway has a small live heap and makes much garbage, so that with Go's default the
// collector runs dozens of times a second. A fixed GOGC would be dangerous: ten times a
// large live heap is more than the machine has. So the percentage is set again after each
// collection, from the live heap, and is never below Go's default of 100.
package heaptarget

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"sync/atomic"
)

const (
	// Default is the target unless configured otherwise, in bytes.
	Default = 32 << 20
	// Off leaves the collector as it is.
	Off = 0

	// goDefault is GOGC's default, and highest the largest value that is set, in percent.
	goDefault = 100
	highest   = 2000
)

var (
	target  atomic.Uint64
	began   sync.Once
	percent atomic.Int64
)

// Overridden returns the environment variable that tunes the collector, or "". If there is
// one, Set does nothing.
func Overridden() string {
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		if os.Getenv(name) != "" {
			return name
		}
	}
	return ""
}

// Set sets the target of the process in bytes. The last call holds. Off restores Go's
// default.
func Set(bytes uint64) {
	if Overridden() != "" {
		return
	}
	if target.Swap(bytes) == bytes {
		return
	}
	adjust()
	if bytes != Off {
		began.Do(func() { runtime.AddCleanup(new(sentinel), afterCollection, 0) })
	}
}

// sentinel is garbage from the start: its cleanup runs after each collection.
// It is large enough not to share its block with other small objects, which
// would keep it alive.
type sentinel struct{ _ [32]byte }

func afterCollection(int) {
	adjust()
	runtime.AddCleanup(new(sentinel), afterCollection, 0)
}

// adjust sets the percentage for the current live heap.
func adjust() {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	want := percentFor(sample[0].Value.Uint64(), target.Load())
	// Setting it stops the world, which a small change is not worth.
	if was := percent.Load(); was == 0 || want < was*9/10 || want > was*11/10 {
		percent.Store(want)
		debug.SetGCPercent(int(want))
	}
}

// percentFor is how far the heap may grow beyond the live heap to reach a target.
func percentFor(live, target uint64) int64 {
	if target == Off || live == 0 || target <= 2*live {
		if target != Off && live == 0 {
			return highest
		}
		return goDefault
	}
	return int64(min((target-live)*100/live, highest))
}
