package ratelimit

import (
	"strings"
	"testing"
)

func TestReportedCost(t *testing.T) {
	small, large := mustPolicy(t, "small", "60/1m"), mustPolicy(t, "large", "1000000/1m burst 2000000000")
	for _, tc := range []struct {
		name   string
		values []string
		policy *Policy
		want   int64
		err    string
	}{
		{"a number", []string{"7"}, small, 7, ""},
		{"zero", []string{"0"}, small, 0, ""},
		{"space around", []string{" 12\t"}, small, 12, ""},
		{"above the burst", []string{"61"}, small, 61, ""},
		{"the most", []string{"1000000000"}, small, 1_000_000_000, ""},
		{"beyond it", []string{"1000000001"}, small, 0, "at most"},
		{"beyond it, in a larger burst", []string{"2000000000"}, large, 2_000_000_000, ""},
		{"none", nil, small, 0, "0 values"},
		{"two", []string{"1", "2"}, small, 0, "2 values"},
		{"empty", []string{""}, small, 0, "whole number"},
		{"a refund", []string{"-1"}, small, 0, "whole number"},
		{"minus nothing", []string{"-0"}, small, 0, "whole number"},
		{"a sign", []string{"+1"}, small, 0, "whole number"},
		{"a fraction", []string{"1.5"}, small, 0, "whole number"},
		{"a list", []string{"1, 2"}, small, 0, "whole number"},
		{"hexadecimal", []string{"0x10"}, small, 0, "whole number"},
		{"beyond an int64", []string{strings.Repeat("9", 100)}, small, 0, "whole number"},
	} {
		got, err := ReportedCost(tc.values, tc.policy)
		if got != tc.want || (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%s: got %d, %v, want %d and an error with %q", tc.name, got, err, tc.want, tc.err)
		}
		if err != nil && len(err.Error()) > 150 {
			t.Errorf("%s: the error has %d characters", tc.name, len(err.Error()))
		}
	}
}

func TestFitsBursts(t *testing.T) {
	p := mustPolicy(t, "pro", "60/1m", "100/1d burst 20")
	if err := p.FitsBursts(20); err != nil {
		t.Error(err)
	}
	if err := p.FitsBursts(21); err == nil || !strings.Contains(err.Error(), "burst of pro, which is 20") {
		t.Errorf("got %v, want the burst named", err)
	}
	unlimited, err := NewPolicy("concurrency alone", nil, 3)
	if err != nil {
		t.Fatal(err)
	}
	if err := unlimited.FitsBursts(1 << 62); err != nil {
		t.Error(err)
	}
}
