// Package gateway is the app `gateway`: what the handlers of a configuration share. It
// reads the global block, opens the store, keeps caches and counts, and answers what the
// handlers and the admin API ask of it (ask.go). It knows no handler.
package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/ainative/portcullis/caddymodule/internal/pool"
	"github.com/ainative/portcullis/caddymodule/internal/secret"
	"github.com/ainative/portcullis/caddymodule/metrics"
	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/decision"
	"github.com/ainative/portcullis/plugins/ratelimit"
	"github.com/ainative/portcullis/plugins/roles"
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

func init() {
	caddy.RegisterModule(new(App))
	httpcaddyfile.RegisterGlobalOption("gateway", parseApp)
}

// App is what the gateway's handlers share: where keys and counts are kept, and
// which roles, tiers and issuers there are. Without a configuration the defaults
// hold: an SQLite file in Caddy's data directory, counts in memory, the roles
// USER, DEVELOPER and ADMIN, the tiers free, pro and enterprise, and no issuer,
// so that API keys are the only credentials.
type App struct {
	// Where API keys, revocations and the audit trail are kept. Default: `sqlite`.
	StoreRaw json.RawMessage `json:"store,omitempty" caddy:"namespace=gateway.stores inline_key=store"`

	// The key under which API keys are hashed, 32 bytes or more. Placeholders
	// {env.*} and {file.*} are supported. Default: made once and kept in a file
	// beside the store.
	Pepper string `json:"pepper,omitempty"`

	// The pepper before Pepper. Keys hashed under it go on working.
	PreviousPepper string `json:"previous_pepper,omitempty"`

	// Where requests are counted. Default: `memory`.
	LimiterRaw json.RawMessage `json:"limiter,omitempty" caddy:"namespace=gateway.limiters inline_key=limiter"`

	// The roles. Default: USER, DEVELOPER including USER, ADMIN including DEVELOPER.
	Roles []Role `json:"roles,omitempty"`

	// The tiers. Those given are added to the defaults free (60/1m), pro (300/1m)
	// and enterprise (1000/1m), each with `tolerance 1`, or replace them by name.
	Tiers []Tier `json:"tiers,omitempty"`

	// Owners have a tier, limits or a concurrency of their own.
	Owners []Owner `json:"owners,omitempty"`

	// The tier of callers whose credential names none, or one that is not
	// defined. Default: `free`.
	DefaultTier string `json:"default_tier,omitempty"`

	// The role of callers whose credential names none. Default: `USER`.
	DefaultRole string `json:"default_role,omitempty"`

	// Who signs tokens. Several are allowed; each token's `iss` chooses one.
	Issuers []Issuer `json:"issuers,omitempty"`

	// Accept imported API keys in any format as `Authorization: Bearer <key>` too,
	// at the price of a look-up for each credential that could be one.
	ForeignKeys bool `json:"foreign_keys,omitempty"`

	// How many decisions are kept for `explain`. Default: 10000.
	Decisions int `json:"decisions,omitempty"`

	// How far the heap may grow before the garbage collector runs, such as `64MiB`,
	// or `off` for Go's default, twice of what is alive. It is no limit: with more
	// than half of it alive Go's default holds. The environment variables GOGC and
	// GOMEMLIMIT take its place. Default: `64MiB`.
	MemoryTarget string `json:"memory_target,omitempty"`

	logger    *zap.Logger
	ctx       caddy.Context
	bus       *caddyevents.App
	events    *events
	hierarchy *roles.Hierarchy
	tiers     map[string]*ratelimit.Policy
	store     StoreProvider
	limiters  LimiterProvider
	records   *records
	verifier  *verifierRef
	keys      *keyScheme
	journal   *decision.Journal
	// tierSources, routes and overrides say which limits hold and where they count.
	tierSources map[*ratelimit.Policy]*ratelimit.Source
	routes      ratelimit.Routes
	overrides   overrides
	// ownerPolicies are those of the configuration, merged those of the store too.
	ownerPolicies map[string]*ownerPolicy
	merged        atomic.Pointer[mergedOwners]
	handlers      []caddyhttp.MiddlewareHandler
	acquired      []pool.Release
}

// Role is a role and what it includes.
type Role struct {
	// Name of the role, compared exactly.
	Name string `json:"name"`
	// Includes names the roles whose rights this one has too.
	Includes []string `json:"includes,omitempty"`
}

// Tier is a named set of limits.
type Tier struct {
	// Name of the tier, as credentials have it.
	Name string `json:"name"`
	// Limits such as `60/1m burst 100`. A request that one of them refuses is
	// charged to none.
	Limits []string `json:"limits,omitempty"`
	// Concurrency is how many requests of one owner may be under way at once.
	// Default: no limit.
	Concurrency int `json:"concurrency,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "gateway", New: func() caddy.Module { return new(App) }}
}

// Provision resolves secrets, checks everything and takes the shared state from
// the pools. It opens no file and no connection: Start does.
func (a *App) Provision(ctx caddy.Context) error {
	a.logger = ctx.Logger()
	if err := a.definePolicies(); err != nil {
		return err
	}
	journal, release, err := AcquireJournal()
	if err != nil {
		return err
	}
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

// loadModules loads the store and the limiter, the defaults where none is given.
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

// acquireKeys takes the store from the pool and makes the scheme of API keys.
func (a *App) acquireKeys() error {
	records, release, err := acquireRecords(a.store)
	if err != nil {
		return err
	}
	a.records = records
	a.acquired = append(a.acquired, release)
	a.keys = &keyScheme{records: records, defaultRole: a.DefaultRole, foreign: a.ForeignKeys}
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

// definePolicies works out roles and tiers. It needs no secret and no file, so
// that directives can be checked against it when a Caddyfile is adapted.
func (a *App) definePolicies() error {
	defined := roles.Defaults()
	if len(a.Roles) != 0 {
		defined = nil
		for _, role := range a.Roles {
			defined = append(defined, roles.Role{Name: role.Name, Includes: role.Includes})
		}
	}
	var err error
	if a.hierarchy, err = roles.NewHierarchy(defined); err != nil {
		return err
	}
	if a.DefaultRole == "" && a.hierarchy.Knows("USER") {
		a.DefaultRole = "USER"
	}
	if a.DefaultRole != "" && !a.hierarchy.Knows(a.DefaultRole) {
		return fmt.Errorf("default_role %s is not defined: add `role %s`, or use one of %s",
			a.DefaultRole, a.DefaultRole, strings.Join(a.hierarchy.Names(), ", "))
	}

	a.tiers = map[string]*ratelimit.Policy{}
	for _, tier := range ratelimit.DefaultTiers() {
		a.tiers[tier.Name] = tier
	}
	seen := map[string]bool{}
	for _, tier := range a.Tiers {
		if seen[tier.Name] {
			return fmt.Errorf("tier %s is defined twice: write it once, with all its limits", tier.Name)
		}
		seen[tier.Name] = true
		limits, err := ratelimit.ParseLimits(tier.Limits)
		if err != nil {
			return fmt.Errorf("tier %s: %w", tier.Name, err)
		}
		if a.tiers[tier.Name], err = ratelimit.NewPolicy(tier.Name, limits, tier.Concurrency); err != nil {
			return err
		}
	}
	a.routes = ratelimit.Routes{}
	a.tierSources = make(map[*ratelimit.Policy]*ratelimit.Source, len(a.tiers))
	for _, tier := range a.tiers {
		a.tierSources[tier] = ratelimit.NewSource("", tier)
	}
	if _, err := a.memoryTarget(); err != nil {
		return err
	}
	if a.Decisions == 0 {
		a.Decisions = decision.DefaultSize
	}
	if a.Decisions < 1 || a.Decisions > decision.MaxSize {
		return fmt.Errorf("decisions %d: write a whole number from 1 to %d", a.Decisions, decision.MaxSize)
	}
	if a.DefaultTier == "" {
		a.DefaultTier = ratelimit.TierFree
	}
	if a.tiers[a.DefaultTier] == nil {
		return fmt.Errorf("default_tier %s is not defined: add `tier %s 60/1m`, or use one of %s",
			a.DefaultTier, a.DefaultTier, strings.Join(a.TierNames(), ", "))
	}
	return a.defineOwners()
}

// Start opens the store and begins to fetch issuers' keys.
func (a *App) Start() error {
	// Not earlier: until now the configuration before this one was in force.
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

// Stop has nothing to end: what Start began is pooled, and goes on as long as a
// configuration holds it.
func (*App) Stop() error { return nil }

// Cleanup gives the shared state back. Requests of this configuration may still
// be under way: everything that they use goes on working until the last holder
// has let go.
func (a *App) Cleanup() error {
	for _, release := range slices.Backward(a.acquired) {
		release()
	}
	a.acquired = nil
	return nil
}

// ErrNoIssuers says why tokens can't be taken.
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
