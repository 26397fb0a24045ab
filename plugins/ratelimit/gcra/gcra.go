// Package gcra keeps the counts of rate limits in memory. The algorithm is GCRA
// in whole nanoseconds on a monotonic clock: the state of a limit is one number,
// the time at which its bucket is full again.
//
// The table is sharded and pointer-free, bounded in keys, and swept of idle
// entries by one goroutine that lives until Close.
package gcra

import (
	"context"
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ainative/portcullis/plugins/ratelimit"
)

// Clock tells the time since some fixed moment. It should be monotonic; a step
// back keeps a caller waiting no longer than its limit takes to fill.
type Clock func() time.Duration

// Options of a Limiter. The zero value has every default.
type Options struct {
	// Clock decides what time it is. Default: the monotonic clock of the process.
	Clock Clock
	// MaxKeys bounds how many counts are held, one for each key and period.
	// Default: 1,000,000.
	MaxKeys int
	// SweepEvery is how often idle counts are removed. Default: 10 seconds.
	SweepEvery time.Duration
}

// DefaultMaxKeys is how many counts are held unless asked otherwise.
const DefaultMaxKeys = 1_000_000

// Limiter is a ratelimit.Limiter in memory.
type Limiter struct {
	clock   Clock
	seed    [2]uint64
	shards  []shard
	shift   uint
	maxKeys int64
	held    atomic.Int64
	evicted atomic.Int64
	forced  atomic.Int64

	stop func()
	done chan struct{}
}

var _ ratelimit.Limiter = (*Limiter)(nil)

// New makes a limiter and starts its sweeper. Close stops it.
func New(o Options) *Limiter {
	if o.MaxKeys <= 0 {
		o.MaxKeys = DefaultMaxKeys
	}
	if o.SweepEvery <= 0 {
		o.SweepEvery = 10 * time.Second
	}
	if o.Clock == nil {
		start := time.Now()
		o.Clock = func() time.Duration { return time.Since(start) }
	}
	// One shard for each 4,096 keys or so, 256 at most: small tables evict
	// precisely, large ones don't wait for each other.
	shards := min(256, max(1, 1<<bits.Len(uint(o.MaxKeys/4096))>>1))
	l := &Limiter{
		clock:   o.Clock,
		seed:    [2]uint64{rand.Uint64(), rand.Uint64()},
		shards:  make([]shard, shards),
		shift:   uint(64 - bits.TrailingZeros(uint(shards))),
		maxKeys: int64(o.MaxKeys),
		done:    make(chan struct{}),
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.stop = cancel
	go l.sweepUntil(ctx, o.SweepEvery)
	return l
}

// Close stops the sweeper and waits for it. The limiter still decides after it,
// for requests that outlive a configuration.
func (l *Limiter) Close() error {
	l.stop()
	<-l.done
	return nil
}

// Take is as ratelimit.Limiter has it. The only error is about limits that can't
// be. The context is not used: a decision never waits.
func (l *Limiter) Take(_ context.Context, key ratelimit.Key, limits []ratelimit.Limit, cost int64, rows []ratelimit.Row) (ratelimit.Decision, error) {
	return l.decide(key, limits, cost, false, rows)
}

// Adjust is as ratelimit.Limiter has it, with the error of Take.
func (l *Limiter) Adjust(_ context.Context, key ratelimit.Key, limits []ratelimit.Limit, delta int64, rows []ratelimit.Row) (ratelimit.Decision, error) {
	return l.decide(key, limits, delta, true, rows)
}

func (l *Limiter) decide(key ratelimit.Key, limits []ratelimit.Limit, cost int64, force bool, rows []ratelimit.Row) (d ratelimit.Decision, err error) {
	if len(limits) == 0 || len(limits) > ratelimit.MaxLimits {
		return d, ratelimit.CheckLimits(limits)
	}
	rows = rows[:0]
	for i := range limits {
		rows = append(rows, ratelimit.Row{})
		rows[i].Limit = limits[i]
	}
	hash := l.hash(&key)
	s := l.shard(hash)
	var ok bool
	s.mu.Lock()
	// The clock is read under the lock, so that time never runs back between two
	// decisions on one key.
	now := int64(l.clock())
	if len(limits) <= few {
		var cells [few]cell
		ok = s.take(l, hash, &key, cells[:len(limits)], cost, now, force, rows, &d)
	} else {
		var cells [ratelimit.MaxLimits]cell
		ok = s.take(l, hash, &key, cells[:len(limits)], cost, now, force, rows, &d)
	}
	s.mu.Unlock()
	if !ok {
		return ratelimit.Decision{}, ratelimit.CheckLimits(limits)
	}
	return d, nil
}

// few is how many limits a policy commonly has at most.
const few = 2

// Reset is as ratelimit.Limiter has it.
func (l *Limiter) Reset(_ context.Context, key ratelimit.Key, limits []ratelimit.Limit) error {
	hash := l.hash(&key)
	s := l.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, limit := range limits {
		if i := s.find(hash, &key, metaOf(&limit)); i >= 0 {
			s.remove(l, i)
		}
	}
	return nil
}

// Stats are figures about the table.
type Stats struct {
	// Keys is how many counts are held.
	Keys int64
	// MaxKeys is how many may be.
	MaxKeys int64
	// Evicted counts those that had to go for new ones since the start.
	Evicted int64
	// EvictedOverLimit counts those of them that were over their limit: no count
	// within it was found to go. More than a few mean that MaxKeys is too small.
	EvictedOverLimit int64
}

// Stats returns the figures of now.
func (l *Limiter) Stats() Stats {
	return Stats{
		Keys: l.held.Load(), MaxKeys: l.maxKeys,
		Evicted: l.evicted.Load(), EvictedOverLimit: l.forced.Load(),
	}
}

// Sweep removes the counts that say nothing any more, those of full buckets. The
// limiter does it by itself.
func (l *Limiter) Sweep() {
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		s.sweep(l, int64(l.clock()))
		s.mu.Unlock()
	}
}

func (l *Limiter) sweepUntil(ctx context.Context, every time.Duration) {
	defer close(l.done)
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			l.Sweep()
		}
	}
}

// hash spreads a key over shards and slots. It is seeded, so that no caller can
// choose names that fall together.
func (l *Limiter) hash(key *ratelimit.Key) uint64 {
	hi, lo := bits.Mul64(
		binary.LittleEndian.Uint64(key[:8])^l.seed[0],
		binary.LittleEndian.Uint64(key[8:])^l.seed[1])
	return hi ^ lo
}

func (l *Limiter) shard(hash uint64) *shard {
	// A shift by 64 gives 0, for a single shard.
	return &l.shards[hash>>l.shift]
}

// A shard holds the counts of some keys, all counts of a key in one shard, so
// that one lock makes several limits all-or-nothing.
type shard struct {
	mu sync.Mutex
	table
	// Shards of neighbouring locks don't share a cache line.
	_ [32]byte
}
