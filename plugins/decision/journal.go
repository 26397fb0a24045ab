package decision

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/ainative/portcullis/plugins"
)

// Journal keeps the newest records, tells followers of each that comes in, and
// sums up what shadow mode let pass. It is safe for concurrent use.
type Journal struct {
	// Shadows is the sum of what would have been refused.
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

// Add keeps a record, numbers it and tells the followers. Its texts become copies,
// so that it keeps nothing of the request alive. It must not be changed from then
// on.
func (j *Journal) Add(record *Record) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.take(record)
	j.ring.add(record)
}

// Replace keeps a record in the place of an earlier one of the same request, of
// which it knows more.
func (j *Journal) Replace(old, record *Record) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.take(record)
	if !j.ring.replace(old, record) {
		j.ring.add(record)
	}
}

// take makes a record the journal's own, numbers it and tells the followers.
func (j *Journal) take(record *Record) {
	j.slab.own(record)
	j.seq++
	record.Seq = j.seq
	for f := range j.followers {
		f.tell(record)
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

// Filter chooses records. An empty field chooses all.
type Filter struct {
	Reason plugins.Reason
	// Owner is whom the request was counted against, or its subject.
	Owner string
	// Policy is the handler that refused.
	Policy string
	// Path is the beginning of the path.
	Path string
	// Outcome of the request.
	Outcome Outcome
	// Status that the client got; 4 or 5 is the class.
	Status int
}

// Matches reports whether a record is one of those that the filter chooses.
// Records of shadow mode are chosen by what any of their steps says.
func (f *Filter) Matches(r *Record) bool {
	return (f.Reason == "" || r.is(func(s *Step) bool { return s.Reason == f.Reason }, r.Reason == f.Reason)) &&
		(f.Policy == "" || r.is(func(s *Step) bool { return s.Policy == f.Policy }, r.Policy == f.Policy)) &&
		(f.Owner == "" || f.Owner == r.Owner || f.Owner == r.Subject) &&
		strings.HasPrefix(r.Path, f.Path) &&
		(f.Outcome == "" || f.Outcome == r.Outcome) &&
		(f.Status == 0 || f.Status == r.Status || f.Status == r.Status/100)
}

// is reports whether the record itself is such, or one of the refusals that
// shadow mode kept back.
func (r *Record) is(such func(*Step) bool, itself bool) bool {
	if itself {
		return true
	}
	for i := range r.Steps {
		if r.Steps[i].Result == StepShadow && such(&r.Steps[i]) {
			return true
		}
	}
	return false
}

// Recent returns the newest records that the filter chooses, newest first, limit
// at most.
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

// Follower gets each record that comes in. One that does not keep up loses
// records, never the gateway's time.
type Follower struct {
	// Records come in order. A gap in Seq is a loss, or a record that the filter left
	// out.
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

// Follow begins to follow the records that the filter chooses. Those kept that
// are newer than after come first; pass the last Seq seen to go on where a
// connection broke, or a large one to see only what is new. It reports false
// where there are too many followers already. Unfollow ends it.
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
		// Not ended at the first old one: a replaced record is newer than its place.
		return true
	})
	for _, m := range slices.Backward(missed) {
		made.tell(m)
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

// tell never waits.
func (f *Follower) tell(r *Record) {
	if !f.filter.Matches(r) {
		return
	}
	select {
	case f.records <- r:
	default:
		f.dropped.Add(1)
	}
}

// Dropped is how many records were lost since it was last asked.
func (f *Follower) Dropped() uint64 { return f.dropped.Swap(0) }
