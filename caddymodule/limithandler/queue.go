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

// Bounds of how long a request waits for a place at the upstream.
const (
	defaultUpstreamWait = 5 * time.Second
	maxUpstreamWait     = 5 * time.Minute
	// busyRetryAfter is what a request that got no place is told.
	busyRetryAfter = 5 * time.Second
)

// pooledQueue outlives a configuration: what is under way then still counts.
type pooledQueue struct{ *ratelimit.Queue }

// Destruct has nothing to release.
func (pooledQueue) Destruct() error { return nil }

// checkQueue finds the mistakes in UpstreamConcurrency and UpstreamWait.
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

// acquireQueue takes the zone's queue from the pool. Handlers of one zone and one setting
// share it.
func (l *RateLimit) acquireQueue() error {
	if l.UpstreamConcurrency == 0 {
		return nil
	}
	wait := time.Duration(l.UpstreamWait)
	key := pool.Key{Kind: "upstream queue", Name: l.Zone + " " + strconv.Itoa(l.UpstreamConcurrency) + " " + wait.String()}
	queue, release, err := pool.Acquire(key, func() (pooledQueue, error) {
		return pooledQueue{ratelimit.NewQueue(l.UpstreamConcurrency, wait)}, nil
	})
	if err != nil {
		return err
	}
	l.queue = queue.Queue
	l.acquired = append(l.acquired, release)
	return nil
}

// busy answers a request that got no place at the upstream, and gives back what it was
// charged.
func (l *RateLimit) busy(w http.ResponseWriter, r *http.Request, x *request.Exchange, err error) error {
	x.Refund(r)
	return l.enforcer.Undecided(w, r, x, &plugins.Unavailable{Reason: plugins.ReasonUpstreamBusy, RetryAfter: busyRetryAfter, Err: err})
}
