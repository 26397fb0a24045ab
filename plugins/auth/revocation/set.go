// Package revocation knows which tokens are no longer good. The whole active set
// is in memory, exact, and asked on every request, cached token or not; a Poller
// keeps it like the store, which other processes may change too.
package revocation

import (
	"hash/maphash"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ainative/portcullis/plugins"
)

// shardCount is how many parts the set has. An addition copies one part: with
// 100,000 entries some 200 of them.
const shardCount = 512

// forAll is the value of an entry that names no token or subject: RevokeIssuedBefore.
const forAll = ""

// Set is the active revocations. Reading takes no lock and allocates nothing;
// changes are copies that become visible as a whole. It is safe for concurrent use.
type Set struct {
	seed  maphash.Seed
	table atomic.Pointer[table]
	// generation is raised after each change, so that a cache that remembers it
	// asks again.
	generation atomic.Uint64

	// loads lets one Load run at a time, so that an older answer can't overwrite a
	// newer one.
	loads sync.Mutex

	// mu guards the fields below and every change of the table.
	mu sync.Mutex
	// byID finds an entry by the id of its record.
	byID map[string]key
	// journal, while a Load is under way, holds the changes made since it began.
	journal []change
	loading bool
}

// table is the whole set. The pointer to it changes only in Replace; single
// changes replace one shard.
type table struct {
	shards [shardCount]atomic.Pointer[shard]
	// size counts entries, so that a gateway that revokes nothing pays nothing.
	size atomic.Int64
}

// shard is immutable.
type shard map[key]entry

// key names what is revoked. The issuer is empty for any.
type key struct {
	kind          kind
	issuer, value string
}

// kind is a plugins.RevocationKind in a form that is quick to hash. The zero kind
// is one that nothing asks for.
type kind uint8

const (
	ofTokenID kind = iota + 1
	ofSubject
	ofIssuedBefore
	ofSigningKey
)

// entry says since when and until when. Times are Unix seconds: the iat of most
// tokens has no more, so that a token of the same second as the revocation ends.
type entry struct {
	issuedBefore int64
	expires      int64 // 0 means never
}

// change is an Add or, with an id and no record, a Remove.
type change struct {
	record plugins.Revocation
	remove string
}

// NewSet makes an empty set.
func NewSet() *Set {
	s := &Set{seed: maphash.MakeSeed(), byID: make(map[string]key)}
	s.table.Store(new(table))
	return s
}

// Revoked tells whether a token is no longer good. The issuer is its configured
// name; an empty jti or subject is one the token does not have. A zero issuedAt,
// of a token without iat, counts as issued before everything.
func (s *Set) Revoked(issuer, jti, subject string, issuedAt time.Time) bool {
	t := s.table.Load()
	if t.size.Load() == 0 {
		return false
	}
	if jti != "" {
		sh := s.shard(t, jti)
		if _, ok := sh.find(ofTokenID, issuer, jti); ok {
			return true
		}
	}
	iat := issuedAt.Unix()
	if subject != "" {
		if e, ok := s.shard(t, subject).find(ofSubject, issuer, subject); ok && iat <= e.issuedBefore {
			return true
		}
	}
	e, ok := s.shard(t, forAll).find(ofIssuedBefore, issuer, forAll)
	return ok && iat <= e.issuedBefore
}

// KeyRevoked tells whether the signing key with this kid is no longer good; an
// empty kid is one that a key does not have.
func (s *Set) KeyRevoked(issuer, kid string) bool {
	t := s.table.Load()
	if kid == "" {
		return false
	}
	_, ok := s.shard(t, kid).find(ofSigningKey, issuer, kid)
	return ok
}

// Generation grows with every change. What was computed before it grew must ask
// Revoked again.
func (s *Set) Generation() uint64 { return s.generation.Load() }

// Len is the number of entries.
func (s *Set) Len() int { return int(s.table.Load().size.Load()) }

// Add adds an entry; the same kind, issuer and value again extends it. Every
// Revoked that begins after it returns knows of it.
func (s *Set) Add(r plugins.Revocation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.note(change{record: r})
	s.add(r)
	s.generation.Add(1)
}

// Remove takes the entry of the record with this id back and tells whether there
// was one.
func (s *Set) Remove(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.note(change{remove: id})
	if !s.remove(id) {
		return false
	}
	s.generation.Add(1)
	return true
}

// Replace makes the set hold exactly these.
func (s *Set) Replace(all []plugins.Revocation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replace(all)
	s.generation.Add(1)
}

// Load makes the set hold what fetch returns and what was added or removed while
// fetch ran, which its answer may not know of yet. If fetch fails, nothing changes.
func (s *Set) Load(fetch func() ([]plugins.Revocation, error)) error {
	_, err := s.load(fetch)
	return err
}

// load also tells whether changes came in while fetch ran: then the set may hold
// entries that the source no longer has.
func (s *Set) load(fetch func() ([]plugins.Revocation, error)) (raced bool, err error) {
	s.loads.Lock()
	defer s.loads.Unlock()
	s.mu.Lock()
	s.loading = true
	s.mu.Unlock()

	all, err := fetch()

	s.mu.Lock()
	defer s.mu.Unlock()
	since := s.journal
	s.journal, s.loading = nil, false
	if err != nil {
		return false, err
	}
	s.replace(all)
	for _, c := range since {
		if c.remove != "" {
			s.remove(c.remove)
		} else {
			s.add(c.record)
		}
	}
	s.generation.Add(1)
	return len(since) > 0, nil
}

// Sweep removes the entries that have expired, which no longer affect any token, and
// says how many.
func (s *Set) Sweep(now time.Time) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.table.Load()
	swept := 0
	for i := range t.shards {
		sh := t.shards[i].Load()
		if sh == nil || !sh.expired(now) {
			continue
		}
		kept := make(shard, len(*sh))
		for k, e := range *sh {
			if e.live(now) {
				kept[k] = e
			}
		}
		swept += len(*sh) - len(kept)
		t.shards[i].Store(&kept)
	}
	if swept > 0 {
		t.size.Add(int64(-swept))
		maps.DeleteFunc(s.byID, func(_ string, k key) bool {
			_, ok := (*s.slot(t, k.value).Load())[k]
			return !ok
		})
	}
	return swept
}

func (s *Set) note(c change) {
	if s.loading {
		s.journal = append(s.journal, c)
	}
}

func (s *Set) replace(all []plugins.Revocation) {
	t := new(table)
	shards := make(map[*atomic.Pointer[shard]]shard)
	s.byID = make(map[string]key, len(all))
	for _, r := range all {
		k, e := index(r)
		slot := s.slot(t, k.value)
		sh, ok := shards[slot]
		if !ok {
			sh = make(shard)
			shards[slot] = sh
		}
		if old, ok := sh[k]; ok {
			e = e.merge(old)
		} else {
			t.size.Add(1)
		}
		sh[k] = e
		s.byID[r.ID] = k
	}
	for slot, sh := range shards {
		slot.Store(&sh)
	}
	s.table.Store(t)
}

func (s *Set) add(r plugins.Revocation) {
	k, e := index(r)
	t := s.table.Load()
	slot := s.slot(t, k.value)
	next := slot.Load().copy()
	if old, ok := next[k]; ok {
		e = e.merge(old)
	} else {
		t.size.Add(1)
	}
	next[k] = e
	slot.Store(&next)
	s.byID[r.ID] = k
}

func (s *Set) remove(id string) bool {
	k := s.byID[id] // of no kind if there is none
	delete(s.byID, id)
	t := s.table.Load()
	slot := s.slot(t, k.value)
	next := slot.Load().copy()
	if _, ok := next[k]; !ok {
		return false
	}
	delete(next, k)
	slot.Store(&next)
	t.size.Add(-1)
	return true
}

func (s *Set) slot(t *table, value string) *atomic.Pointer[shard] {
	// Seeded, so that nobody can fill one shard by choosing subjects.
	return &t.shards[maphash.String(s.seed, value)%shardCount]
}

func (s *Set) shard(t *table, value string) *shard { return s.slot(t, value).Load() }

// find returns the entry of this issuer or of any: the one that ends more.
func (sh *shard) find(of kind, issuer, value string) (entry, bool) {
	if sh == nil {
		return entry{}, false
	}
	e, ok := (*sh)[key{of, "", value}]
	own, found := (*sh)[key{of, issuer, value}]
	if !found {
		return e, ok
	}
	if ok {
		own = own.merge(e)
	}
	return own, true
}

func (sh *shard) copy() shard {
	if sh == nil {
		return make(shard, 1)
	}
	return maps.Clone(*sh)
}

func (sh *shard) expired(now time.Time) bool {
	for _, e := range *sh {
		if !e.live(now) {
			return true
		}
	}
	return false
}

func (e entry) live(now time.Time) bool { return e.expires == 0 || e.expires > now.Unix() }

func (e entry) merge(o entry) entry {
	e.issuedBefore = max(e.issuedBefore, o.issuedBefore)
	if e.expires == 0 || o.expires == 0 {
		e.expires = 0
	} else {
		e.expires = max(e.expires, o.expires)
	}
	return e
}

func index(r plugins.Revocation) (key, entry) {
	e := entry{issuedBefore: r.IssuedBefore.Unix()}
	if !r.ExpiresAt.IsZero() {
		// 0 means no time; one second later makes no difference that long ago.
		e.expires = max(1, r.ExpiresAt.Unix())
	}
	k := key{issuer: r.Issuer, value: r.Value}
	switch r.Kind {
	case plugins.RevokeTokenID:
		k.kind = ofTokenID
	case plugins.RevokeSubject:
		k.kind = ofSubject
	case plugins.RevokeIssuedBefore:
		k.kind, k.value = ofIssuedBefore, forAll
	case plugins.RevokeSigningKey:
		k.kind = ofSigningKey
	}
	return k, e
}
