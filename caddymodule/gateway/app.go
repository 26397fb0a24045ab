// Package gateway is the app `gateway`, which the handlers of a configuration share. It
// reads the global block, opens the store, and keeps caches and counts. ask.go has what
// handlers and the admin API call. The app knows no handler.
package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/ainative/portcullis/caddymodule/internal/pool"
	"github.com/ainative/portcullis/caddymodule/internal/secret"
	"github.com/ainative/portcullis/caddymodule/metrics"
	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/decision"
	"github.com/ainative/portcullis/plugins/ratelimit"
	"github.com/ainative/portcullis/plugins/roles"
)

func init() {
	caddy.RegisterModule(new(App))
	httpcaddyfile.RegisterGlobalOption("gateway", parseApp)
}

// App is the configuration that the gateway's handlers share: where keys and counts are
// kept, and the roles, tiers and issuers. By default the store is an SQLite file in
// Caddy's data directory, counts are in memory, the roles are USER, DEVELOPER and ADMIN,
// and the tiers free, pro and enterprise. There is no issuer by default, so that API keys
// are the only credentials.
type App struct {
	// Where API keys, revocations and the audit trail are kept. Default: `sqlite`.
	StoreRaw json.RawMessage `json:"store,omitempty" caddy:"namespace=gateway.stores inline_key=store"`

	// The key with which API keys are hashed, 32 bytes or more. Placeholders {env.*} and
	// {file.*} are supported. Default: generated once and kept in a file beside the store.
	Pepper string `json:"pepper,omitempty"`

	// The pepper before Pepper. Keys that were hashed with it stay valid.
	PreviousPepper string `json:"previous_pepper,omitempty"`

	// Where requests are counted. Default: `memory`.
	LimiterRaw json.RawMessage `json:"limiter,omitempty" caddy:"namespace=gateway.limiters inline_key=limiter"`

	// The roles. Default: USER, DEVELOPER including USER, ADMIN including DEVELOPER.
	Roles []Role `json:"roles,omitempty"`

	// The tiers. Those given are added to the defaults free (60/1m), pro (300/1m)
	// and enterprise (1000/1m), each with `tolerance 1`, or replace them by name.
	Tiers []Tier `json:"tiers,omitempty"`

	// Owners with a tier, limits or a concurrency of their own.
	Owners []Owner `json:"owners,omitempty"`

	// The tier of callers whose credential names none, or one that is not
	// defined. Default: `free`.
	DefaultTier string `json:"default_tier,omitempty"`

	// The role of callers whose credential names none. Default: `USER`.
	DefaultRole string `json:"default_role,omitempty"`

	// The issuers of tokens. Each token's `iss` selects one.
	Issuers []Issuer `json:"issuers,omitempty"`

	// Also accept imported API keys of any format as `Authorization: Bearer <key>`. This
	// costs a look-up for each credential that could be one.
	ForeignKeys bool `json:"foreign_keys,omitempty"`

	// How many decisions are kept for `explain`. Default: 10000.
	Decisions int `json:"decisions,omitempty"`

	// How far the heap may grow before the garbage collector runs, such as `32MiB`, or
	// `off` for Go's default, twice the live heap. It is no limit: if more than half of it
	// is live, Go's default holds. The environment variables GOGC and GOMEMLIMIT override
	// it. Default: `32MiB`.
	MemoryTarget string `json:"memory_target,omitempty"`

	logger    *zap.Logger
	ctx       caddy.Context
	bus       *caddyevents.App
	events    *events
	hierarchy *roles.Hierarchy
	tiers     map[string]*ratelimit.Policy
	store     StoreProvider
	limiters  LimiterProvider
	shared    *sharedStore
	verifier  *verifierRef
	keys      *keyScheme
	journal   *decision.Journal
	// tierSources, routes and keyLimits have the limits of the levels, and name their
	// counts.
	tierSources map[*ratelimit.Policy]*ratelimit.Source
	routes      ratelimit.Routes
	keyLimits   keyLimits
	// ownerPolicies are those of the configuration, merged also has those of the store.
	ownerPolicies map[string]*ownerPolicy
	merged        atomic.Pointer[mergedOwners]
	handlers      []caddyhttp.MiddlewareHandler
	acquired      pool.Held
}

// CaddyModule returns the Caddy module information.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "gateway", New: func() caddy.Module { return new(App) }}
}

// Provision resolves secrets, checks the configuration and acquires the shared state from
// the pools. It opens no file and no connection: Start does.
func (a *App) Provision(ctx caddy.Context) error {
	a.logger = ctx.Logger()
	if err := a.definePolicies(); err != nil {
		return err
	}
	journal, release := AcquireJournal()
	a.journal = journal
	a.acquired = append(a.acquired, release)
	if err := a.openBus(ctx); err != nil {
		return err
	}
	if err := a.loadModules(ctx); err != nil {
		return err
	}
	if err := a.acquireKeys(); err != nil {
		return err
	}
	if err := a.acquireVerifier(ctx); err != nil {
		return err
	}
	// Last: from here on a scrape may read the app.
	return metrics.Register(ctx, stateMetrics{a})
}

// loadModules loads the store and the limiter.
func (a *App) loadModules(ctx caddy.Context) error {
	if a.StoreRaw == nil {
		a.StoreRaw = json.RawMessage(`{"store":"sqlite"}`)
	}
	loaded, err := ctx.LoadModule(a, "StoreRaw")
	if err != nil {
		return fmt.Errorf("loading the store: %w", err)
	}
	a.store = loaded.(StoreProvider)
	if a.LimiterRaw == nil {
		a.LimiterRaw = json.RawMessage(`{"limiter":"memory"}`)
	}
	if loaded, err = ctx.LoadModule(a, "LimiterRaw"); err != nil {
		return fmt.Errorf("loading the limiter: %w", err)
	}
	a.limiters = loaded.(LimiterProvider)
	return nil
}

// acquireKeys acquires the store from the pool and makes the scheme of API keys.
func (a *App) acquireKeys() error {
	shared, release, err := acquireStore(a.store)
	if err != nil {
		return err
	}
	a.shared = shared
	a.acquired = append(a.acquired, release)
	a.keys = &keyScheme{shared: shared, defaultRole: a.DefaultRole, foreign: a.ForeignKeys}
	a.acquired = append(a.acquired, a.keys.close)
	for _, pepper := range []struct {
		name, configured string
		into             *plugins.Secret
	}{{"pepper", a.Pepper, &a.keys.pepper}, {"previous_pepper", a.PreviousPepper, &a.keys.previous}} {
		if pepper.configured == "" {
			continue
		}
		if *pepper.into, err = secret.Resolve(pepper.name, pepper.configured); err != nil {
			return err
		}
		if _, err := pepperOf(pepper.name, *pepper.into); err != nil {
			return err
		}
	}
	if a.Pepper == "" && a.store.PepperPath() == "" {
		return fmt.Errorf("no pepper is configured, and %s is shared by machines, which need the same one: "+
			"make it once with `openssl rand -base64 48` and add `pepper {env.GATEWAY_PEPPER}` to the global gateway block of each", a.store.Name())
	}
	if a.Pepper == "" && a.PreviousPepper != "" {
		return errors.New("previous_pepper is given without pepper: name the new one too, `pepper {env.GATEWAY_PEPPER}`")
	}
	return nil
}

// Start opens the store and begins to fetch issuers' keys.
func (a *App) Start() error {
	// Not earlier: until now the previous configuration was in force.
	a.journal.Resize(a.Decisions)
	a.useMemoryTarget()
	if _, err := a.keys.open(context.Background()); err != nil {
		return err
	}
	if l, ok := a.limiters.(LimiterStarter); ok {
		if err := l.StartLimiter(); err != nil {
			return err
		}
	}
	if a.verifier != nil {
		a.verifier.Start(context.Background())
		go a.watchIssuers()
	}
	return nil
}

// Stop does nothing: what Start began is pooled, and runs as long as a configuration
// holds it.
func (*App) Stop() error { return nil }

// Cleanup releases the shared state. Requests of this configuration may still be in
// flight: what they use works until the last holder has released it.
func (a *App) Cleanup() error {
	a.acquired.Release()
	return nil
}

// ErrNoIssuers says that tokens can't be accepted without an issuer.
var ErrNoIssuers = errors.New("no issuer is configured: add `issuer NAME { secret {env.JWT_SECRET} }` to the global gateway block, or write `schemes api_key`")

// FromContext returns the app, an unconfigured one where there is no global
// gateway block.
func FromContext(ctx caddy.Context) (*App, error) {
	loaded, err := ctx.App("gateway")
	if err != nil {
		return nil, err
	}
	app, ok := loaded.(*App)
	if !ok {
		return nil, fmt.Errorf("the app named gateway is a %T", loaded)
	}
	return app, nil
}

// Interface guards.
var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
