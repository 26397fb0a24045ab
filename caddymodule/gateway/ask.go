package gateway

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/auth/apikey"
	"github.com/ainative/portcullis/plugins/auth/bearer"
	"github.com/ainative/portcullis/plugins/auth/revocation"
	"github.com/ainative/portcullis/plugins/decision"
	"github.com/ainative/portcullis/plugins/ratelimit"
	"github.com/ainative/portcullis/plugins/roles"
	"github.com/ainative/portcullis/plugins/store"
)

// This file has what the handlers and the admin API call.

// Running is the app of the running configuration, or ErrNotRunning.
func Running() (*App, error) {
	loaded, err := caddy.ActiveContext().AppIfConfigured("gateway")
	if err != nil {
		return nil, ErrNotRunning
	}
	app, ok := loaded.(*App)
	if !ok {
		return nil, ErrNotRunning
	}
	return app, nil
}

// ErrNotRunning says that the running configuration has no gateway app.
var ErrNotRunning = errors.New("the running configuration has no gateway: add a gateway directive to a site, or the global gateway block")

// Journal has the decision records.
func (a *App) Journal() *decision.Journal { return a.journal }

// Hierarchy has the roles and the roles that they include.
func (a *App) Hierarchy() *roles.Hierarchy { return a.hierarchy }

// Tier is the tier of this name; nil where it is not defined.
func (a *App) Tier(name string) *ratelimit.Policy { return a.tiers[name] }

// TierNames lists the tiers, sorted.
func (a *App) TierNames() []string { return slices.Sorted(maps.Keys(a.tiers)) }

// TierSources are the limits of every tier.
func (a *App) TierSources() iter.Seq[*ratelimit.Source] { return maps.Values(a.tierSources) }

// Precedence has the limits of each level for a principal; nil is an anonymous caller. The
// level of the route is for the handler to fill in.
func (a *App) Precedence(p *plugins.Principal) ratelimit.Precedence {
	levels := ratelimit.NewPrecedence()
	policy := a.TierOf(p)
	tier := levels.Tier()
	tier.Limits, tier.Concurrency, tier.ConcurrencyName = a.tierSources[policy], policy.Concurrency, policy.Name
	if p == nil {
		return levels
	}
	if o := a.ownerOf(p.Owner); o != nil {
		owner := levels.Owner()
		owner.Limits, owner.Concurrency, owner.ConcurrencyName = o.source, o.concurrency, string(ratelimit.LevelOwner)
	}
	if len(p.Limits) != 0 {
		levels.Key().Limits = a.keySource(p.Limits)
	}
	return levels
}

// AddRoute adds the limits of a handler in a zone. The function that it returns may be
// called once every handler of the configuration is provisioned.
func (a *App) AddRoute(zone string, route *ratelimit.Policy) func() *ratelimit.Source {
	a.routes.Add(zone, route)
	return sync.OnceValue(func() *ratelimit.Source { return a.routes.Source(zone, route) })
}

// AddHandler adds a handler of the configuration to Handlers.
func (a *App) AddHandler(h caddyhttp.MiddlewareHandler) { a.handlers = append(a.handlers, h) }

// Handlers are the handlers of one type in the configuration, complete once all of it is
// provisioned.
func Handlers[T caddyhttp.MiddlewareHandler](a *App) []T {
	var found []T
	for _, h := range a.handlers {
		if h, ok := h.(T); ok {
			found = append(found, h)
		}
	}
	return found
}

// Verifier checks tokens; nil where no issuer is configured.
func (a *App) Verifier() *bearer.Verifier {
	if a.verifier == nil {
		return nil
	}
	return a.verifier.Verifier
}

// Store is the store, opened if it is not open.
func (a *App) Store(ctx context.Context) (store.Store, error) {
	o, err := a.shared.open(ctx)
	if err != nil {
		return nil, err
	}
	return o.store, nil
}

// StoreName says where the store is, without secrets.
func (a *App) StoreName() string { return a.store.Name() }

// Revocations are those in force, complete once the store is open.
func (a *App) Revocations() *revocation.Set { return a.shared.revoked }

// RevocationsKnown returns an error if the set of revocations is too old to be trusted.
func (a *App) RevocationsKnown(ctx context.Context) error {
	o, err := a.shared.open(ctx)
	if err != nil {
		return err
	}
	return o.revocationsStale()
}

// RecheckKeys makes every cached API key invalid until it has been read again.
func (a *App) RecheckKeys() { a.shared.recheck() }

// ReloadOwners reads the owners' limits again. They hold for requests that begin after it
// returns.
func (a *App) ReloadOwners(ctx context.Context) error {
	o, err := a.shared.open(ctx)
	if err != nil {
		return err
	}
	return a.shared.loadOwners(ctx, o.store)
}

// ResetCount resets the counts of a key in a zone, in the limiter and in the store.
func (a *App) ResetCount(ctx context.Context, zone string, limiter ratelimit.Limiter, key ratelimit.Key, limits []ratelimit.Limit) error {
	if _, err := a.shared.open(ctx); err != nil {
		return err
	}
	return a.shared.counts.Reset(ctx, zone, limiter, key, limits)
}

// Peppers are the keys with which API keys are hashed.
func (a *App) Peppers(ctx context.Context) (*apikey.Peppers, error) {
	made, err := a.keys.open(ctx)
	if err != nil {
		return nil, err
	}
	return made.peppers, nil
}

// LimiterZone returns the limiter of a zone, and the function that releases it.
func (a *App) LimiterZone(name string) (ratelimit.Limiter, func(), error) {
	return a.limiters.Zone(name)
}
