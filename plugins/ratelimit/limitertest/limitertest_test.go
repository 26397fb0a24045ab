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
	if len(traces) < 17 {
		t.Errorf("%d traces", len(traces))
	}
}

func TestExcessOfSpans(t *testing.T) {
	limit := ratelimit.MustParseLimit("60/1m burst 2")
	spans := func(seconds ...float64) []Span {
		var h []Span
		for i := 0; i < len(seconds); i += 2 {
			h = append(h, Span{time.Duration(seconds[i] * float64(time.Second)), time.Duration(seconds[i+1] * float64(time.Second))})
		}
		return h
	}
	for _, tc := range []struct {
		name    string
		history []Span
		want    int64
	}{
		{"nothing", nil, 0},
		{"the burst at one instant", spans(5, 5, 5, 5), 0},
		{"one more", spans(5, 5, 5, 5, 5, 5), 1},
		{"one more that may have been later", spans(5, 5, 5, 5, 5, 6), 0},
		{"one more that was not late enough", spans(5, 5, 5, 5, 5, 5.9), 1},
		{"steady after the burst", spans(0, 0.1, 0, 0.2, 1, 1.1, 2, 2.1), 0},
		{"two early", spans(0, 0, 0, 0, 0.5, 0.5, 0.5, 0.9, 3, 3), 2},
		{"out of order", spans(3, 3, 0, 0, 2, 2, 0, 0, 1, 1), 0},
	} {
		if got := ExcessOfSpans(tc.history, limit); got != tc.want {
			t.Errorf("%s: got %d, want %d", tc.name, got, tc.want)
		}
	}
}
