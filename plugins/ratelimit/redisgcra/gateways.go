package redisgcra

import (
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/hex"
	"sync"
	"time"
)

// Gateways that share a Redis know how many they are: each writes a sign of life
// there. While Redis is gone each of N grants a 1/N of every limit, so that all of
// them together grant about the whole.

const (
	// beatEvery is how often a gateway gives a sign of life, and beatTTL how long one
	// counts.
	beatEvery = 2 * time.Second
	beatTTL   = 10 * time.Second
	// unknownShare is the share of a gateway that does not know of how many it is one.
	unknownShare = 0.5
)

var (
	//go:embed lua/gateways.lua
	gatewaysLua    string
	gatewaysScript = newScript(gatewaysLua)
)

// process is the id of this process: several limiters of it are one gateway.
var process = sync.OnceValue(func() string {
	id := make([]byte, 8)
	_, _ = rand.Read(id) // never fails
	return hex.EncodeToString(id)
})

// gateways is how many share the Redis, as far as this one knows.
type gateways struct {
	mu sync.Mutex
	// count is 0 until Redis was asked, at is when it was last as many.
	count int
	at    time.Duration
	begun bool
}

// counted notes how many there are. More are believed at once, fewer when they have
// been fewer for a while: gateways that start again after a loss of Redis's data are
// not there all at once.
func (g *gateways) counted(n int, now time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if n >= g.count || now-g.at >= beatTTL {
		g.count, g.at = n, now
	}
}

func (g *gateways) known() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.count
}

// share is the part of each limit that this node grants while Redis is gone.
func (l *Limiter) share() float64 {
	if l.o.Share != 0 {
		return l.o.Share
	}
	if n := l.gateways.known(); n > 0 {
		return 1 / float64(n)
	}
	if l.o.nodesGiven {
		return 1 / float64(l.o.Nodes)
	}
	return unknownShare
}

// Join makes this gateway known to the others of the same Redis, and counts them,
// until Close. A second time does nothing.
func (l *Limiter) Join() {
	l.gateways.mu.Lock()
	begun := l.gateways.begun
	l.gateways.begun = true
	l.gateways.mu.Unlock()
	if begun {
		return
	}
	l.start(func(ctx context.Context) {
		for {
			// While the breaker is open what was known last holds.
			if l.b.laneOf(l.engine.gateways()).breaker.ready() {
				_ = l.Check(ctx)
			}
			if !sleep(ctx, beatEvery) {
				return
			}
		}
	})
}

// Check asks Redis, with a sign of life, and returns why it can't decide, if it
// can't. Explain puts the error into words. It costs no caller anything and opens no
// breaker.
func (l *Limiter) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.o.Timeout)
	defer cancel()
	name := l.engine.gateways()
	beat := func() ([]any, error) {
		reply, _, err := l.b.run(ctx, gatewaysScript, []string{name}, []any{l.o.Node, beatTTL.Milliseconds()})
		return reply, err
	}
	reply, err := beat()
	if isCorrupt(err) {
		l.corrupt.Add(1)
		if _, _, err = l.b.do(ctx, name, "del", name); err == nil {
			reply, err = beat()
		}
	}
	if err != nil {
		return err
	}
	counts, ok := integers(reply, 1)
	if !ok || counts[0] < 1 {
		return ErrReply
	}
	l.gateways.counted(int(counts[0]), l.o.Clock())
	return nil
}
