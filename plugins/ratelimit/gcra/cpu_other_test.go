//go:build !linux

package gcra_test

import (
	"testing"
	"time"
)

var processStart = time.Now()

// threadTime is the time on the wall where the thread's own is not to be had.
func threadTime(testing.TB) time.Duration { return time.Since(processStart) }
