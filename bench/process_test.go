package main

import (
	"testing"
	"time"
)

func TestParseCPU(t *testing.T) {
	tests := map[string]struct {
		stat string
		want time.Duration
		fail bool
	}{
		"plain":             {"42 (caddy) S 1 42 42 0 -1 4194304 900 0 0 0 150 50 0 0 20 0 9 0 100", 2 * time.Second, false},
		"spaces and parens": {"42 (a) (b c) S 1 42 42 0 -1 4194304 900 0 0 0 1 2 0 0 20 0 9 0 100", 30 * time.Millisecond, false},
		"cut":               {"42 (caddy) S 1 42", 0, true},
		"no numbers":        {"42 (caddy) S 1 42 42 0 -1 4194304 900 0 0 0 x y 0 0", 0, true},
		"empty":             {"", 0, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := parseCPU([]byte(tt.stat))
			if got != tt.want || (err != nil) != tt.fail {
				t.Errorf("parseCPU() = %v, %v, want %v, failure %v", got, err, tt.want, tt.fail)
			}
		})
	}
}

func TestParseMemory(t *testing.T) {
	tests := map[string]struct {
		status string
		want   int64
		fail   bool
	}{
		"plain":   {"Name:\tcaddy\nVmHWM:\t  99 kB\nVmRSS:\t   54321 kB\nThreads:\t9\n", 54321 << 10, false},
		"missing": {"Name:\tcaddy\n", 0, true},
		"broken":  {"VmRSS:\tmany kB\n", 0, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := parseMemory([]byte(tt.status))
			if got != tt.want || (err != nil) != tt.fail {
				t.Errorf("parseMemory() = %v, %v, want %v, failure %v", got, err, tt.want, tt.fail)
			}
		})
	}
}
