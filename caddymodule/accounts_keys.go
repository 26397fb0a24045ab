package caddymodule

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/ainative/portcullis/caddymodule/adminapi"
	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/accounts"
	"github.com/ainative/portcullis/plugins/store"
)

// ownKeys is what serves an owner's keys.
type ownKeys struct {
	*keyService
	owner accounts.Owner
}

// withKeys finds the caller's account and keys and serves the request.
func (c *accountCall) withKeys(serve func(ctx context.Context, k ownKeys) error) error {
	return c.charged(func(p *plugins.Principal) error {
		ctx := c.r.Context()
		owner, refusal, err := c.service.OwnerOf(ctx, p)
		if refusal != nil || err != nil {
			return c.end(refusal, err)
		}
		o, err := c.app.records.open(ctx)
		if err != nil {
			return c.keyError(err)
		}
		return serve(ctx, ownKeys{&keyService{c.app, o, time.Now}, owner})
	})
}

// own finds the key of the path, if it is the caller's.
func (c *accountCall) own(ctx context.Context, k ownKeys) (plugins.APIKey, *accounts.Refusal, error) {
	key, err := k.records.store.Key(ctx, c.id)
	if errors.Is(err, store.ErrNotFound) {
		return key, accounts.NoKey(), nil
	}
	if err != nil {
		return key, nil, err
	}
	return key, k.owner.Owns(key), nil
}

// keyError answers for what the store or the key service says.
func (c *accountCall) keyError(err error) error {
	switch bad, isInput := errors.AsType[*inputError](err); {
	case isInput:
		return c.end(accounts.Wrong(accounts.Field{Loc: []any{"body", bad.field}, Msg: bad.text, Type: "value_error"}), nil)
	case errors.Is(err, store.ErrNotFound):
		return c.end(accounts.NoKey(), nil)
	case errors.Is(err, store.ErrTooMany):
		return c.end(accounts.TooManyKeys("keys_per_owner "+strconv.Itoa(c.KeysPerOwner)), nil)
	case errors.Is(err, store.ErrConflict):
		return c.end(accounts.KeyState(err.Error()), nil)
	}
	return c.end(nil, &plugins.Unavailable{Reason: plugins.ReasonStoreUnavailable, Err: err})
}

func (c *accountCall) audited(k ownKeys, action, target, result string) {
	c.app.records.audit(c.r.Context(), accounts.Entry{
		Actor: k.owner.Principal.Subject, Action: action, Target: target, From: c.origin().Address, Result: result,
	})
}

// listKeys lists the keys that work; ?all=true those that do not any more too.
func (c *accountCall) listKeys() error {
	return c.withKeys(func(ctx context.Context, k ownKeys) error {
		keys, err := k.records.store.Keys(ctx, store.KeyFilter{Owner: k.owner.Principal.Subject})
		if err != nil {
			return c.keyError(err)
		}
		all := c.r.URL.Query().Get("all") == "true"
		list := make([]keyJSON, 0, len(keys))
		for _, key := range keys {
			if all || works(key, k.now()) {
				list = append(list, showKey(key))
			}
		}
		return c.answer(http.StatusOK, list)
	})
}

// works reports whether a key is taken at this time.
func works(key plugins.APIKey, now time.Time) bool {
	return key.RevokedAt.IsZero() && (key.ExpiresAt.IsZero() || key.ExpiresAt.After(now))
}

func (c *accountCall) createKey() error {
	return c.withKeys(func(ctx context.Context, k ownKeys) error {
		b, ok, err := c.body(accounts.ParseJSON)
		if !ok {
			return err
		}
		order, refusal := c.service.NewKey(k.owner, b)
		if refusal != nil {
			return c.end(refusal, nil)
		}
		in := inputOf(order)
		if tier := k.owner.Tier(); c.app.tiers[tier] != nil {
			in.Tier = &tier
		}
		key, secret, err := k.createOwn(ctx, k.owner, in, c.KeysPerOwner)
		if err != nil {
			c.audited(k, "key.create", k.owner.Principal.Subject, resultOf(err))
			return c.keyError(err)
		}
		c.audited(k, "key.create", key.ID, "ok")
		shown := showKey(key)
		shown.APIKey = secret.Reveal()
		return c.answer(http.StatusCreated, shown)
	})
}

func inputOf(order accounts.KeyOrder) keyInput {
	return keyInput{Name: order.Name, Role: order.Role, Scopes: order.Scopes, ExpiresInDays: order.ExpiresInDays, ExpiresAt: order.ExpiresAt}
}

// createOwn is create for an owner who asks for it.
func (s *keyService) createOwn(ctx context.Context, owner accounts.Owner, in keyInput, most int) (plugins.APIKey, plugins.Secret, error) {
	return s.add(owner.Principal.Subject, in, func(key plugins.APIKey) error {
		return s.records.store.CreateOwnKey(ctx, key, owner.User.Epoch, most)
	})
}

func (c *accountCall) showKey() error {
	return c.withKeys(func(ctx context.Context, k ownKeys) error {
		key, refusal, err := c.own(ctx, k)
		switch {
		case err != nil:
			return c.keyError(err)
		case refusal != nil:
			return c.end(refusal, nil)
		}
		return c.answer(http.StatusOK, showKey(key))
	})
}

func (c *accountCall) changeKey() error {
	return c.withKeys(func(ctx context.Context, k ownKeys) error {
		key, refusal, err := c.own(ctx, k)
		switch {
		case err != nil:
			return c.keyError(err)
		case refusal != nil:
			return c.end(refusal, nil)
		}
		b, ok, err := c.body(accounts.ParseJSON)
		if !ok {
			return err
		}
		order, refusal := c.service.KeyChange(k.owner, b)
		if refusal != nil {
			c.audited(k, "key.update", key.ID, string(refusal.Denial.Reason))
			return c.end(refusal, nil)
		}
		changed, err := k.update(ctx, key.ID, inputOf(order))
		if err == nil {
			refusal, err = c.held(ctx, k, changed)
		}
		c.audited(k, "key.update", key.ID, heldResult(refusal, err))
		switch {
		case err != nil:
			return c.keyError(err)
		case refusal != nil:
			return c.end(refusal, nil)
		}
		return c.answer(http.StatusOK, showKey(changed))
	})
}

// held makes sure that a key that was just written grants no more than its owner
// has: the owner may have lost rights since they were looked up, and then the key
// was not among those that lost them too. Such a key is revoked.
func (c *accountCall) held(ctx context.Context, k ownKeys, key plugins.APIKey) (*accounts.Refusal, error) {
	if k.owner.User.ID == "" {
		return nil, nil
	}
	now, refusal, err := c.service.OwnerOf(ctx, k.owner.Principal)
	if err != nil {
		return nil, err
	}
	if refusal == nil && now.User.Epoch == k.owner.User.Epoch {
		return nil, nil
	}
	if _, err := k.revoke(ctx, key.ID); err != nil {
		return nil, err
	}
	return accounts.Changed(), nil
}

// heldResult is what the audit trail says of a key that was written: that it was
// revoked again is not ok.
func heldResult(refusal *accounts.Refusal, err error) string {
	if err == nil && refusal != nil {
		return string(refusal.Denial.Reason)
	}
	return resultOf(err)
}

func (c *accountCall) revokeKey() error {
	return c.withKeys(func(ctx context.Context, k ownKeys) error {
		key, refusal, err := c.own(ctx, k)
		if err == nil && refusal == nil {
			refusal = k.owner.Changes()
		}
		switch {
		case err != nil:
			return c.keyError(err)
		case refusal != nil:
			return c.end(refusal, nil)
		}
		revoked, err := k.revoke(ctx, key.ID)
		c.audited(k, "key.revoke", key.ID, resultOf(err))
		if err != nil {
			return c.keyError(err)
		}
		return c.answer(http.StatusOK, showKey(revoked))
	})
}

func (c *accountCall) rotateKey() error {
	return c.withKeys(func(ctx context.Context, k ownKeys) error {
		key, refusal, err := c.own(ctx, k)
		if err == nil && refusal == nil {
			if refusal = k.owner.Changes(); refusal == nil {
				refusal = c.service.Covers(k.owner, key)
			}
		}
		switch {
		case err != nil:
			return c.keyError(err)
		case refusal != nil:
			return c.end(refusal, nil)
		}
		b, ok, err := c.optionalBody()
		if !ok {
			return err
		}
		grace, err := graceOf(b)
		if err != nil {
			return c.keyError(err)
		}
		if refusal := b.Refusal(); refusal != nil {
			return c.end(refusal, nil)
		}
		if err := c.roomToRotate(ctx, k); err != nil {
			return c.keyError(err)
		}
		next, secret, err := k.rotate(ctx, key.ID, grace)
		if err == nil {
			refusal, err = c.held(ctx, k, next)
		}
		c.audited(k, "key.rotate", key.ID, heldResult(refusal, err))
		switch {
		case err != nil:
			return c.keyError(err)
		case refusal != nil:
			return c.end(refusal, nil)
		}
		shown := showKey(next)
		shown.APIKey = secret.Reveal()
		return c.answer(http.StatusCreated, shown)
	})
}

// roomToRotate bounds the keys that work on for their grace beside those in their
// place: together they are twice as many as an owner may have, at most.
func (c *accountCall) roomToRotate(ctx context.Context, k ownKeys) error {
	keys, err := k.records.store.Keys(ctx, store.KeyFilter{Owner: k.owner.Principal.Subject})
	if err != nil {
		return err
	}
	active := 0
	for _, key := range keys {
		if works(key, k.now()) {
			active++
		}
	}
	if active >= 2*c.KeysPerOwner {
		return store.ErrTooMany
	}
	return nil
}

// graceOf reads how long the old key goes on working.
func graceOf(b *accounts.Body) (time.Duration, error) {
	text, given := b.OptionalText("grace")
	if !given {
		text = adminapi.DefaultGrace
	}
	return parseGrace(text)
}

// parseGrace reads a grace as the admin API and the accounts take it.
func parseGrace(text string) (time.Duration, error) {
	grace, err := caddy.ParseDuration(text)
	if err != nil || grace < 0 || grace > 365*24*time.Hour {
		return 0, &inputError{"grace", "is not a duration of up to 365d: write one like 24h, or 0s"}
	}
	return grace, nil
}

// resultOf is how something ended, for the audit trail.
func resultOf(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, store.ErrTooMany):
		return string(plugins.ReasonTooManyKeys)
	}
	return err.Error()
}
