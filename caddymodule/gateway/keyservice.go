package gateway

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/auth/keys"
	"github.com/ainative/portcullis/plugins/decision"
	"github.com/ainative/portcullis/plugins/ratelimit"
)

// KeyService creates and changes API keys. It opens the store.
func (a *App) KeyService(ctx context.Context) (*keys.Service, error) {
	opened, err := a.Store(ctx)
	if err != nil {
		return nil, err
	}
	return keys.New(keys.Config{
		Store:         opened,
		Peppers:       a.Peppers,
		Check:         a.CheckRight,
		CheckLimits:   func(limits []string) error { _, err := ratelimit.ParsePolicy("key", limits, 0); return err },
		ParseDuration: caddy.ParseDuration,
		Invalidate:    a.shared.invalidate,
		Notify:        a.keyChanged,
	}), nil
}

// keyChanged emits the event of a key that was created or changed.
func (a *App) keyChanged(e keys.Event) {
	switch e.Kind {
	case keys.Created:
		a.keyEvent(eventKeyCreated, e.Key, nil)
	case keys.Revoked:
		a.keyEvent(eventKeyRevoked, e.Key, nil)
	case keys.Rotated:
		a.keyEvent(eventKeyRotated, e.Key, map[string]any{"replaces": e.Replaces, "grace_seconds": int64(e.Grace / time.Second)})
	}
}

// CheckRight says what is wrong with the value of a field `role` or `tier`; empty if it is
// defined.
func (a *App) CheckRight(field, value string) string {
	known, names := a.hierarchy.Knows(value), a.hierarchy.Names
	if field == "tier" {
		known, names = a.tiers[value] != nil, a.TierNames
	}
	if known {
		return ""
	}
	return fmt.Sprintf("unknown %s %s: use one of %s", field, decision.Clip(value, 40), strings.Join(names(), ", "))
}

// WithinLimits reports whether a key grants no higher rate and no higher concurrency than
// its owner, in this tier, has without the key.
func (a *App) WithinLimits(owner, tier string, key plugins.APIKey) bool {
	has := a.TierOf(&plugins.Principal{Owner: owner, Tier: tier})
	grants := a.TierOf(&plugins.Principal{Owner: owner, Tier: key.Tier})
	own := a.ownerOf(owner)
	if (own == nil || own.concurrency == 0) && has.Concurrency != 0 && (grants.Concurrency == 0 || grants.Concurrency > has.Concurrency) {
		return false
	}
	hasLimits, grantsLimits := has.Limits, grants.Limits
	if own != nil && own.source != nil {
		hasLimits, grantsLimits = own.source.Policy.Limits, own.source.Policy.Limits
	}
	if len(key.Limits) != 0 {
		if source := a.keySource(key.Limits); source != nil {
			grantsLimits = source.Policy.Limits
		}
	}
	return ratelimit.Within(grantsLimits, hasLimits)
}
