package decision

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/ainative/portcullis/plugins"
)

// Journal keeps the newest records, sends each new one to followers, and sums up what
// shadow mode let pass. It is safe for concurrent use.
type Journal struct {
	// Shadows sums up the requests that would have been refused.
	Shadows Shadows

	mu        sync.Mutex
	ring      *ring
	slab      slab
	seq       uint64
	followers map[*Follower]struct{}
}

// NewJournal keeps the newest size records, at least one.
func NewJournal(size int) *Journal {
	return &Journal{ring: newRing(size), followers: map[*Follower]struct{}{}}
}

// Add keeps a record, numbers it and sends it to the followers. Its texts are copied, so
// that it keeps nothing of the request in memory. It must not be changed after that.
func (j *Journal) Add(record *Record) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.take(record)
	j.ring.add(record)
}

// Replace replaces a record by one of the same request that knows more.
func (j *Journal) Replace(old, record *Record) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.take(record)
	if !j.ring.replace(old, record) {
		j.ring.add(record)
	}
}

// take copies the texts of a record, numbers it and sends it to the followers.
func (j *Journal) take(record *Record) {
	j.slab.copyTexts(record)
	j.seq++
	record.Seq = j.seq
	for f := range j.followers {
		f.send(record)
	}
}

// Get returns the record of a request.
func (j *Journal) Get(requestID string) (*Record, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.ring.get(requestID)
}

// Len is how many records are kept.
func (j *Journal) Len() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.ring.slots)
}

// Resize keeps the newest size records from now on.
func (j *Journal) Resize(size int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if cap(j.ring.slots) != max(size, 1) {
		j.ring = j.ring.resized(size)
	}
}

// Filter selects records. An empty field selects all.
type Filter struct {
	Reason plugins.Reason
	// Owner or subject of the caller.
	Owner string
	// Policy is the handler that refused.
	Policy string
	// Path is a prefix of the path.
	Path string
	// Outcome of the request.
	Outcome Outcome
	// Status that the client got; 4 or 5 is the class.
	Status int
}

// Matches reports whether the filter selects a record. Reason and Policy also match the
// steps that shadow mode let pass.
func (f *Filter) Matches(r *Record) bool {
	return (f.Reason == "" || r.matches(func(s *Step) bool { return s.Reason == f.Reason }, r.Reason == f.Reason)) &&
		(f.Policy == "" || r.matches(func(s *Step) bool { return s.Policy == f.Policy }, r.Policy == f.Policy)) &&
		(f.Owner == "" || f.Owner == r.Owner || f.Owner == r.Subject) &&
		strings.HasPrefix(r.Path, f.Path) &&
		(f.Outcome == "" || f.Outcome == r.Outcome) &&
		(f.Status == 0 || f.Status == r.Status || f.Status == r.Status/100)
}

// matches reports whether the record itself matches, or one of the refusals that shadow
// mode let pass.
func (r *Record) matches(step func(*Step) bool, itself bool) bool {
	if itself {
		return true
	}
	for i := range r.Steps {
		if r.Steps[i].Result == StepShadow && step(&r.Steps[i]) {
			return true
		}
	}
	return false
}

// Recent returns the newest records that the filter selects, newest first, limit at
// most.
func (j *Journal) Recent(f Filter, limit int) []*Record {
	j.mu.Lock()
	defer j.mu.Unlock()
	found := []*Record{}
	j.ring.newest(func(r *Record) bool {
		if f.Matches(r) {
			found = append(found, r)
		}
		return len(found) < limit
	})
	return found
}

// Follower gets each new record. One that is too slow loses records; it never slows down
// the gateway.
type Follower struct {
	// Records come in order. A gap in Seq is a lost record, or one that the filter did not
	// select.
	Records <-chan *Record

	records chan *Record
	filter  Filter
	dropped atomic.Uint64
}

const (
	// maxFollowers bounds how many follow at once.
	maxFollowers = 32
	// followerBuffer is how many records a follower may be behind.
	followerBuffer = 1024
)

// Follow sends the records that the filter selects to a new Follower, first those that are
// kept with a Seq above after. Pass the last Seq seen to continue after a broken
// connection, or a large one for new records only. It returns false if there are too many
// followers. Unfollow ends it.
func (j *Journal) Follow(f Filter, after uint64) (*Follower, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.followers) >= maxFollowers {
		return nil, false
	}
	records := make(chan *Record, followerBuffer)
	made := &Follower{Records: records, records: records, filter: f}
	var missed []*Record
	j.ring.newest(func(r *Record) bool {
		if r.Seq > after && f.Matches(r) {
			missed = append(missed, r)
		}
		// Also after the first old one: a replaced record is newer than its neighbours.
		return true
	})
	for _, m := range slices.Backward(missed) {
		made.send(m)
	}
	j.followers[made] = struct{}{}
	return made, true
}

// Unfollow ends what Follow began.
func (j *Journal) Unfollow(f *Follower) {
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.followers, f)
}

// send never waits.
func (f *Follower) send(r *Record) {
	if !f.filter.Matches(r) {
		return
	}
	select {
	case f.records <- r:
	default:
		f.dropped.Add(1)
	}
}

// Dropped is how many records were lost since the last call.
func (f *Follower) Dropped() uint64 { return f.dropped.Swap(0) }
