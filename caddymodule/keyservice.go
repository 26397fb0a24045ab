package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/auth/apikey"
	"github.com/ainative/portcullis/plugins/store"
)

// inputError is a mistake of who asks the admin API: 422, with the field.
type inputError struct {
	field string
	text  string
}

func (e *inputError) Error() string { return e.field + ": " + e.text }

func showKey(k plugins.APIKey) keyJSON {
	return keyJSON{
		ID: k.ID, Owner: k.Owner, Name: k.Name, Prefix: k.Prefix,
		Role: orNull(k.Role), Tier: orNull(k.Tier),
		Scopes: orEmpty(k.Scopes), IPAllow: orEmpty(k.IPAllow), Limits: orEmpty(k.Limits),
		CreatedAt: timeOrNull(k.CreatedAt), ExpiresAt: timeOrNull(k.ExpiresAt),
		LastUsedAt: timeOrNull(k.LastUsedAt), RevokedAt: timeOrNull(k.RevokedAt),
		ReplacedBy: orNull(k.ReplacedBy),
	}
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

func timeOrNull(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	return orNull(t.UTC().Format(time.RFC3339))
}

// keyService makes and changes API keys for the admin API.
type keyService struct {
	app     *App
	records *openRecords
	now     func() time.Time
}

// create makes a key and returns it with its record, which never shows it again.
func (s *keyService) create(ctx context.Context, in keyInput) (plugins.APIKey, plugins.Secret, error) {
	if in.Owner == nil {
		return plugins.APIKey{}, plugins.Secret{}, &inputError{"owner", "field required"}
	}
	if err := checkText("owner", *in.Owner, 1, 256); err != nil {
		return plugins.APIKey{}, plugins.Secret{}, err
	}
	return s.add(*in.Owner, in, func(key plugins.APIKey) error { return s.records.store.CreateKey(ctx, key) })
}

// add makes a key of an owner and lets keep write its record.
func (s *keyService) add(owner string, in keyInput, keep func(plugins.APIKey) error) (plugins.APIKey, plugins.Secret, error) {
	key := plugins.APIKey{Owner: owner, CreatedAt: s.now().UTC().Truncate(time.Second)}
	if err := s.apply(in, &key); err != nil {
		return key, plugins.Secret{}, err
	}
	secret, err := s.generate(&key, !in.Test)
	if err != nil {
		return key, secret, err
	}
	if err := keep(key); err != nil {
		return key, plugins.Secret{}, err
	}
	s.app.records.invalidate(key.ID)
	s.app.keyEvent(eventKeyCreated, key, nil)
	return key, secret, nil
}

// generate gives a record a new id, key and hash.
func (s *keyService) generate(key *plugins.APIKey, live bool) (plugins.Secret, error) {
	made, err := s.app.keys.open(context.Background())
	if err != nil {
		return plugins.Secret{}, err
	}
	secret, err := apikey.Generate(live, nil)
	if err != nil {
		return plugins.Secret{}, err
	}
	if key.ID, err = apikey.NewID(); err != nil {
		return plugins.Secret{}, err
	}
	hash := made.peppers.Sum(secret.Reveal())
	key.Hash = hash[:]
	key.PepperVersion = made.peppers.Version()
	key.Prefix = apikey.DisplayPrefix(secret.Reveal())
	return secret, nil
}

// apply checks what is given and writes it into the record.
func (s *keyService) apply(in keyInput, key *plugins.APIKey) error {
	if in.Name != nil {
		if err := checkText("name", *in.Name, 0, 256); err != nil {
			return err
		}
		key.Name = *in.Name
	}
	if in.Role != nil {
		if *in.Role != "" && !s.app.hierarchy.Knows(*in.Role) {
			return &inputError{"role", fmt.Sprintf("unknown role %s: use one of %s", *in.Role, strings.Join(s.app.hierarchy.Names(), ", "))}
		}
		key.Role = *in.Role
	}
	if in.Tier != nil {
		if *in.Tier != "" && s.app.tiers[*in.Tier] == nil {
			return &inputError{"tier", fmt.Sprintf("unknown tier %s: use one of %s", *in.Tier, strings.Join(s.app.tierNames(), ", "))}
		}
		key.Tier = *in.Tier
	}
	if in.Scopes != nil {
		if err := checkScopes(*in.Scopes); err != nil {
			return err
		}
		key.Scopes = *in.Scopes
	}
	if in.IPAllow != nil {
		if _, err := apikey.ParseIPAllow(*in.IPAllow); err != nil {
			return &inputError{"ip_allow", err.Error()}
		}
		key.IPAllow = *in.IPAllow
	}
	if in.Limits != nil {
		if len(*in.Limits) != 0 {
			if _, err := parsePolicy("key", *in.Limits, 0); err != nil {
				return &inputError{"limits", err.Error()}
			}
		}
		key.Limits = *in.Limits
	}
	return s.applyExpiry(in, key)
}

func (s *keyService) applyExpiry(in keyInput, key *plugins.APIKey) error {
	given := 0
	now := s.now().UTC().Truncate(time.Second)
	if in.Expires != nil {
		given++
		switch text := *in.Expires; text {
		case "never", "":
			key.ExpiresAt = time.Time{}
		default:
			lifetime, err := caddy.ParseDuration(text)
			if err != nil || lifetime <= 0 {
				return &inputError{"expires", fmt.Sprintf("%q is not a duration: write one like 90d or 12h, or never", clip(text, 40))}
			}
			key.ExpiresAt = now.Add(lifetime)
		}
	}
	if in.ExpiresInDays != nil {
		given++
		if days := *in.ExpiresInDays; days < 1 || days > 36500 {
			return &inputError{"expires_in_days", "write a whole number from 1 to 36500"}
		}
		key.ExpiresAt = now.AddDate(0, 0, *in.ExpiresInDays)
	}
	if in.ExpiresAt != nil {
		given++
		key.ExpiresAt = in.ExpiresAt.UTC().Truncate(time.Second)
		if !key.ExpiresAt.After(now) {
			return &inputError{"expires_at", "is not in the future"}
		}
	}
	if given > 1 {
		return &inputError{"expires_at", "give one of expires, expires_at and expires_in_days"}
	}
	return nil
}

// update changes a key; the owner can't be changed.
func (s *keyService) update(ctx context.Context, id string, in keyInput) (plugins.APIKey, error) {
	if in.Owner != nil {
		return plugins.APIKey{}, &inputError{"owner", "can't be changed: revoke the key and make one for the other owner"}
	}
	key, err := s.records.store.UpdateKey(ctx, id, func(k *plugins.APIKey) error {
		if !k.RevokedAt.IsZero() {
			return fmt.Errorf("%w: the key is revoked", store.ErrConflict)
		}
		return s.apply(in, k)
	})
	s.app.records.invalidate(id)
	return key, err
}

// revoke ends a key at once. A key that is revoked already stays as it is.
func (s *keyService) revoke(ctx context.Context, id string) (plugins.APIKey, error) {
	ended := false
	key, err := s.records.store.UpdateKey(ctx, id, func(k *plugins.APIKey) error {
		if ended = k.RevokedAt.IsZero(); ended {
			k.RevokedAt = s.now().UTC().Truncate(time.Second)
		}
		return nil
	})
	s.app.records.invalidate(id)
	if err == nil && ended {
		s.app.keyEvent(eventKeyRevoked, key, nil)
	}
	return key, err
}

// rotate makes a key that takes the place of another. Both work until the grace
// ends, the old one never past its own expiry.
func (s *keyService) rotate(ctx context.Context, id string, grace time.Duration) (plugins.APIKey, plugins.Secret, error) {
	old, err := s.records.store.Key(ctx, id)
	if err != nil {
		return old, plugins.Secret{}, err
	}
	now := s.now().UTC().Truncate(time.Second)
	next := old
	next.CreatedAt, next.LastUsedAt, next.ReplacedBy = now, time.Time{}, ""
	if !old.ExpiresAt.IsZero() {
		// The new key lives as long as the old one was meant to.
		next.ExpiresAt = now.Add(old.ExpiresAt.Sub(old.CreatedAt))
	}
	secret, err := s.generate(&next, !strings.HasPrefix(old.Prefix, apikey.PrefixTest))
	if err != nil {
		return next, secret, err
	}
	err = s.records.store.RotateKey(ctx, id, next, now.Add(grace))
	s.app.records.invalidate(id, next.ID)
	if err != nil {
		return next, plugins.Secret{}, err
	}
	s.app.keyEvent(eventKeyRotated, next, map[string]any{"replaces": id, "grace_seconds": int64(grace / time.Second)})
	return next, secret, nil
}

// checkText refuses what can't stand in a header, a log line or a terminal.
func checkText(field, text string, least, most int) error {
	switch {
	case len(text) < least:
		return &inputError{field, "must not be empty"}
	case len(text) > most:
		return &inputError{field, fmt.Sprintf("is longer than %d bytes", most)}
	case !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl):
		return &inputError{field, "has control characters or is not UTF-8"}
	case strings.TrimSpace(text) != text:
		return &inputError{field, "starts or ends with a space"}
	}
	return nil
}

// checkScopes holds scopes to RFC 6749 section 3.3.
func checkScopes(scopes []string) error {
	for _, scope := range scopes {
		bad := func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' || r == ',' }
		if scope == "" || len(scope) > 128 || strings.ContainsFunc(scope, bad) {
			return &inputError{"scopes", fmt.Sprintf("%q is no scope: use printable characters without spaces, commas and quotes", clip(scope, 40))}
		}
	}
	return nil
}

// errNotRunning is the answer where the gateway app is not configured.
var errNotRunning = errors.New("the running configuration has no gateway: add a gateway directive to a site, or the global gateway block")
