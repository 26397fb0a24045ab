package bearer

import (
	"context"
	"math/rand/v2"
	"time"
)

// run restores the stored set, fetches at once, and then goes on refreshing.
func (s *jwks) run(ctx context.Context) {
	s.mu.Lock()
	s.base, s.closed = ctx, false
	s.mu.Unlock()
	defer s.drain()

	s.restore(ctx)
	failures := 0
	for {
		pause := s.refreshPause()
		if s.refresh(ctx) == nil {
			failures = 0
		} else {
			pause = min(pause, retryPause(failures))
			failures++
		}
		if !s.sleep(ctx, pause) {
			return
		}
	}
}

// drain ends the life that run's context gave: no fetch begins any more, and the
// one under way, whose context is over, has ended when drain returns.
func (s *jwks) drain() {
	s.mu.Lock()
	s.closed = true
	f := s.flight
	s.mu.Unlock()
	if f != nil {
		<-f.done
	}
}

// sleep waits for the time of the next refresh and stores what
// fetches bring meanwhile. It is false when ctx is over.
func (s *jwks) sleep(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-s.changed:
			s.save(ctx)
		case <-timer.C:
			return true
		}
	}
}

// refresh fetches, or joins the fetch under way, and waits for the end of it.
func (s *jwks) refresh(ctx context.Context) error {
	s.mu.Lock()
	f := s.flight
	if f == nil {
		f = s.launch(s.env.clock())
	}
	s.mu.Unlock()
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// refreshPause spreads the fetches of many gateways over time. With the longest
// fetch it never goes beyond the interval, which bounds how long a removed key
// stays.
func (s *jwks) refreshPause() time.Duration {
	return s.interval - fetchTimeout - time.Duration(rand.Int64N(int64(s.interval)/5+1))
}

// retryPause doubles from firstRetry to maxRetry, half of it random.
func retryPause(failures int) time.Duration {
	pause := min(maxRetry, firstRetry<<min(failures, 10))
	return pause - time.Duration(rand.Int64N(int64(pause)/2))
}
