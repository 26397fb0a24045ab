package bearer

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

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
