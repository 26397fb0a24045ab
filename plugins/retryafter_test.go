package plugins

import (
	"math"
	"testing"
	"time"
)

func TestRetrySeconds(t *testing.T) {
	for _, tc := range []struct {
		name string
		wait time.Duration
		want int
	}{
		{"negative", -1, 1},
		{"nothing", 0, 1},
		{"a nanosecond", 1, 1},
		{"a second", time.Second, 1},
		{"a nanosecond more", time.Second + 1, 2},
		{"half seconds", 1500 * time.Millisecond, 2},
		{"whole seconds", 30 * time.Second, 30},
		{"a quota of a month is not cut", 30 * 24 * time.Hour, 2592000},
		{"the longest wait there is", math.MaxInt64, 9223372037},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := RetrySeconds(tc.wait); got != tc.want {
				t.Errorf("RetrySeconds(%d) = %d, want %d", tc.wait, got, tc.want)
			}
		})
	}
}

func TestNeedsRetryAfter(t *testing.T) {
	for status, want := range map[int]bool{429: true, 503: true, 401: false, 500: false, 502: false} {
		if got := NeedsRetryAfter(status); got != want {
			t.Errorf("NeedsRetryAfter(%d) = %v, want %v", status, got, want)
		}
	}
}
