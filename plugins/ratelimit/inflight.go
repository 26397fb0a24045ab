package ratelimit

import (
	"encoding/binary"
	"sync"
)

// InFlight counts the requests in flight of each key, for `concurrency`. It has one small
// entry for each key with requests in flight, and is safe for concurrent use.
type InFlight struct {
	shards [64]inFlightShard
	// perShard bounds the keys of one shard.
	perShard int
}

type inFlightShard struct {
	mu   sync.Mutex
	held map[Key]int
}

// NewInFlight makes an empty count of at most about maxKeys keys at once.
func NewInFlight(maxKeys int) *InFlight {
	f := &InFlight{perShard: max(1, (maxKeys+63)/64)}
	for i := range f.shards {
		f.shards[i].held = make(map[Key]int)
	}
	return f
}

func (f *InFlight) shard(key Key) *inFlightShard {
	return &f.shards[binary.LittleEndian.Uint64(key[:])%uint64(len(f.shards))]
}

// Acquire counts a request of the key, unless limit are in flight. If it returns true, the
// caller must call Release once, on every path. It also returns false if too many keys
// have requests in flight, since a request that is not counted can't be limited.
func (f *InFlight) Acquire(key Key, limit int) bool {
	s := f.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.held[key]
	if n >= limit || n == 0 && len(s.held) >= f.perShard {
		return false
	}
	s.held[key] = n + 1
	return true
}

// Release ends the count of a request.
func (f *InFlight) Release(key Key) {
	s := f.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.held[key]; n > 1 {
		s.held[key] = n - 1
	} else {
		delete(s.held, key)
	}
}

// Held is how many requests of the key are in flight.
func (f *InFlight) Held(key Key) int {
	s := f.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held[key]
}
