package decision

import (
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

// A ring holds exactly the newest records, whatever comes in.
func TestRingHoldsTheNewest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 8).Draw(t, "size")
		ids := rapid.SliceOf(rapid.IntRange(0, 12)).Draw(t, "ids")
		ring := NewRing(size)
		for i, id := range ids {
			ring.Add(Record{RequestID: strconv.Itoa(id), Status: i})
		}
		for id := range 13 {
			want := -1
			for i := max(0, len(ids)-size); i < len(ids); i++ {
				if ids[i] == id {
					want = i
				}
			}
			got, ok := ring.Get(strconv.Itoa(id))
			if ok != (want >= 0) || (ok && got.Status != want) {
				t.Fatalf("record %d: got %v %d, want %d", id, ok, got.Status, want)
			}
		}
	})
}

func BenchmarkAdd(b *testing.B) {
	ring := NewRing(DefaultSize)
	id := 0
	b.ReportAllocs()
	for b.Loop() {
		id++
		ring.Add(Record{RequestID: strconv.Itoa(id)})
	}
}
