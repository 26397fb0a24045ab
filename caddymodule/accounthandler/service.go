package accounthandler

import (
	"context"

	"github.com/ainative/portcullis/caddymodule/gateway"
	"github.com/ainative/portcullis/caddymodule/internal/pool"
	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/accounts"
	"github.com/ainative/portcullis/plugins/auth/bearer/mint"
	"github.com/ainative/portcullis/plugins/ratelimit"
	"github.com/ainative/portcullis/plugins/store"
)

// accountStore adapts the app's store, which is opened at the first use, to
// accounts.Store.
type accountStore struct{ app *gateway.App }

// inStore opens the store and asks it.
func inStore[T any](ctx context.Context, s accountStore, ask func(store.Store) (T, error)) (T, error) {
	opened, err := s.app.Store(ctx)
	if err != nil {
		var none T
		return none, err
	}
	return ask(opened)
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

// accountSigner adapts an issuer's signer to accounts.Signer.
type accountSigner struct{ *mint.Signer }

// Sign implements accounts.Signer.
func (s accountSigner) Sign(t accounts.Token) (string, error) {
	return s.Signer.Sign(mint.AccessToken(t))
}

// accountThrottle counts attempts in a zone of their own.
type accountThrottle struct{ ratelimit.Limiter }

// accountsZone counts attempts at accounts, apart from every limit of the config.
const accountsZone = "\x00accounts"

// Take implements accounts.Throttle.
func (t accountThrottle) Take(ctx context.Context, kind, subject string, rate accounts.Rate, cost int64) (accounts.Count, error) {
	d, err := t.Limiter.Take(ctx, ratelimit.NewKey(accountsZone, kind, subject), []ratelimit.Limit{ratelimit.Limit(rate)}, cost, nil)
	if err != nil {
		return accounts.Count{}, err
	}
	row := d.Rows[0]
	return accounts.Count{Allowed: d.Allowed, Left: row.Remaining, Wait: row.NextAfter}, nil
}

// acquireHasher acquires the hasher that all configurations of the process share, because
// it bounds what passwords cost the process.
func acquireHasher() (*accounts.Hasher, pool.Release) {
	return pool.AcquirePlain(pool.Key{Kind: "hasher", Name: ""}, func() *accounts.Hasher {
		return accounts.NewHasher(accounts.HasherOptions{})
	})
}

// serviceConfig is what the service of accounts needs from the app.
func serviceConfig(app *gateway.App, h *accounts.Hasher) accounts.Config {
	return accounts.Config{
		Store: accountStore{app}, Hasher: h, Rights: app.Hierarchy(),
		OpenKeys: func(ctx context.Context) (accounts.Keys, error) { return app.KeyService(ctx) },
		Check:    app.CheckRight, WithinLimits: app.WithinLimits,
		Revoked: app.Revocations().Add, KeysChanged: app.RecheckKeys,
		Audit: func(ctx context.Context, e accounts.Entry) {
			app.Audit(ctx, store.AuditEntry{Actor: e.Actor, Action: e.Action, Target: e.Target, From: e.From, Result: e.Result})
		},
		AllKept: app.RevocationsKept(), DefaultRole: app.DefaultRole, DefaultTier: app.DefaultTier, DefaultKeyRole: app.DefaultRole,
	}
}

// NewService makes the service for an operator, and the function that releases it.
func NewService(app *gateway.App) (*accounts.Service, func()) {
	h, release := acquireHasher()
	return accounts.New(serviceConfig(app, h)), release
}
