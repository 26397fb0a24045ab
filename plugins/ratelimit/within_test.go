package ratelimit

import "testing"

func TestWithin(t *testing.T) {
	for _, tc := range []struct {
		name           string
		limits, others []string
		want           bool
	}{
		{"the same", []string{"60/1m"}, []string{"60/1m"}, true},
		{"less", []string{"30/1m"}, []string{"60/1m"}, true},
		{"more", []string{"61/1m"}, []string{"60/1m"}, false},
		{"no limits", nil, []string{"60/1m"}, false},
		{"of no limits", []string{"60/1m"}, nil, true},
		{"the same rate with a larger burst", []string{"3600/1h"}, []string{"60/1m"}, false},
		{"the same rate with a smaller burst", []string{"1/1s"}, []string{"60/1m"}, true},
		{"a burst of its own", []string{"30/1m burst 61"}, []string{"60/1m"}, false},
		{"one of two is missing", []string{"60/1m"}, []string{"60/1m", "1000/1d"}, false},
		{"both are there", []string{"10/1m", "500/1d"}, []string{"60/1m", "1000/1d"}, true},
		{"one is less than both", []string{"1/1h"}, []string{"60/1m", "1000/1d"}, true},
		{"strict in strict", []string{"60/1m window strict"}, []string{"60/1m window strict"}, true},
		{"strict over less time", []string{"60/30s window strict"}, []string{"60/1m window strict"}, false},
		{"a bucket in a strict window", []string{"60/1m"}, []string{"60/1m window strict"}, false},
		{"half a bucket in a strict window", []string{"30/1m"}, []string{"60/1m window strict"}, true},
		{"a slow bucket with all its burst in a strict window", []string{"1/1h burst 60"}, []string{"60/1m window strict"}, true},
		{"a strict window in a bucket", []string{"60/1m window strict"}, []string{"60/1m"}, true},
		{"a larger strict window in a bucket", []string{"120/2m window strict"}, []string{"60/1m"}, false},
	} {
		parse := func(lines []string) (limits []Limit) {
			for _, line := range lines {
				limits = append(limits, MustParseLimit(line))
			}
			return limits
		}
		if got := Within(parse(tc.limits), parse(tc.others)); got != tc.want {
			t.Errorf("%s: got %t, want %t", tc.name, got, tc.want)
		}
	}
}
