package redisgcra

import (
	"context"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/ainative/portcullis/plugins/ratelimit"
)

// slots is how many a cluster has.
const slots = 16384

// followEvery is how often the nodes of a cluster are asked who has which slots.
// It only decides which calls wait for each other: a call to the wrong node is
// redirected by the library.
const followEvery = 5 * time.Second

// lanesMax bounds the lanes. Masters beyond it share the first.
const lanesMax = 256

// shards are the lanes to the masters of a cluster.
type shards struct {
	first   *lane
	newLane func(addr string) *lane
	// known are the lanes by address; only follow writes it.
	known map[string]*lane
	// owners are the lanes by slot, nil until the cluster was asked.
	owners atomic.Pointer[[slots]*lane]
	// all are the lanes that there are, the first included.
	all atomic.Pointer[[]*lane]
}

func newShards(first *lane, newLane func(string) *lane) *shards {
	s := &shards{first: first, newLane: newLane, known: map[string]*lane{}}
	s.all.Store(&[]*lane{first})
	return s
}

// follow keeps the lanes in step with the cluster.
func (b *batcher) follow() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		<-b.stop
		cancel()
	}()
	for wait := time.Duration(0); sleep(ctx, wait); {
		wait = followEvery
		if !b.askSlots(ctx) && b.shards.owners.Load() == nil {
			wait = time.Second
		}
	}
}

func (b *batcher) askSlots(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, b.budget+patience)
	defer cancel()
	client, ok := (*b.client.Load()).(*redis.ClusterClient)
	if !ok {
		return false
	}
	ranges, err := client.ClusterSlots(ctx).Result() //nolint:staticcheck // Redis 6 has no CLUSTER SHARDS, which replaces it
	if err != nil {
		return false
	}
	b.shards.assign(ranges)
	return true
}

// assign makes lanes for masters that are new, and gives each slot to its
// master's.
func (s *shards) assign(ranges []redis.ClusterSlot) {
	owners := new([slots]*lane)
	for i := range owners {
		owners[i] = s.first
	}
	for _, r := range ranges {
		if len(r.Nodes) == 0 || r.Start < 0 || r.End >= slots {
			continue
		}
		addr := r.Nodes[0].Addr
		l := s.known[addr]
		if l == nil {
			if len(s.known) >= lanesMax {
				continue
			}
			l = s.newLane(addr)
			s.known[addr] = l
			all := append(append([]*lane(nil), *s.all.Load()...), l)
			s.all.Store(&all)
		}
		for slot := r.Start; slot <= r.End; slot++ {
			owners[slot] = l
		}
	}
	s.owners.Store(owners)
}

// laneOf is the lane of a Redis key, which has a hash tag.
func (b *batcher) laneOf(name string) *lane {
	if b.shards == nil {
		return b.first
	}
	owners := b.shards.owners.Load()
	if owners == nil {
		return b.first
	}
	return owners[slotOf(hashTag(name))]
}

// lane is the lane of a caller.
func (b *batcher) lane(key ratelimit.Key) *lane {
	if b.shards == nil {
		return b.first
	}
	owners := b.shards.owners.Load()
	if owners == nil {
		return b.first
	}
	var text [32]byte
	return owners[slotOf(key.AppendText(text[:0]))]
}

// lanes are all that there are.
func (b *batcher) lanes() []*lane {
	if b.shards == nil {
		return []*lane{b.first}
	}
	return *b.shards.all.Load()
}

// hashTag is what of a Redis key says its slot.
func hashTag(name string) []byte {
	if _, rest, found := strings.Cut(name, "{"); found {
		if tag, _, found := strings.Cut(rest, "}"); found && tag != "" {
			return []byte(tag)
		}
	}
	return []byte(name)
}

// slotOf is CRC16/XMODEM modulo the slots, as the specification of Redis Cluster
// has it.
func slotOf(tag []byte) int {
	crc := uint16(0)
	for _, b := range tag {
		crc = crc<<8 ^ crc16[byte(crc>>8)^b]
	}
	return int(crc) % slots
}

var crc16 = func() (table [256]uint16) {
	for i := range table {
		crc := uint16(i) << 8
		for range 8 {
			carry := crc&0x8000 != 0
			crc <<= 1
			if carry {
				crc ^= 0x1021
			}
		}
		table[i] = crc
	}
	return table
}()
