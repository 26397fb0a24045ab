package revocation

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/ainative/portcullis/plugins"
)

// Source is where revocations are kept.
type Source interface {
	// Version changes with every change to what is kept, by whichever process.
	Version(ctx context.Context) (uint64, error)
	// Revocations returns all that have not expired at now.
	Revocations(ctx context.Context, now time.Time) ([]plugins.Revocation, error)
}

// The times of a Poller, by default.
const (
	// DefaultInterval is how often the source is asked for its version.
	DefaultInterval = 400 * time.Millisecond
	// MaxInterval is the longest: with the time-out of a question it keeps what
	// another process revokes from being good for more than a second.
	MaxInterval = 500 * time.Millisecond
	// DefaultMaxBackoff is the longest pause while the source fails. It is short,
	// because it adds to how long another process's revocation takes to be heard.
	DefaultMaxBackoff = 2 * time.Second

	// askTimeout bounds one round; a source that takes longer counts as failing.
	askTimeout = 5 * time.Second
	// sweepEvery is how often expired entries are thrown out of the set.
	sweepEvery = time.Minute
)

// PollerConfig is what a Poller needs. Set and Source are required.
type PollerConfig struct {
	Set    *Set
	Source Source
	// Interval between two questions, jittered downwards by up to a tenth. Default:
	// DefaultInterval; longer than MaxInterval is taken as that.
	Interval time.Duration
	// MaxBackoff bounds the pauses while the source fails, which double from
	// Interval on. Default: DefaultMaxBackoff.
	MaxBackoff time.Duration
	// Clock is time.Now where nil.
	Clock plugins.Clock
	// Changed, where not nil, is called when the version has changed, before the
	// set is loaded: caches of the same source are to be purged. It is not called
	// for the first version seen.
	Changed func()
	// Failed, where not nil, hears of each failure.
	Failed func(error)
}

// Poller keeps a Set like its Source.
type Poller struct {
	config PollerConfig
	// synced is when the set was last known to be like the source, in Unix
	// nanoseconds; 0 means never.
	synced atomic.Int64

	// The fields below belong to the goroutine that holds turn.
	turn    chan struct{}
	version uint64
	// known says that a version was seen, loaded that the set has it.
	known, loaded bool
	swept         time.Time
}

// NewPoller makes a poller. It starts no goroutine: see Run.
func NewPoller(config PollerConfig) (*Poller, error) {
	if config.Set == nil || config.Source == nil {
		return nil, errors.New("making the revocation poller: it needs a set and a source")
	}
	if config.Interval <= 0 {
		config.Interval = DefaultInterval
	}
	config.Interval = min(config.Interval, MaxInterval)
	if config.MaxBackoff <= 0 {
		config.MaxBackoff = DefaultMaxBackoff
	}
	if config.Clock == nil {
		config.Clock = time.Now
	}
	return &Poller{config: config, turn: make(chan struct{}, 1)}, nil
}

// Poll asks the source once and loads the set if its version has changed. Call it
// before serving: a start without the revocations would let revoked tokens in.
func (p *Poller) Poll(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}

	// The answer is as old as the question.
	asked := p.config.Clock()
	// The version first: a change between the two questions is then loaded once too
	// often, and not missed.
	version, err := p.config.Source.Version(ctx)
	if err != nil {
		return fmt.Errorf("asking for the version of the revocations: %w", err)
	}
	if changed := p.known && version != p.version; changed || !p.known {
		p.version, p.known, p.loaded = version, true, false
		if changed && p.config.Changed != nil {
			p.config.Changed()
		}
	}
	if !p.loaded {
		raced, err := p.config.Set.load(func() ([]plugins.Revocation, error) {
			return p.config.Source.Revocations(ctx, asked)
		})
		if err != nil {
			return fmt.Errorf("loading the revocations: %w", err)
		}
		// Where changes of our own came in between, the next round settles what is
		// true.
		p.loaded = !raced
	}
	p.synced.Store(asked.UnixNano())
	if asked.Sub(p.swept) >= sweepEvery {
		p.config.Set.Sweep(asked)
		p.swept = asked
	}
	return nil
}

// Run polls until ctx ends, and returns then. After a failure it waits longer each
// time; the set stays as it was.
func (p *Poller) Run(ctx context.Context) {
	pause := p.config.Interval
	timer := time.NewTimer(jitter(pause))
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		err := p.Poll(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			pause = min(2*pause, p.config.MaxBackoff)
			if p.config.Failed != nil {
				p.config.Failed(err)
			}
		default:
			pause = p.config.Interval
		}
		timer.Reset(jitter(pause))
	}
}

// Stale is how long ago the set was last known to be like the source; ok is false
// if it never was.
func (p *Poller) Stale() (age time.Duration, ok bool) {
	at := p.synced.Load()
	if at == 0 {
		return 0, false
	}
	return max(0, p.config.Clock().Sub(time.Unix(0, at))), true
}

// jitter shortens by up to a tenth, so that many processes do not ask in step.
func jitter(d time.Duration) time.Duration {
	return d - rand.N(d/10+1)
}
