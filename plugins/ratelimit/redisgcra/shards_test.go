package redisgcra

import "testing"

// The examples are of the specification of Redis Cluster and of CLUSTER KEYSLOT.
func TestSlotOf(t *testing.T) {
	for name, want := range map[string]int{
		"123456789": 12739, "foo": 12182, "{foo}bar": 12182, "rl2:{foo}:60000": 12182,
		"foo{}{bar}": 8363, "foo{{bar}}zap": 4015, "foo{bar}{zap}": 5061, "": 0,
	} {
		if got := slotOf(hashTag(name)); got != want {
			t.Errorf("%q: got slot %d, want %d", name, got, want)
		}
	}
}
