package limitertest

import (
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins/ratelimit"
)

func TestExcess(t *testing.T) {
	limit := ratelimit.MustParseLimit("60/1m burst 2")
	at := func(seconds ...float64) []Admission {
		var h []Admission
		for _, s := range seconds {
			h = append(h, Admission{At: time.Duration(s * float64(time.Second)), Cost: 1})
		}
		return h
	}
	for _, tc := range []struct {
		name    string
		history []Admission
		want    int64
	}{
		{"nothing", nil, 0},
		{"the burst", at(5, 5), 0},
		{"one more", at(5, 5, 5), 1},
		{"steady after the burst", at(0, 0, 1, 2, 3), 0},
		{"half a unit early", at(0, 0, 1, 1.5), 1},
		{"one early", at(0, 0, 1, 1.5, 2), 1},
		{"one and a half early", at(0, 0, 0.5, 0.5, 1), 2},
		{"out of order", at(3, 0, 1, 0, 2), 0},
		{"a cost", []Admission{{0, 5}}, 3},
	} {
		if got := Excess(tc.history, limit); got != tc.want {
			t.Errorf("%s: got %d, want %d", tc.name, got, tc.want)
		}
	}
}

func TestTracesAreRead(t *testing.T) {
	traces, err := Traces()
	if err != nil {
		t.Fatal(err)
	}
	if len(traces) < 9 {
		t.Errorf("%d traces", len(traces))
	}
}
