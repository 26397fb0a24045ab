package bearer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/MicahParks/jwkset"
)

// storageTimeout bounds one read or write of the storage.
const storageTimeout = 5 * time.Second

// storedKeys is the last good set of a JWKS issuer, as it is kept across
// restarts. It holds public keys only.
type storedKeys struct {
	// Source is the configured URL. A set of another URL is not used.
	Source  string              `json:"source"`
	Fetched time.Time           `json:"fetched"`
	Keys    []jwkset.JWKMarshal `json:"keys"`
}

// storageKey depends on where the keys come from and not on the issuer's name:
// renaming keeps them, another URL never finds them.
func (s *jwks) storageKey() string {
	sum := sha256.Sum256([]byte(s.location()))
	return "jwks/" + hex.EncodeToString(sum[:16]) + ".json"
}

// restore reads the stored set, which then counts from when it was fetched. What
// is stored passes every check that a fetched set passes.
func (s *jwks) restore(ctx context.Context) {
	if s.env.storage == nil {
		return
	}
	read, fetched, err := s.loadStored(ctx)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) && ctx.Err() == nil {
			s.env.log(Event{Kind: EventStorageFailed, Issuer: s.issuer, Err: err})
		}
		return
	}
	s.mu.Lock()
	restored := s.set.Load() == nil
	if restored {
		s.install(read, fetched)
		s.saved = fetched
	}
	s.mu.Unlock()
	if restored {
		s.announce(EventKeysRestored, read)
	}
}

func (s *jwks) loadStored(ctx context.Context) (*readKeys, time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, storageTimeout)
	defer cancel()
	data, err := s.env.storage.Load(ctx, s.storageKey())
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("loading stored keys: %w", err)
	}
	var stored storedKeys
	if err := json.Unmarshal(data, &stored); err != nil {
		return nil, time.Time{}, fmt.Errorf("parsing stored keys: %w", err)
	}
	if stored.Source != s.location() {
		return nil, time.Time{}, fmt.Errorf("stored keys are of %s", quote(stored.Source))
	}
	age := s.env.clock().Sub(stored.Fetched)
	if age >= s.maxStale || age < -MaxLeeway {
		return nil, time.Time{}, fmt.Errorf("stored keys are of %s: %w", stamp(stored.Fetched), fs.ErrNotExist)
	}
	read, err := readJWKS(data, s.algorithms)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("reading stored keys: %w", err)
	}
	return read, stored.Fetched, nil
}

// save stores the current set if that is due.
func (s *jwks) save(ctx context.Context) {
	s.mu.Lock()
	set, due := s.set.Load(), s.unsaved
	stored := storedKeys{Source: s.location(), Keys: s.public}
	s.mu.Unlock()
	if s.env.storage == nil || !due {
		return
	}
	stored.Fetched = set.fetched
	// Strings and a time always marshal.
	data, _ := json.Marshal(stored)
	ctx, cancel := context.WithTimeout(ctx, storageTimeout)
	defer cancel()
	if err := s.env.storage.Store(ctx, s.storageKey(), data); err != nil {
		s.env.log(Event{Kind: EventStorageFailed, Issuer: s.issuer, Err: fmt.Errorf("storing keys: %w", err)})
		return
	}
	s.mu.Lock()
	s.saved = stored.Fetched
	if s.set.Load() == set {
		s.unsaved = false
	}
	s.mu.Unlock()
}
