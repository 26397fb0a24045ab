// Package slab allocates the values that each request needs in blocks, so that one
// allocation serves many requests.
package slab

import (
	"math/rand/v2"
	"sync"
)

// Slab hands out zero values of T, each one once: code that outlives its request never
// shares a value with another request. The zero Slab is ready to use, and safe for
// concurrent use.
type Slab[T any] struct {
	// More than most machines have processors, so that a lock is rarely contended.
	shards [64]shard[T]
}

type shard[T any] struct {
	mu   sync.Mutex
	left []T
}

// block is how many values one allocation has. It is small, since one long-lived value
// keeps the block alive.
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
