// Package slab allocates the values that each request needs in blocks, so that one
// allocation serves many requests.
package slab

import (
	"math/rand/v2"
	"sync"
)

// Cut takes one value from a block of values, and makes a new block of size values where
// the old one is used up. It returns each value once: code that outlives its request never
// shares a value with another request.
func Cut[T any](left *[]T, size int) *T {
	if len(*left) == 0 {
		*left = make([]T, size)
	}
	value := &(*left)[0]
	*left = (*left)[1:]
	return value
}

// Shards are copies of a state of which each request needs one for a moment. The zero
// Shards are ready to use, and safe for concurrent use.
type Shards[T any] struct {
	// More than most machines have processors, so that a lock is rarely contended.
	shards [64]Shard[T]
}

// Shard is one copy of the state. It is locked while somebody has it.
type Shard[T any] struct {
	sync.Mutex

	State T
}

// Lock returns a shard that is locked. The caller unlocks it.
func (s *Shards[T]) Lock() *Shard[T] {
	for range 4 {
		if at := s.random(); at.TryLock() {
			return at
		}
	}
	at := s.random()
	at.Lock()
	return at
}

func (s *Shards[T]) random() *Shard[T] { return &s.shards[rand.Uint32()%uint32(len(s.shards))] }

// Slab hands out zero values of T, each one once. The zero Slab is ready to use, and safe
// for concurrent use.
type Slab[T any] struct{ blocks Shards[[]T] }

// block is how many values one allocation of a Slab has. It is small, since one long-lived
// value keeps the block alive.
const block = 8

// New returns a zero value that nobody else has.
func (s *Slab[T]) New() *T {
	at := s.blocks.Lock()
	defer at.Unlock()
	return Cut(&at.State, block)
}
