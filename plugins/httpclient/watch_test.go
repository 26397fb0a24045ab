package httpclient_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ainative/portcullis/plugins/httpclient"
)

// countedContext counts how often it is watched. It does not end.
type countedContext struct {
	context.Context //nolint:containedctx // that is what it is

	done    chan struct{}
	watches atomic.Int32
	watched func()
}

func counted(t *testing.T, watched func()) *countedContext {
	return &countedContext{Context: t.Context(), done: make(chan struct{}), watched: watched}
}

// Done is not the embedded context's: package context would else watch that.
func (c *countedContext) Done() <-chan struct{} { return c.done }

// AfterFunc is what context.AfterFunc calls.
func (c *countedContext) AfterFunc(func()) (stop func() bool) {
	c.watches.Add(1)
	c.watched()
	return func() bool { return true }
}

func TestWatchesExchangesThatLast(t *testing.T) {
	watched := make(chan struct{})
	u := serve(t, func(p *peer) {
		for head := p.head(); head != ""; head = p.head() {
			if strings.HasPrefix(head, "GET /watched ") {
				<-watched
			}
			p.say(ok + "Content-Length: 0\r\n\r\n")
		}
	})
	pool := u.pool(t, httpclient.Config{})
	get(t, pool) // the dialer watches a context too
	// It is answered only once it is watched.
	ctx := counted(t, sync.OnceFunc(func() { close(watched) }))
	if got := do(ctx, pool, ask{uri: "/watched"}); got.err != nil || got.status != 200 {
		t.Fatalf("got %d, %v", got.status, got.err)
	}
	if n := ctx.watches.Load(); n != 1 {
		t.Errorf("an exchange that lasts was watched %d times, want once", n)
	}

	short := 0
	for range 50 {
		ctx, start := counted(t, func() {}), time.Now()
		if got := do(ctx, pool, ask{}); got.err != nil {
			t.Fatal(got.err)
		}
		if time.Since(start) >= 20*time.Millisecond {
			continue // a busy machine
		}
		short++
		if n := ctx.watches.Load(); n != 0 {
			t.Errorf("a short exchange was watched %d times", n)
		}
	}
	t.Logf("%d of 50 exchanges were short", short)
}

// Whatever ends first, the exchange or its context: a connection is used again only
// if its exchange ended, and no other exchange is cut.
func TestContextEndsWithTheExchange(t *testing.T) {
	u := serve(t, func(p *peer) {
		for p.head() != "" {
			p.say(ok + "Content-Length: 2\r\n\r\nok")
		}
	})
	pool := u.pool(t, httpclient.Config{MaxIdle: 1})
	for range 300 {
		ctx, cancel := context.WithCancel(t.Context())
		go cancel()
		if got := do(ctx, pool, ask{}); got.err == nil && got.bodyErr == nil && got.body != "ok" {
			t.Fatalf("got %q", got.body)
		}
		if got := get(t, pool); got.err != nil || got.body != "ok" {
			t.Fatalf("the next exchange: got %q, %v, %v", got.body, got.err, got.bodyErr)
		}
	}
}
