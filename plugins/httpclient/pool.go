package httpclient

import (
	"context"
	"net"
	"sync"
	"time"
)

// Config of a pool.
type Config struct {
	// Dial opens a connection to the upstream. The connection must be a
	// syscall.Conn, as those of package net are.
	Dial func(context.Context) (net.Conn, error)
	// MaxConns is how many connections there may be at a time; more requests wait.
	// 0: no limit.
	MaxConns int
	// MaxIdle is how many connections are kept for later. 0: none is.
	MaxIdle int
	// IdleTimeout is how long an unused connection is kept. 0: for ever.
	IdleTimeout time.Duration
	// HeaderTimeout is how long the upstream may take for a response's header once
	// the request is written. 0: no limit.
	HeaderTimeout time.Duration
	// ReadTimeout is how long the upstream may take for the next bytes. 0: no limit.
	ReadTimeout time.Duration
	// MaxHeader is the size of a response's header in bytes. 0: DefaultMaxHeader.
	MaxHeader int
	// ReadBuffer is the size of each connection's buffer. 0: 4 KiB.
	ReadBuffer int
}

// DefaultMaxHeader is what net/http takes too.
const DefaultMaxHeader = 10 << 20

// sweepInterval is how often idle connections are looked at, if their timeout is
// not shorter: one that the upstream has closed holds a descriptor until then.
const sweepInterval = 30 * time.Second

// Pool holds the connections to one upstream. It lives as long as the
// configuration it was made for; Close lets exchanges in flight end.
type Pool struct {
	config Config
	slots  chan struct{} // taken by exchanges; nil: no limit

	mu     sync.Mutex
	idle   []*conn // used last is last
	timer  *time.Timer
	armed  bool
	closed bool

	busy    []*conn // of the exchanges in hand
	looker  *time.Timer
	looking bool
}

// NewPool makes an empty pool.
func NewPool(config Config) *Pool {
	if config.MaxHeader <= 0 {
		config.MaxHeader = DefaultMaxHeader
	}
	if config.ReadBuffer < 4<<10 {
		config.ReadBuffer = 4 << 10
	}
	p := &Pool{config: config}
	if config.MaxConns > 0 {
		p.slots = make(chan struct{}, config.MaxConns)
	}
	return p
}

// Close closes idle connections now and those in use when their exchange ends.
func (p *Pool) Close() {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.closed = nil, true
	if p.timer != nil {
		p.timer.Stop()
	}
	p.mu.Unlock()
	for _, c := range idle {
		_ = c.Close()
	}
}

// Idle returns how many connections wait for a request.
func (p *Pool) Idle() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.idle)
}

// enter waits until one connection more may be used.
func (p *Pool) enter(ctx context.Context) error {
	if p.slots == nil {
		return nil
	}
	select {
	case p.slots <- struct{}{}:
		return nil
	default:
	}
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (p *Pool) leave() {
	if p.slots != nil {
		<-p.slots
	}
}

// take returns the connection that was used last, or nil if there is none. It
// closes when ctx ends.
func (p *Pool) take(ctx context.Context) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	for n := len(p.idle) - 1; n >= 0; n-- {
		c := p.idle[n]
		p.idle[n] = nil
		p.idle = p.idle[:n]
		if p.expired(c) {
			_ = c.Close()
			continue
		}
		p.begin(ctx, c)
		return c
	}
	return nil
}

func (p *Pool) expired(c *conn) bool {
	return p.config.IdleTimeout > 0 && time.Since(c.since) >= p.config.IdleTimeout
}

// dial opens a new connection. It closes when ctx ends.
func (p *Pool) dial(ctx context.Context) (*conn, error) {
	network, err := p.config.Dial(ctx)
	if err != nil {
		return nil, err
	}
	c, err := newConn(network, p.config.ReadBuffer)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	p.begin(ctx, c)
	p.mu.Unlock()
	return c, nil
}

// put keeps a connection whose exchange ended cleanly, or closes it.
func (p *Pool) put(c *conn) {
	p.mu.Lock()
	if stop := p.end(c); stop != nil {
		p.mu.Unlock()
		if !stop() {
			_ = c.Close() // the context's end closes it, now or in a moment
			return
		}
		p.mu.Lock()
	}
	c.reused, c.since = true, time.Now()
	if p.closed || len(p.idle) >= p.config.MaxIdle {
		p.mu.Unlock()
		_ = c.Close()
		return
	}
	p.idle = append(p.idle, c)
	if !p.armed {
		p.arm()
	}
	p.mu.Unlock()
}

// arm starts the timer of sweep. p.mu is held.
func (p *Pool) arm() {
	p.armed = true
	interval := sweepInterval
	if p.config.IdleTimeout > 0 {
		interval = min(interval, p.config.IdleTimeout)
	}
	if p.timer == nil {
		p.timer = time.AfterFunc(interval, p.sweep)
		return
	}
	p.timer.Reset(interval)
}

// sweep closes connections that were idle for too long and those that the upstream
// has closed. It holds the lock all along, so that no request opens a connection
// beyond MaxConns meanwhile; nothing in it waits.
func (p *Pool) sweep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	kept := p.idle[:0]
	for _, c := range p.idle {
		if p.expired(c) || !c.quiet() {
			_ = c.Close()
			continue
		}
		kept = append(kept, c)
	}
	clear(p.idle[len(kept):])
	p.idle = kept
	p.armed = false
	if len(p.idle) > 0 {
		p.arm()
	}
}
