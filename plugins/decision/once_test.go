package decision

import (
	"testing"
	"time"
)

func TestOnce(t *testing.T) {
	var o Once[int]
	for i := range 2 * MaxRemembered {
		if !o.First(i, time.Hour, noon) {
			t.Fatalf("it was told of %d already", i)
		}
	}
	if got := o.Len(); got > MaxRemembered {
		t.Errorf("%d are remembered, want %d at most", got, MaxRemembered)
	}
	const last = 2*MaxRemembered - 1
	if o.First(last, time.Hour, noon) {
		t.Error("told twice in a window")
	}
	if !o.First(last, time.Hour, noon.Add(time.Hour)) {
		t.Error("not told in the next window")
	}
	for i := range MaxRemembered {
		o.First(3*MaxRemembered+i, time.Hour, noon.Add(3*time.Hour))
	}
	if got := o.Len(); got != MaxRemembered {
		t.Errorf("%d are remembered when all windows are over, want the new %d", got, MaxRemembered)
	}
}

func TestTurns(t *testing.T) {
	var turns Turns[string]
	for i, tc := range []struct {
		key    string
		broken bool
		want   bool
	}{
		{"a", false, false}, // All work at first.
		{"a", true, true},
		{"a", true, false},
		{"b", false, false},
		{"b", true, true},
		{"a", false, true},
		{"a", false, false},
		{"b", true, false},
	} {
		if got := turns.Turned(tc.key, tc.broken); got != tc.want {
			t.Errorf("step %d, %s broken %t: got %t, want %t", i, tc.key, tc.broken, got, tc.want)
		}
	}
}
