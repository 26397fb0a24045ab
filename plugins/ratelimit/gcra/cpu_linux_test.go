package gcra_test

import (
	"syscall"
	"testing"
	"time"
)

// threadTime is the processor time of the thread: on a machine that does other
// things as well it tells more than the time on the wall.
func threadTime(tb testing.TB) time.Duration {
	const rusageThread = 1 // RUSAGE_THREAD of getrusage(2)
	var usage syscall.Rusage
	if err := syscall.Getrusage(rusageThread, &usage); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
