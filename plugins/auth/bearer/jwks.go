package bearer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
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

func (s *jwks) health(h *IssuerHealth) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h.fill(s.set.Load())
	h.AttemptedAt = s.attempted
	if s.lastError != nil {
		h.LastError = s.lastError.Error()
	}
}
