package apikey

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/auth"
)

// ErrUnknown is what a Lookup answers when there is no such key. Any other error
// means that it could not tell.
var ErrUnknown = errors.New("unknown API key")

// Lookup finds records.
type Lookup interface {
	// KeyByHash returns the record with exactly this hash, or ErrUnknown. The bytes
	// are the caller's again when it returns.
	KeyByHash(ctx context.Context, hash []byte) (plugins.APIKey, error)
}

// Toucher hears of each use of a key, about once a second and key.
type Toucher interface {
	Touch(id string, at time.Time)
}

// Config is what a Scheme needs. Lookup and Peppers are required.
type Config struct {
	Lookup  Lookup
	Peppers *Peppers
	// DefaultRole is the role of a key that has none of its own; empty grants none.
	DefaultRole string
	// Foreign accepts imported keys in any format, at the price of a look-up for
	// each credential that could be one.
	Foreign bool
	Cache   CacheConfig
	// Clock is time.Now where nil.
	Clock plugins.Clock
	// Used hears of uses; may be nil.
	Used Toucher
}

// Scheme is the auth.Scheme of API keys.
//
// Whatever comes in the API key header is taken for a key. Behind `Bearer` it is
// one if it starts like one, or, with Foreign, if there is a record of it.
type Scheme struct {
	config  Config
	hashers []hasher
	cache   *cache
}

var _ auth.Scheme = (*Scheme)(nil)

// New makes a scheme. It starts no goroutine.
func New(config Config) (*Scheme, error) {
	if config.Lookup == nil || config.Peppers == nil {
		return nil, errors.New("making the API key scheme: it needs a look-up and a pepper")
	}
	if config.Clock == nil {
		config.Clock = time.Now
	}
	return &Scheme{config: config, hashers: config.Peppers.hashers(config.Foreign), cache: newCache(config.Cache)}, nil
}

// Name is plugins.SchemeAPIKey.
func (*Scheme) Name() string { return plugins.SchemeAPIKey }

// Authenticate implements auth.Scheme. The client can't tell the reasons of a
// refusal apart; a store that can't be asked is a *plugins.Unavailable unless the
// record was read not long ago.
func (s *Scheme) Authenticate(ctx context.Context, c auth.Credential) (*plugins.Principal, *plugins.Denial, error) {
	value := c.Value
	own := Recognised(value)
	// Else it is the gateway's only if there is a record of it.
	mine := own || c.Source == auth.FromKeyHeader

	if value == "" || len(value) > MaxLength {
		if !mine {
			return nil, nil, auth.ErrNotMine
		}
		return nil, auth.DenyKey(plugins.ReasonKeyMalformed, size(len(value)), "1 to "+size(MaxLength)), nil
	}
	form := Check(value)
	if form != nil && !s.config.Foreign {
		if !mine {
			return nil, nil, auth.ErrNotMine
		}
		return nil, denyForm(value, form), nil
	}

	now := s.config.Clock()
	e, err := s.find(ctx, value, now)
	switch {
	case err != nil:
		return nil, nil, &plugins.Unavailable{Reason: plugins.ReasonStoreUnavailable, Err: err}
	case e == nil && !mine:
		return nil, nil, auth.ErrNotMine
	case e == nil && own && form != nil:
		return nil, denyForm(value, form), nil
	case e == nil:
		return nil, auth.DenyKey(plugins.ReasonKeyUnknown, shown(value), ""), nil
	}
	if denial := e.admit(now, c.ClientIP); denial != nil {
		denial.Of = plugins.Evidence{KeyID: e.principal.KeyID, Owner: e.principal.Owner}
		return nil, denial, nil
	}
	if !c.DryRun {
		s.touch(e, now)
	}
	return e.principal, nil, nil
}

// Invalidate forgets the records with these ids, and every key that was unknown.
// Requests that begin after it returns see the store as it is. Call it after
// each change to a key, and after making one.
func (s *Scheme) Invalidate(ids ...string) {
	set := make(map[string]struct{}, len(ids))
	for _, id := range ids {
		set[id] = struct{}{}
	}
	s.cache.invalidate(set)
}

// Purge forgets all records.
func (s *Scheme) Purge() { s.cache.purge() }

// Suspect notes that another process may have changed any record: requests that
// begin after it returns are answered from none that was read before. Unlike Purge it
// leaves Confirm something to read again.
func (s *Scheme) Suspect() { s.cache.suspect() }

// Confirm reads the records again that Suspect made doubtful, those of keys that
// were used in the last CacheConfig.StaleTTL, many with one question. Where the
// store fails soon after a change, those are still there to answer from. Read
// returns the records that have one of the hashes, in any order.
func (s *Scheme) Confirm(ctx context.Context, read func(ctx context.Context, hashes [][]byte) ([]plugins.APIKey, error)) error {
	clock := func() int64 { return s.config.Clock().UnixNano() }
	return s.cache.confirm(clock, func(old []*entry) ([]*entry, error) {
		hashes := make([][]byte, len(old))
		for i, e := range old {
			hashes[i] = e.hash[:]
		}
		keys, err := read(ctx, hashes)
		if err != nil {
			return nil, fmt.Errorf("reading API keys again: %w", err)
		}
		byHash := make(map[Hash]plugins.APIKey, len(keys))
		for _, key := range keys {
			if len(key.Hash) == len(Hash{}) {
				byHash[Hash(key.Hash)] = key
			}
		}
		found := make([]*entry, len(old))
		for i, e := range old {
			if key, ok := byHash[e.hash]; ok && key.PepperVersion == e.pepperVersion {
				found[i] = newEntry(key, s.config.DefaultRole)
			}
		}
		return found, nil
	})
}

// Answers reports whether the cache has a key that it answers for while the store
// can't be asked.
func (s *Scheme) Answers() bool {
	now := s.config.Clock().UnixNano()
	for h, e := range s.cache.known.all() {
		if _, ok := s.cache.trusted(h); ok && younger(e.fetched, now, s.cache.config.StaleTTL) {
			return true
		}
	}
	return false
}

// Stats tells how the cache does.
type Stats struct {
	// Entries and Unknown are how many keys are remembered as good or as unknown.
	Entries, Unknown int
	// Hits counts the requests that were answered without the store, Lookups the
	// questions to it, Stale the requests that were answered from an old record
	// because the store failed.
	Hits, Lookups, Stale uint64
}

// Stats returns counts since the scheme was made.
func (s *Scheme) Stats() Stats {
	return Stats{
		Entries: s.cache.known.size(),
		Unknown: s.cache.unknown.size(),
		Hits:    s.cache.hits.Load(),
		Lookups: s.cache.lookups.Load(),
		Stale:   s.cache.stale.Load(),
	}
}

// find returns the record's entry, or none for an unknown key.
func (s *Scheme) find(ctx context.Context, value string, now time.Time) (*entry, error) {
	h := s.config.Peppers.Sum(value)
	at := now.UnixNano()
	e, found := s.cache.fresh(h, at)
	if found {
		s.cache.hits.Add(1)
	} else {
		var err error
		e, err = s.cache.load(ctx, h, at, func(ctx context.Context) (*entry, error) {
			return s.fetch(ctx, value)
		})
		if err != nil {
			return nil, err
		}
	}
	if second := now.Unix(); e != nil && e.seen.Load() != second {
		e.seen.Store(second)
	}
	return e, nil
}

// fetch asks the store for the key under each pepper in use.
func (s *Scheme) fetch(ctx context.Context, value string) (*entry, error) {
	for _, by := range s.hashers {
		h := by.sum(value)
		key, err := s.config.Lookup.KeyByHash(ctx, h[:])
		if errors.Is(err, ErrUnknown) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("looking up an API key: %w", err)
		}
		// The store is asked for equality and answered by an index; this is the
		// comparison that counts, and its time tells nothing. The version is part of
		// it so that the digest of one pepper can't pass for that of another.
		if subtle.ConstantTimeCompare(key.Hash, h[:]) != 1 || key.PepperVersion != by.version {
			continue
		}
		return newEntry(key, s.config.DefaultRole), nil
	}
	return nil, nil
}

// touch reports a use, once a second: the batch keeps whole seconds anyway.
func (s *Scheme) touch(e *entry, now time.Time) {
	if s.config.Used == nil {
		return
	}
	second := now.Unix()
	if e.used.Load() != second {
		// Two requests of one moment may both report it, which does no harm.
		e.used.Store(second)
		s.config.Used.Touch(e.principal.KeyID, now)
	}
}

func denyForm(value string, form error) *plugins.Denial {
	if errors.Is(form, ErrChecksum) {
		return auth.DenyKey(plugins.ReasonKeyChecksum, shown(value), "CRC-32 of the key")
	}
	return auth.DenyKey(plugins.ReasonKeyMalformed, shown(value), PrefixLive+" or "+PrefixTest+" and 38 characters")
}

// shown says what was sent without revealing it.
func shown(value string) string {
	if prefix := DisplayPrefix(value); prefix != "" {
		return prefix + ", " + size(len(value))
	}
	return size(len(value))
}

func size(n int) string { return strconv.Itoa(n) + " bytes" }
