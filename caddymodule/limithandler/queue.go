package limithandler

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/ainative/portcullis/caddymodule/internal/pool"
	"github.com/ainative/portcullis/caddymodule/request"
	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/ratelimit"
)

// Bounds of the wait for a place at the upstream.
const (
	defaultUpstreamWait = 5 * time.Second
	maxUpstreamWait     = 5 * time.Minute
	// busyRetryAfter is the Retry-After of a request that got no place.
	busyRetryAfter = 5 * time.Second
)

// checkQueue returns the mistakes in UpstreamConcurrency and UpstreamWait.
func (l *RateLimit) checkQueue() error {
	wait := time.Duration(l.UpstreamWait)
	switch {
	case l.UpstreamConcurrency < 0:
		return fmt.Errorf("upstream_concurrency %d: write a whole number of 1 or more", l.UpstreamConcurrency)
	case l.UpstreamConcurrency == 0 && wait != 0:
		return fmt.Errorf("upstream_wait %s without upstream_concurrency: write `upstream_concurrency 30 %s`", wait, wait)
	case wait < 0 || wait > maxUpstreamWait:
		return fmt.Errorf("upstream_concurrency: a wait of %s: write a duration up to %s", wait, maxUpstreamWait)
	}
	if l.UpstreamConcurrency != 0 && wait == 0 {
		l.UpstreamWait = caddy.Duration(defaultUpstreamWait)
	}
	return nil
}

// acquireQueue acquires the zone's queue from the pool, so that requests in flight count
// across a reload. Handlers with the same zone and settings share it.
func (l *RateLimit) acquireQueue() {
	if l.UpstreamConcurrency == 0 {
		return
	}
	wait := time.Duration(l.UpstreamWait)
	key := pool.Key{Kind: "upstream queue", Name: l.Zone + " " + strconv.Itoa(l.UpstreamConcurrency) + " " + wait.String()}
	queue, release := pool.AcquirePlain(key, func() *ratelimit.Queue { return ratelimit.NewQueue(l.UpstreamConcurrency, wait) })
	l.queue = queue
	l.acquired = append(l.acquired, release)
}

// busy refuses a request that got no place at the upstream, and refunds its charge.
func (l *RateLimit) busy(w http.ResponseWriter, r *http.Request, x *request.Exchange, err error) error {
	x.Refund(r)
	return l.enforcer.Undecided(w, r, x, &plugins.Unavailable{Reason: plugins.ReasonUpstreamBusy, RetryAfter: busyRetryAfter, Err: err})
}
