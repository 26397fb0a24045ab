// Package slab cuts values that each request needs from blocks, so that one allocation
// serves many requests.
package slab

import (
	"math/rand/v2"
	"sync"
)

// Slab hands out zero values of T, each one once: what outlives its request keeps its
// value, and can't meet another request there. The zero Slab is ready, and safe for
// concurrent use.
type Slab[T any] struct {
	// More than most machines have processors, so that one is hardly ever waited for.
	shards [64]shard[T]
}

type shard[T any] struct {
	mu   sync.Mutex
	left []T
}

// block is how many values one allocation has. It is small, since one that lives long
// keeps its neighbours.
const block = 8

// New returns a zero value that nobody else has.
func (s *Slab[T]) New() *T {
	at := &s.shards[rand.Uint32()%uint32(len(s.shards))]
	if !at.mu.TryLock() {
		at = &s.shards[rand.Uint32()%uint32(len(s.shards))]
		at.mu.Lock()
	}
	defer at.mu.Unlock()
	if len(at.left) == 0 {
		at.left = make([]T, block)
	}
	value := &at.left[0]
	at.left = at.left[1:]
	return value
}
