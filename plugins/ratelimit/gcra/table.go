package gcra

import (
	"math/bits"
	"time"

	"github.com/ainative/portcullis/plugins/ratelimit"
)

// An entry is one count. It is 32 bytes, so that finding one costs a single
// cache line, and has no pointers, so that a million of them cost the garbage
// collector nothing.
type entry struct {
	key ratelimit.Key
	// tat is when the count says nothing any more: the theoretical arrival time of
	// GCRA, or the end of the last event of a strict window.
	tat int64
	// meta is 0 where there is no entry.
	meta meta
}

// meta is what an entry is, in 64 bits:
//
//	63     strict: a sliding window, not a bucket
//	62     dirty: changed since the last export
//	27-61  the period in milliseconds
//	26     overdrawn: charged past empty by Adjust
//	25     turns: callers were refused and told when to come
//	0-24   aux
//
// Period and kind of window tell the counts of one key apart. aux is the debt of
// a bucket beyond which a caller is over its limit, as a short float, the place of
// a strict window, or that of a bucket's turns.
type meta uint64

const (
	strictFlag    meta = 1 << 63
	dirtyFlag     meta = 1 << 62
	overdrawnFlag meta = 1 << 26
	turnsFlag     meta = 1 << 25

	periodShift      = 27
	debtBits         = 19
	auxMask     meta = 1<<25 - 1
	nameMask         = ^(dirtyFlag | overdrawnFlag | turnsFlag | auxMask)
)

func metaOf(limit *ratelimit.Limit) meta {
	m := meta(limit.Period/time.Millisecond) << periodShift
	if limit.Strict {
		m |= strictFlag
	}
	return m
}

// name is what tells the counts of one key apart.
func (m meta) name() meta { return m & nameMask }

func (m meta) strict() bool { return m&strictFlag != 0 }

// period is in nanoseconds.
func (m meta) period() int64 {
	return int64((m&^strictFlag&^dirtyFlag)>>periodShift) * int64(time.Millisecond)
}

// place is where the window of a strict entry or the turns of a bucket are.
func (m meta) place() int { return int(m & auxMask) }

// withDebt notes a debt, 19 bits of it exactly and the rest rounded down.
func (m meta) withDebt(debt int64) meta {
	shift := max(0, bits.Len64(uint64(debt))-debtBits)
	return m&^auxMask | meta(shift)<<debtBits | meta(debt>>shift)
}

func (m meta) debt() int64 {
	return int64(m&(1<<debtBits-1)) << (m & auxMask >> debtBits)
}

// A table is an open-addressing hash table with linear probing. It holds the
// entries themselves and is from half to three quarters full, so that an entry
// costs 43 to 64 bytes.
type table struct {
	slots []entry
	n     int
	// windows are the strict windows, and turns the last turns of buckets.
	windows places[window]
	turns   places[turn]
	random  uint64
}

// minSlots is the size of the smallest table.
const minSlots = 16

// home is where probing for a key's counts starts. The counts of one key start
// at the same place, so that a second limit is commonly found in the cache line
// of the first.
func (t *table) home(hash uint64) int {
	// The multiplication brings the bits up that did not choose the shard.
	at, _ := bits.Mul64(hash*0x9e3779b97f4a7c15, uint64(len(t.slots)))
	return int(at)
}

func (t *table) after(at int) int {
	if at++; at < len(t.slots) {
		return at
	}
	return 0
}

// find returns the place of a count, -1 if there is none.
func (t *table) find(hash uint64, key *ratelimit.Key, name meta) int {
	if t.n == 0 {
		return -1
	}
	for at := t.home(hash); ; at = t.after(at) {
		e := &t.slots[at]
		switch {
		case e.meta == 0:
			return -1
		case e.meta.name() == name && e.key == *key:
			return at
		}
	}
}

// add puts in an entry that is not there.
func (t *table) add(l *Limiter, hash uint64, e *entry) {
	if (t.n+1)*4 > len(t.slots)*3 {
		t.resize(l, max(minSlots, len(t.slots)*3/2))
	}
	t.insert(hash, e)
	t.n++
	l.held.Add(1)
}

func (t *table) insert(hash uint64, e *entry) {
	at := t.home(hash)
	for t.slots[at].meta != 0 {
		at = t.after(at)
	}
	t.slots[at] = *e
}

func (t *table) resize(l *Limiter, size int) {
	old := t.slots
	t.slots = make([]entry, size)
	adviseHuge(t.slots)
	for i := range old {
		if e := &old[i]; e.meta != 0 {
			t.insert(l.hash(&e.key), e)
		}
	}
}

// remove takes the entry at gap out. What was pushed beyond the gap moves up, so
// that no probing ends too early.
func (t *table) remove(l *Limiter, gap int) {
	if e := &t.slots[gap]; e.meta&turnsFlag != 0 {
		t.forgetTurns(e)
	}
	if m := t.slots[gap].meta; m.strict() {
		t.windows.free(m.place())
	}
	size := len(t.slots)
	for at := t.after(gap); t.slots[at].meta != 0; at = t.after(at) {
		e := &t.slots[at]
		home := t.home(l.hash(&e.key))
		if (at-home+size)%size >= (at-gap+size)%size {
			t.slots[gap] = *e
			gap = at
		}
	}
	t.slots[gap] = entry{}
	t.n--
	l.held.Add(-1)
}

// sweep removes what says nothing any more and gives memory back.
func (t *table) sweep(l *Limiter, now int64) {
	for at := 0; at < len(t.slots); {
		if e := &t.slots[at]; e.meta != 0 && e.tat <= now {
			// Another entry may have moved here: look again.
			t.remove(l, at)
			continue
		}
		if e := &t.slots[at]; e.meta&turnsFlag != 0 {
			t.sweepTurns(e, now)
		}
		at++
	}
	if size := max(minSlots, t.n*2); size < len(t.slots)/2 {
		t.resize(l, size)
	}
	t.windows.trim()
	t.turns.trim()
}

// intn is a random number below n, good enough to sample with.
func (t *table) intn(n int) int {
	t.random += 0x9e3779b97f4a7c15
	z := (t.random ^ t.random>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	hi, _ := bits.Mul64(z^z>>31, uint64(n))
	return int(hi)
}
