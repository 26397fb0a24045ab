package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/accounts"
	"github.com/ainative/portcullis/plugins/auth/bearer/mint"
	"github.com/ainative/portcullis/plugins/ratelimit"
	"github.com/ainative/portcullis/plugins/store"
)

// accountStore is the store as package accounts knows it.
type accountStore struct{ records *records }

// inStore asks the store, and says what it answers in the words of accounts.
func inStore[T any](ctx context.Context, s accountStore, ask func(store.Store) (T, error)) (T, error) {
	o, err := s.records.open(ctx)
	if err != nil {
		var none T
		return none, err
	}
	found, err := ask(o.store)
	for _, pair := range [][2]error{
		{store.ErrNotFound, accounts.ErrNotFound},
		{store.ErrExists, accounts.ErrExists},
		{store.ErrConflict, accounts.ErrConflict},
		{store.ErrReplayed, accounts.ErrReplayed},
	} {
		if errors.Is(err, pair[0]) {
			return found, fmt.Errorf("%w: %w", pair[1], err)
		}
	}
	return found, err
}

func (s accountStore) CreateUser(ctx context.Context, u plugins.User) error {
	_, err := inStore(ctx, s, func(o store.Store) (struct{}, error) { return struct{}{}, o.CreateUser(ctx, u) })
	return err
}

func (s accountStore) User(ctx context.Context, id string) (plugins.User, error) {
	return inStore(ctx, s, func(o store.Store) (plugins.User, error) { return o.User(ctx, id) })
}

func (s accountStore) UserByEmail(ctx context.Context, email string) (plugins.User, error) {
	return inStore(ctx, s, func(o store.Store) (plugins.User, error) { return o.UserByEmail(ctx, email) })
}

func (s accountStore) UpdateUser(ctx context.Context, id string, change plugins.UserChange) (plugins.User, error) {
	return inStore(ctx, s, func(o store.Store) (plugins.User, error) { return o.UpdateUser(ctx, id, change) })
}

func (s accountStore) StartFamily(ctx context.Context, f plugins.TokenFamily, epoch int64) error {
	_, err := inStore(ctx, s, func(o store.Store) (struct{}, error) { return struct{}{}, o.StartFamily(ctx, f, epoch) })
	return err
}

func (s accountStore) Family(ctx context.Context, id string) (plugins.TokenFamily, error) {
	return inStore(ctx, s, func(o store.Store) (plugins.TokenFamily, error) { return o.Family(ctx, id) })
}

func (s accountStore) RenewFamily(ctx context.Context, r plugins.Renewal) (plugins.TokenFamily, error) {
	return inStore(ctx, s, func(o store.Store) (plugins.TokenFamily, error) { return o.RenewFamily(ctx, r) })
}

func (s accountStore) EndFamily(ctx context.Context, id string, ends plugins.Revocation) (plugins.TokenFamily, error) {
	return inStore(ctx, s, func(o store.Store) (plugins.TokenFamily, error) { return o.EndFamily(ctx, id, ends) })
}

func (s accountStore) Revoke(ctx context.Context, r plugins.Revocation) error {
	_, err := inStore(ctx, s, func(o store.Store) (struct{}, error) { return struct{}{}, o.Revoke(ctx, r) })
	return err
}

// accountSigner is an issuer's signer as package accounts knows it.
type accountSigner struct{ *mint.Signer }

// Sign implements accounts.Signer.
func (s accountSigner) Sign(t accounts.Token) (string, error) {
	return s.Signer.Sign(mint.AccessToken(t))
}

// accountThrottle counts attempts in a zone of their own.
type accountThrottle struct {
	limiter ratelimit.Limiter
	limits  []ratelimit.Limit
}

// accountsZone counts attempts at accounts, apart from every limit of the config.
const accountsZone = "\x00accounts"

// Take implements accounts.Throttle.
func (t accountThrottle) Take(ctx context.Context, kind, subject string) (time.Duration, error) {
	if len(t.limits) == 0 {
		return 0, nil
	}
	d, err := t.limiter.Take(ctx, ratelimit.NewKey(accountsZone, kind, subject), t.limits, 1, nil)
	if err != nil || d.Allowed {
		return 0, err
	}
	return max(d.RetryAfter, time.Nanosecond), nil
}

// hasher is the pooled hasher: what passwords may cost is a matter of the process.
type hasher struct{ *accounts.Hasher }

// Destruct has nothing to release.
func (hasher) Destruct() error { return nil }

func acquireHasher() (*accounts.Hasher, releaser, error) {
	h, release, err := acquire(poolKey{"hasher", ""}, func() (hasher, error) {
		return hasher{accounts.NewHasher(accounts.HasherOptions{})}, nil
	})
	return h.Hasher, release, err
}

// accountsConfig is what every service of accounts needs of the app.
func (a *App) accountsConfig(h *accounts.Hasher) accounts.Config {
	return accounts.Config{
		Store: accountStore{a.records}, Hasher: h, Rights: a.hierarchy,
		Revoked: a.records.revoked.Add, Keys: a.records.recheck, Audit: a.records.audit,
		AllKept: a.revocationsKept(), DefaultRole: a.DefaultRole, DefaultTier: a.DefaultTier, DefaultKeyRole: a.DefaultRole,
	}
}

// audit writes a line of the audit trail. A trail that can't be written is logged:
// the change has been made and must not look as if it had not.
func (r *records) audit(ctx context.Context, e accounts.Entry) {
	// What was done is told even if who asked for it has gone.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	o, err := r.open(ctx)
	if err == nil {
		err = o.store.AppendAudit(ctx, store.AuditEntry{
			At: time.Now().UTC().Truncate(time.Second), Actor: clip(e.Actor, 256), Action: e.Action, Target: clip(e.Target, 256),
			From: clip(e.From, 64), Result: clip(e.Result, 200),
		})
	}
	if err != nil {
		poolLog("audit").Error("writing the audit trail", zap.String("action", e.Action), zap.String("target", e.Target), zap.Error(err))
	}
}
