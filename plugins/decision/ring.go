package decision

import "slices"

// DefaultSize is how many records are kept by default.
const DefaultSize = 10_000

// MaxSize is the maximum number of records: about a gigabyte.
const MaxSize = 1_000_000

// ring keeps the newest records. Its owner locks.
type ring struct {
	slots []*Record
	next  int
	byID  map[string]int
}

// newRing keeps the newest size records, at least one.
func newRing(size int) *ring {
	return &ring{slots: make([]*Record, 0, max(size, 1)), byID: map[string]int{}}
}

// add keeps a record, and drops the oldest if there is no room. get finds the newer of two
// with the same request id.
func (r *ring) add(record *Record) {
	if len(r.slots) < cap(r.slots) {
		r.slots = append(r.slots, record)
	} else {
		if old := r.slots[r.next].RequestID; r.byID[old] == r.next {
			delete(r.byID, old)
		}
		r.slots[r.next] = record
	}
	r.byID[record.RequestID] = r.next
	r.next = (r.next + 1) % cap(r.slots)
}

// replace replaces a record by another of the same request, if it is still kept.
func (r *ring) replace(old, record *Record) bool {
	at, ok := r.byID[old.RequestID]
	if !ok || r.slots[at] != old || old.RequestID != record.RequestID {
		return false
	}
	r.slots[at] = record
	return true
}

func (r *ring) get(requestID string) (*Record, bool) {
	at, ok := r.byID[requestID]
	if !ok {
		return nil, false
	}
	return r.slots[at], true
}

// newest calls visit with the records, newest first, until it returns false.
func (r *ring) newest(visit func(*Record) bool) {
	for i := range len(r.slots) {
		at := (r.next - 1 - i + 2*cap(r.slots)) % cap(r.slots)
		if !visit(r.slots[at]) {
			return
		}
	}
}

// resized is a ring of another size with the newest records of this one.
func (r *ring) resized(size int) *ring {
	made := newRing(size)
	kept := make([]*Record, 0, min(len(r.slots), size))
	r.newest(func(record *Record) bool {
		if len(kept) == cap(kept) {
			return false
		}
		kept = append(kept, record)
		return true
	})
	for _, k := range slices.Backward(kept) {
		made.add(k)
	}
	return made
}
