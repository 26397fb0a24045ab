package heaptarget

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestPercentFor(t *testing.T) {
	const mib = 1 << 20
	cases := []struct {
		name         string
		live, target uint64
		want         int64
	}{
		{"off", 10 * mib, Off, 100},
		{"room for four times as much", 16 * mib, 80 * mib, 400},
		{"room for twice as much", 32 * mib, 64 * mib, 100},
		{"more alive than the target", 100 * mib, 64 * mib, 100},
		{"just above twice", 32 * mib, 65 * mib, 103},
		{"next to nothing alive", 1, 64 * mib, 2000},
		{"nothing alive", 0, 64 * mib, 2000},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			if got := percentFor(tc.live, tc.target); got != tc.want {
				t.Errorf("got %d, want %d", got, tc.want)
			}
		})
	}
}

// keep holds memory alive.
var keep []byte

func TestSetFollowsWhatIsAlive(t *testing.T) {
	t.Setenv("GOGC", "")
	t.Setenv("GOMEMLIMIT", "")
	t.Cleanup(func() {
		Set(Off)
		keep = nil
	})
	now := func() int {
		was := debug.SetGCPercent(100)
		debug.SetGCPercent(was)
		return was
	}
	runtime.GC() // what an earlier run kept is gone
	Set(256 << 20)
	if got := now(); got <= 200 {
		t.Fatalf("with little alive the percentage is %d, want much room", got)
	}
	keep = make([]byte, 200<<20)
	// The cleanup that adjusts runs after a collection, on a goroutine of its own.
	for range 1000 {
		runtime.GC()
		if now() == 100 {
			break
		}
		runtime.Gosched()
	}
	if got := now(); got != 100 {
		t.Errorf("with much alive the percentage is %d, want Go's default", got)
	}
	Set(Off)
	if got := now(); got != 100 {
		t.Errorf("off: the percentage is %d", got)
	}
}

func TestEnvironmentOverrides(t *testing.T) {
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("GOGC", "")
			t.Setenv("GOMEMLIMIT", "")
			t.Setenv(name, "150")
			if Overridden() != name {
				t.Errorf("got %q", Overridden())
			}
			before := debug.SetGCPercent(123)
			defer debug.SetGCPercent(before)
			Set(512 << 20)
			if got := debug.SetGCPercent(123); got != 123 {
				t.Errorf("the percentage became %d", got)
			}
		})
	}
}
