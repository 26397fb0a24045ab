// Package keys makes, changes, rotates and revokes API keys, for operators and for
// owners. No request passes here: package apikey judges the keys that requests bring.
package keys

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/auth/apikey"
)

// Store keeps the records. What each method promises is said where the gateway's
// store is defined.
type Store interface {
	Key(ctx context.Context, id string) (plugins.APIKey, error)
	Keys(ctx context.Context, filter plugins.KeyFilter) ([]plugins.APIKey, error)
	CreateKey(ctx context.Context, key plugins.APIKey) error
	CreateOwnKey(ctx context.Context, key plugins.APIKey, epoch int64, most int) error
	UpdateKey(ctx context.Context, id string, change func(*plugins.APIKey) error) (plugins.APIKey, error)
	UpdateOwnKey(ctx context.Context, id string, epoch int64, change func(*plugins.APIKey) error) (plugins.APIKey, error)
	RotateKey(ctx context.Context, id string, next plugins.APIKey, oldEnds time.Time) error
	RotateOwnKey(ctx context.Context, id string, next func(old plugins.APIKey) (plugins.APIKey, error), oldEnds time.Time, epoch int64, most int) error
}

// Event is a change of a key that has been kept.
type Event struct {
	Kind EventKind
	Key  plugins.APIKey
	// Replaces is the id of the key that a rotation puts Key in the place of, and Grace
	// how long that one goes on working.
	Replaces string
	Grace    time.Duration
}

// An EventKind says what happened to a key.
type EventKind int

// The kinds of event.
const (
	Created EventKind = iota
	Rotated
	Revoked
)

// Config is what a Service needs.
type Config struct {
	Store Store
	// Peppers hash the keys that are made.
	Peppers func(ctx context.Context) (*apikey.Peppers, error)
	// Check says what is wrong with a `role` or a `tier`; empty for nothing.
	Check func(field, value string) string
	// CheckLimits says what is wrong with the limits of a key.
	CheckLimits func(limits []string) error
	// ParseDuration reads a duration such as 90d.
	ParseDuration func(text string) (time.Duration, error)
	// Invalidate forgets what is remembered of keys, whether a change was kept or not.
	Invalidate func(ids ...string)
	// Notify hears of each change that was kept.
	Notify func(Event)
	// Clock is time.Now where nil.
	Clock plugins.Clock
}

// Service makes and changes API keys. An error is a *plugins.InputError, one of the
// store's, one of KeyHolder.Covers, or a failure. It is safe for concurrent use.
type Service struct{ config Config }

// New makes a service.
func New(c Config) *Service {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	return &Service{c}
}

// now is the time in whole seconds.
func (s *Service) now() time.Time { return s.config.Clock().UTC().Truncate(time.Second) }

// Key returns a record.
func (s *Service) Key(ctx context.Context, id string) (plugins.APIKey, error) {
	return s.config.Store.Key(ctx, id)
}

// OfOwner lists the keys of an owner, only those that work unless all are wanted.
func (s *Service) OfOwner(ctx context.Context, owner string, all bool) ([]plugins.APIKey, error) {
	found, err := s.config.Store.Keys(ctx, plugins.KeyFilter{Owner: owner})
	if err != nil {
		return nil, err
	}
	now := s.config.Clock()
	list := make([]plugins.APIKey, 0, len(found))
	for _, key := range found {
		if all || key.Works(now) {
			list = append(list, key)
		}
	}
	return list, nil
}

// Create makes a key and returns it with its record, which never shows it again. By
// is the owner who asks; nil for an operator.
func (s *Service) Create(ctx context.Context, in plugins.KeyInput, by *plugins.KeyHolder) (plugins.APIKey, plugins.Secret, error) {
	fail := func(err error) (plugins.APIKey, plugins.Secret, error) {
		return plugins.APIKey{}, plugins.Secret{}, err
	}
	if in.Owner == nil {
		return fail(&plugins.InputError{Field: "owner", Text: "field required"})
	}
	// An owner has the name that their credential gives them.
	if by == nil {
		if err := plugins.CheckText("owner", *in.Owner, 1, 256); err != nil {
			return fail(err)
		}
	}
	key := plugins.APIKey{Owner: *in.Owner, CreatedAt: s.now()}
	if err := s.apply(in, &key); err != nil {
		return fail(err)
	}
	if by != nil {
		if later(key.ExpiresAt, by.Until) {
			key.ExpiresAt = by.Until
		}
		if err := by.Covers(key); err != nil {
			return fail(err)
		}
	}
	peppers, err := s.config.Peppers(ctx)
	if err != nil {
		return fail(err)
	}
	secret, err := generate(&key, peppers, !in.Test)
	if err != nil {
		return fail(err)
	}
	if by == nil {
		err = s.config.Store.CreateKey(ctx, key)
	} else {
		err = s.config.Store.CreateOwnKey(ctx, key, by.Epoch, by.Most)
	}
	if err != nil {
		return fail(err)
	}
	// The key may be remembered as unknown.
	s.config.Invalidate(key.ID)
	s.config.Notify(Event{Kind: Created, Key: key})
	return key, secret, nil
}

// generate gives a record a new id, key and hash.
func generate(key *plugins.APIKey, peppers *apikey.Peppers, live bool) (plugins.Secret, error) {
	secret, err := apikey.Generate(live, nil)
	if err != nil {
		return plugins.Secret{}, err
	}
	if key.ID, err = apikey.NewID(); err != nil {
		return plugins.Secret{}, err
	}
	hash := peppers.Sum(secret.Reveal())
	key.Hash, key.PepperVersion = hash[:], peppers.Version()
	key.Prefix = apikey.DisplayPrefix(secret.Reveal())
	return secret, nil
}

// Update changes a key, but not its owner. An owner who prolongs a key gets it anew: it
// may grant no more than the owner has now, and must still work.
func (s *Service) Update(ctx context.Context, id string, in plugins.KeyInput, by *plugins.KeyHolder) (key plugins.APIKey, err error) {
	if in.Owner != nil {
		return key, &plugins.InputError{Field: "owner", Text: "can't be changed: revoke the key and make one for the other owner"}
	}
	change := func(k *plugins.APIKey) error {
		if !k.RevokedAt.IsZero() {
			return fmt.Errorf("%w: the key is revoked", plugins.ErrConflict)
		}
		was := *k
		if err := s.apply(in, k); err != nil || by == nil || !later(k.ExpiresAt, was.ExpiresAt) {
			return err
		}
		return s.prolong(was, k, by)
	}
	if by == nil {
		key, err = s.config.Store.UpdateKey(ctx, id, change)
	} else {
		key, err = s.config.Store.UpdateOwnKey(ctx, id, by.Epoch, change)
	}
	s.config.Invalidate(id)
	return key, err
}

// prolong lets an owner set a later end of a key.
func (s *Service) prolong(was plugins.APIKey, k *plugins.APIKey, by *plugins.KeyHolder) error {
	switch {
	case was.ReplacedBy != "":
		return fmt.Errorf("%w: the key is rotated, another has its place", plugins.ErrConflict)
	case !was.Works(s.config.Clock()):
		return fmt.Errorf("%w: the key is expired", plugins.ErrConflict)
	}
	if later(k.ExpiresAt, by.Until) {
		if k.ExpiresAt = by.Until; later(was.ExpiresAt, by.Until) {
			k.ExpiresAt = was.ExpiresAt
		}
	}
	return by.Covers(*k)
}

// later reports whether an end is after a bound. A zero end is never, a zero bound is
// none, after which nothing is later.
func later(end, than time.Time) bool {
	return !than.IsZero() && (end.IsZero() || end.After(than))
}

// Revoke ends a key at once. A key that is revoked already stays as it is.
func (s *Service) Revoke(ctx context.Context, id string) (plugins.APIKey, error) {
	ended := false
	key, err := s.config.Store.UpdateKey(ctx, id, func(k *plugins.APIKey) error {
		if ended = k.RevokedAt.IsZero(); ended {
			k.RevokedAt = s.now()
		}
		return nil
	})
	s.config.Invalidate(id)
	if err == nil && ended {
		s.config.Notify(Event{Kind: Revoked, Key: key})
	}
	return key, err
}

// DefaultGrace is how long a rotated key goes on working unless asked otherwise.
const DefaultGrace = "24h"

const maxGrace = 365 * 24 * time.Hour

// Rotate makes a key that takes the place of another. Both work until the grace ends,
// a duration such as 24h or nil for DefaultGrace, the old one never past its own end.
// The new key lives as long as the old one was meant to.
func (s *Service) Rotate(ctx context.Context, id string, grace *string, by *plugins.KeyHolder) (next plugins.APIKey, secret plugins.Secret, err error) {
	text := DefaultGrace
	if grace != nil {
		text = *grace
	}
	lasts, err := s.config.ParseDuration(text)
	if err != nil || lasts < 0 || lasts > maxGrace {
		return next, secret, &plugins.InputError{Field: "grace", Text: "is not a duration of up to 365d: write one like 24h, or 0s"}
	}
	peppers, err := s.config.Peppers(ctx)
	if err != nil {
		return next, secret, err
	}
	now := s.now()
	succeed := func(old plugins.APIKey) (_ plugins.APIKey, err error) {
		next = old
		next.CreatedAt, next.LastUsedAt, next.ReplacedBy = now, time.Time{}, ""
		if !old.ExpiresAt.IsZero() {
			next.ExpiresAt = now.Add(old.ExpiresAt.Sub(old.CreatedAt))
		}
		if by != nil {
			if later(next.ExpiresAt, by.Until) {
				next.ExpiresAt = by.Until
			}
			if err := by.Covers(next); err != nil {
				return next, err
			}
		}
		secret, err = generate(&next, peppers, !strings.HasPrefix(old.Prefix, apikey.PrefixTest))
		return next, err
	}
	if by != nil {
		err = s.config.Store.RotateOwnKey(ctx, id, succeed, now.Add(lasts), by.Epoch, 2*by.Most)
	} else {
		var old plugins.APIKey
		if old, err = s.config.Store.Key(ctx, id); err == nil {
			if _, err = succeed(old); err == nil {
				err = s.config.Store.RotateKey(ctx, id, next, now.Add(lasts))
			}
		}
	}
	s.config.Invalidate(id, next.ID)
	if err != nil {
		return plugins.APIKey{}, plugins.Secret{}, err
	}
	s.config.Notify(Event{Kind: Rotated, Key: next, Replaces: id, Grace: lasts})
	return next, secret, nil
}
