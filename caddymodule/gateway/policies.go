package gateway

import (
	"fmt"
	"strings"

	"github.com/ainative/portcullis/plugins/decision"
	"github.com/ainative/portcullis/plugins/ratelimit"
	"github.com/ainative/portcullis/plugins/roles"
)

// Role is a role and the roles that it includes.
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
	// Concurrency is how many requests of one owner may be in flight at once.
	// Default: no limit.
	Concurrency int `json:"concurrency,omitempty"`
}

// definePolicies makes the roles, tiers and owners. It needs no secret and no file, so
// that directives can be checked against them when a Caddyfile is adapted.
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
