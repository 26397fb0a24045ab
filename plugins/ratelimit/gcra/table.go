package gcra

import (
	"math/bits"

	"github.com/ainative/portcullis/plugins/ratelimit"
)

// An entry is one count. Entries hold no pointers, so that a million of them
// cost the garbage collector nothing.
type entry struct {
	key ratelimit.Key
	// tag is the period and the kind of window.
	tag tag
	// tat is when the count says nothing any more: the theoretical arrival time of
	// GCRA, or the end of the last event of a strict window.
	tat int64
	// aux is (Burst-1) * Interval for GCRA: a caller with more debt is over its
	// limit. For a strict window it is the window's place in windows.
	aux int64
}

// A tag tells the counts of one key apart and carries what the entry is: the
// period in nanoseconds shifted by two, and two flags.
type tag uint64

const (
	// strictFlag marks a sliding window.
	strictFlag tag = 1
	// dirtyFlag marks a count that changed since the last export.
	dirtyFlag tag = 2
)

func tagOf(limit ratelimit.Limit) tag {
	t := tag(limit.Period) << 2
	if limit.Strict {
		t |= strictFlag
	}
	return t
}

func (t tag) period() int64 { return int64(t >> 2) }

// chunkSize is how many entries are allocated at once.
const chunkSize = 64

// A table is an open-addressing index into a dense list of entries. The list is
// dense so that sweeping is a scan and a random entry is a random number; it is
// chunked so that growing moves nothing.
type table struct {
	// index has a power of two of slots: 0 is free, i+1 leads to entry i.
	index  []uint32
	chunks []*[chunkSize]entry
	n      int
	// windows are the strict windows, and spare their free places.
	windows []window
	spare   []int64
	random  uint64
}

func (t *table) at(i int) *entry { return &t.chunks[i/chunkSize][i%chunkSize] }

// slot is where probing for an entry starts.
func slot(hash uint64, tag tag) uint64 {
	hi, lo := bits.Mul64(hash^0x9e3779b97f4a7c15, uint64(tag&^dirtyFlag)^0xd1b54a32d192ed03)
	return hi ^ lo
}

// find returns the place of an entry, -1 if there is none.
func (t *table) find(hash uint64, key ratelimit.Key, tag tag) int {
	if len(t.index) == 0 {
		return -1
	}
	mask := uint64(len(t.index) - 1)
	for at := slot(hash, tag) & mask; ; at = (at + 1) & mask {
		i := t.index[at]
		if i == 0 {
			return -1
		}
		if e := t.at(int(i - 1)); e.key == key && e.tag&^dirtyFlag == tag {
			return int(i - 1)
		}
	}
}

// add appends an entry that is not there.
func (t *table) add(l *Limiter, hash uint64, e entry) {
	if (t.n+1)*4 > len(t.index)*3 {
		t.reindex(l, max(chunkSize, 2*len(t.index)))
	}
	if t.n == len(t.chunks)*chunkSize {
		t.chunks = append(t.chunks, new([chunkSize]entry))
	}
	*t.at(t.n) = e
	t.link(hash, e.tag, t.n)
	t.n++
	l.held.Add(1)
}

func (t *table) link(hash uint64, tag tag, i int) {
	mask := uint64(len(t.index) - 1)
	at := slot(hash, tag) & mask
	for t.index[at] != 0 {
		at = (at + 1) & mask
	}
	t.index[at] = uint32(i + 1)
}

// slotOf is the index slot that leads to entry i.
func (t *table) slotOf(l *Limiter, i int) uint64 {
	mask := uint64(len(t.index) - 1)
	e := t.at(i)
	at := slot(l.hash(e.key), e.tag) & mask
	for t.index[at] != uint32(i+1) {
		at = (at + 1) & mask
	}
	return at
}

// remove takes entry i out and moves the last entry into its place.
func (t *table) remove(l *Limiter, i int) {
	if e := t.at(i); e.tag&strictFlag != 0 {
		t.windows[e.aux] = window{}
		t.spare = append(t.spare, e.aux)
	}
	t.unlink(l, t.slotOf(l, i))
	last := t.n - 1
	if i != last {
		at := t.slotOf(l, last)
		*t.at(i) = *t.at(last)
		t.index[at] = uint32(i + 1)
	}
	*t.at(last) = entry{}
	t.n--
	l.held.Add(-1)
}

// unlink frees an index slot and closes the gap: entries after it that may stand
// nearer to where their probing starts move up.
func (t *table) unlink(l *Limiter, gap uint64) {
	mask := uint64(len(t.index) - 1)
	for at := (gap + 1) & mask; t.index[at] != 0; at = (at + 1) & mask {
		e := t.at(int(t.index[at] - 1))
		home := slot(l.hash(e.key), e.tag) & mask
		if (at-home)&mask >= (at-gap)&mask {
			t.index[gap] = t.index[at]
			gap = at
		}
	}
	t.index[gap] = 0
}

func (t *table) reindex(l *Limiter, size int) {
	t.index = make([]uint32, size)
	for i := range t.n {
		e := t.at(i)
		t.link(l.hash(e.key), e.tag, i)
	}
}

// sweep removes what says nothing any more and gives memory back.
func (t *table) sweep(l *Limiter, now int64) {
	for i := t.n - 1; i >= 0; i-- {
		if t.at(i).tat <= now {
			t.remove(l, i)
		}
	}
	// One chunk and half of the index stay for the next entries.
	keep := (t.n+chunkSize-1)/chunkSize + 1
	for len(t.chunks) > keep {
		t.chunks[len(t.chunks)-1] = nil
		t.chunks = t.chunks[:len(t.chunks)-1]
	}
	if len(t.index) > chunkSize && t.n*8 < len(t.index) {
		t.reindex(l, max(chunkSize, len(t.index)/4))
	}
	if t.n == 0 {
		t.windows, t.spare = nil, nil
	}
}

// intn is a random number below n, good enough to sample with.
func (t *table) intn(n int) int {
	t.random += 0x9e3779b97f4a7c15
	z := (t.random ^ t.random>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	hi, _ := bits.Mul64(z^z>>31, uint64(n))
	return int(hi)
}
