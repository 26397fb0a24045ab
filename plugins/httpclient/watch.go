package httpclient

import (
	"context"
	"time"
)

// watchInterval is how often the exchanges in hand are looked at. One that lasts
// from one look to the next is watched from then on: its connection closes as soon
// as its context ends.
//
// Nearly all exchanges are over by then and cost no more than their place in a
// list. To watch each of them from its start takes six allocations, which is most
// of what an exchange allocates.
const watchInterval = 20 * time.Millisecond

// watch is the part of a connection that belongs to the exchange in hand. The
// pool's lock guards it.
type watch struct {
	ctx   context.Context //nolint:containedctx // for the length of an exchange
	place int             // in Pool.busy
	seen  bool            // by one look
	stop  func() bool     // ends the watch; nil before there is one
}

// begin puts c among the connections in use. p.mu is held.
func (p *Pool) begin(ctx context.Context, c *conn) {
	c.watch = watch{ctx: ctx, place: len(p.busy)}
	p.busy = append(p.busy, c)
	if p.looking {
		return
	}
	p.looking = true
	if p.looker == nil {
		p.looker = time.AfterFunc(watchInterval, p.look)
		return
	}
	p.looker.Reset(watchInterval)
}

// end takes c from the connections in use. It returns what stops the watch, or nil
// if there is none. p.mu is held.
func (p *Pool) end(c *conn) (stop func() bool) {
	last := len(p.busy) - 1
	p.busy[c.watch.place] = p.busy[last]
	p.busy[c.watch.place].watch.place = c.watch.place
	p.busy[last] = nil
	p.busy = p.busy[:last]
	stop = c.watch.stop
	c.watch = watch{}
	return stop
}

// unwatch takes c from the connections in use. It returns false if the context has
// ended and closed it.
func (p *Pool) unwatch(c *conn) bool {
	p.mu.Lock()
	stop := p.end(c)
	p.mu.Unlock()
	return stop == nil || stop()
}

// look watches the exchanges that the last look has seen. It goes on for as long as
// there are exchanges.
func (p *Pool) look() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.busy {
		if c.watch.seen && c.watch.stop == nil {
			c.watch.stop = context.AfterFunc(c.watch.ctx, c.abort)
		}
		c.watch.seen = true
	}
	if p.looking = len(p.busy) > 0; p.looking {
		p.looker.Reset(watchInterval)
	}
}
