package bearer

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/MicahParks/jwkset"

	"github.com/ainative/portcullis/plugins"
)

const (
	// demandInterval is the least time between two fetches that unknown kids cause.
	demandInterval = 30 * time.Second
	// demandWait is how long a request waits for such a fetch.
	demandWait = 500 * time.Millisecond
	// absentFor is how long a kid that the provider doesn't have causes no fetch, and
	// maxAbsent how many such kids are remembered.
	absentFor = 60 * time.Second
	maxAbsent = 256
	// clockDifference is how far the provider's clock may be from ours.
	clockDifference = DefaultLeeway
	// firstRetry and maxRetry bound the growing pause after failed fetches.
	firstRetry = time.Second
	maxRetry   = 30 * time.Second
	// saveInterval is how often an unchanged set is stored again, to move the time
	// at which it was confirmed.
	saveInterval = time.Hour
)

// errNotAsked is about a kid that the set lacks, of a token that may be newer than it.
var errNotAsked = errors.New("the key set lacks the kid, and the provider can't be asked for it yet")

// jwks is a key set behind a URL, given or discovered. It is fetched in the
// background; requests read what is there. The last good set stays in use until
// it is older than maxStale, whatever the provider answers.
type jwks struct {
	issuer     string
	url        string
	discovery  string
	algorithms []string
	interval   time.Duration
	maxStale   time.Duration
	env        *environment
	fetcher    *fetcher

	set atomic.Pointer[keySet]
	// changed wakes run to store the set: a fetch for a request must not wait for it.
	changed chan struct{}

	mu         sync.Mutex
	flight     *flight
	base       context.Context
	closed     bool
	generation uint64
	print      [sha256.Size]byte
	public     []jwkset.JWKMarshal
	saved      time.Time
	unsaved    bool
	demanded   time.Time
	attempted  time.Time
	lastError  error
	// absent are kids that the provider doesn't have, and when it was asked for them.
	absent map[string]time.Time
}

// flight is a fetch under way. Done is closed when its result is in place.
type flight struct {
	began time.Time
	// kids are those that requests wait for.
	kids []string
	done chan struct{}
	err  error
}

func newJWKS(c *IssuerConfig, env *environment) *jwks {
	s := &jwks{
		issuer:     c.Name,
		url:        c.JWKS,
		discovery:  c.Discovery,
		algorithms: c.Algorithms,
		interval:   c.RefreshInterval,
		maxStale:   c.MaxStale,
		env:        env,
		changed:    make(chan struct{}, 1),
		base:       context.Background(),
		absent:     make(map[string]time.Time),
	}
	s.fetcher = newFetcher(env.client, s.location())
	return s
}

// location is the configured URL, of the set or of the provider.
func (s *jwks) location() string {
	if s.discovery != "" {
		return s.discovery
	}
	return s.url
}

func (s *jwks) current(now time.Time) *keySet {
	if set := s.set.Load(); set.usable(now) {
		return set
	}
	return nil
}

// consult fetches for a kid that the set lacks, at most once per demandInterval
// whatever callers send, and waits at most demandWait. Callers that come
// meanwhile share the fetch. Within the interval nobody can tell a stranger's kid
// from that of a key which the provider has just begun to use: it is an error,
// unless the provider was asked after the token was issued.
func (s *jwks) consult(ctx context.Context, kid string, issued time.Time) (*keySet, error) {
	now := s.env.clock()
	s.mu.Lock()
	set := s.current(now)
	if set != nil && s.settled(set, kid, issued, now) {
		s.mu.Unlock()
		return set, nil
	}
	f := s.flight
	if f == nil {
		wait := s.demanded.Add(demandInterval).Sub(now)
		if wait > 0 || s.closed {
			err := s.lastError
			s.mu.Unlock()
			switch {
			case set == nil || err != nil:
				return nil, s.unavailable(err, min(wait, 5*time.Second))
			case issued.Add(clockDifference).Before(set.fetched):
				return set, nil
			}
			return nil, s.unavailable(errNotAsked, wait)
		}
		s.demanded = now
		f = s.launch(now)
	}
	if kid != "" && len(f.kids) < maxAbsent && !slices.Contains(f.kids, kid) {
		// A copy: the kid is part of the token.
		f.kids = append(f.kids, strings.Clone(kid))
	}
	s.mu.Unlock()

	timer := time.NewTimer(demandWait)
	defer timer.Stop()
	select {
	case <-f.done:
	case <-timer.C:
	case <-ctx.Done():
	}

	now = s.env.clock()
	set = s.current(now)
	select {
	case <-f.done:
	default:
		return nil, s.unavailable(errors.New("still waiting for the key set"), time.Second)
	}
	if f.err != nil {
		return nil, s.unavailable(f.err, firstRetry)
	}
	if set == nil {
		return nil, s.unavailable(errors.New("the key set is too old"), firstRetry)
	}
	if len(set.candidates(kid)) == 0 && issued.After(f.began) {
		return nil, s.unavailable(errNotAsked, firstRetry)
	}
	return set, nil
}

// settled reports whether the provider need not be asked about the kid: the set has it,
// the provider lacked it a moment ago, after the token was issued, or the token has none.
func (s *jwks) settled(set *keySet, kid string, issued, now time.Time) bool {
	if kid == "" || len(set.candidates(kid)) > 0 {
		return true
	}
	asked, absent := s.absent[kid]
	return absent && now.Before(asked.Add(absentFor)) && !issued.After(asked)
}

// remember notes the kids that requests waited for and a fetch did not bring. The memory
// is bounded; when it is full, any entry makes room: losing one costs a fetch, and
// demandInterval bounds those. The caller holds mu.
func (s *jwks) remember(f *flight) {
	set := s.set.Load()
	for _, kid := range f.kids {
		if len(set.candidates(kid)) > 0 {
			continue
		}
		if _, there := s.absent[kid]; !there && len(s.absent) >= maxAbsent {
			for k := range s.absent {
				delete(s.absent, k)
				break
			}
		}
		s.absent[kid] = f.began
	}
}

func (s *jwks) unavailable(cause error, retry time.Duration) error {
	if cause == nil {
		cause = errors.New("no key set yet")
	}
	return &plugins.Unavailable{
		Reason:     plugins.ReasonKeysUnavailable,
		RetryAfter: max(retry, 0),
		Err:        fmt.Errorf("issuer %s: %w", s.issuer, cause),
	}
}

// launch starts a fetch. The caller holds mu, and there is no flight.
func (s *jwks) launch(now time.Time) *flight {
	f := &flight{began: now, done: make(chan struct{})}
	s.flight, s.attempted = f, now
	ctx := s.base
	go func() {
		ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
		defer cancel()
		read, err := s.fetch(ctx)
		s.land(f, read, err)
	}()
	return f
}

// fetch asks the provider.
func (s *jwks) fetch(ctx context.Context) (*readKeys, error) {
	from := s.url
	if s.discovery != "" {
		var err error
		if from, err = s.fetcher.discover(ctx, s.discovery); err != nil {
			return nil, fmt.Errorf("discovering %s: %w", s.discovery, err)
		}
	}
	body, err := s.fetcher.get(ctx, from)
	if err != nil {
		return nil, fmt.Errorf("fetching keys: %w", err)
	}
	read, err := readJWKS(body, s.algorithms)
	if err != nil {
		return nil, fmt.Errorf("reading keys of %s: %w", from, err)
	}
	return read, nil
}

// land puts the result of a fetch in place.
func (s *jwks) land(f *flight, read *readKeys, err error) {
	s.mu.Lock()
	f.err = err
	again := err != nil && s.lastError != nil && err.Error() == s.lastError.Error()
	s.lastError = err
	isNew := false
	if err == nil {
		isNew = s.install(read, s.env.clock())
		s.remember(f)
		s.unsaved = s.unsaved || isNew || s.env.clock().Sub(s.saved) >= saveInterval
	}
	s.flight = nil
	set := s.set.Load()
	s.mu.Unlock()
	close(f.done)

	switch {
	case err != nil && !again && !errors.Is(err, context.Canceled):
		event := Event{Kind: EventKeysFailed, Issuer: s.issuer, Err: err}
		if set != nil {
			event.Keys = len(set.keys)
		}
		s.env.log(event)
	case isNew:
		s.announce(EventKeysLoaded, read)
	}
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// install makes a read set the current one, confirmed at the given time. A set
// with the same keys keeps its generation, so that cached tokens live on. The
// caller holds mu.
func (s *jwks) install(read *readKeys, confirmed time.Time) (isNew bool) {
	sum := fingerprint(read)
	isNew = sum != s.print
	if isNew {
		s.generation++
		s.print, s.public = sum, read.public
	}
	s.set.Store(&keySet{
		generation: s.generation,
		keys:       read.keys,
		named:      true,
		skipped:    len(read.skipped),
		fetched:    confirmed,
		until:      confirmed.Add(s.maxStale),
	})
	return isNew
}

// fingerprint is over what the keys are and what they may be used for.
func fingerprint(read *readKeys) [sha256.Size]byte {
	// Strings and lists of strings always marshal.
	text, _ := json.Marshal(read.public)
	return sha256.Sum256(text)
}

func (s *jwks) announce(kind EventKind, read *readKeys) {
	s.env.log(Event{Kind: kind, Issuer: s.issuer, Keys: len(read.keys), Skipped: len(read.skipped)})
	for _, k := range read.skipped {
		s.env.log(Event{Kind: EventKeySkipped, Issuer: s.issuer, KeyID: k.id, Err: k.err})
	}
	for i, k := range read.keys {
		if i > 0 && k.id == read.keys[i-1].id && (i < 2 || k.id != read.keys[i-2].id) {
			s.env.log(Event{Kind: EventKeyDuplicate, Issuer: s.issuer, KeyID: k.id})
		}
	}
}

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

func (s *jwks) health(h *IssuerHealth) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h.fill(s.set.Load())
	h.AttemptedAt = s.attempted
	if s.lastError != nil {
		h.LastError = s.lastError.Error()
	}
}
