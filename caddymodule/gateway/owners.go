package gateway

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"go.uber.org/zap"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/ratelimit"
	"github.com/ainative/portcullis/plugins/store"
)

// Owner has a tier, limits or a concurrency for one owner. They replace those of the
// owner's credentials and of routes. The admin API may replace them.
type Owner struct {
	// ID of the owner: the subject of tokens, or the owner of API keys.
	ID string `json:"id"`
	// Tier that replaces the one of the owner's credentials.
	Tier string `json:"tier,omitempty"`
	// Limits that replace those of the tier and of routes.
	Limits []string `json:"limits,omitempty"`
	// Concurrency that replaces the one of the tier and of routes.
	Concurrency int `json:"concurrency,omitempty"`
}

// ownerPolicy is a parsed Owner.
type ownerPolicy struct {
	tier *ratelimit.Policy
	// source is nil, and concurrency 0, where the owner has none.
	source      *ratelimit.Source
	concurrency int
}

// errEmptyOwner is the message for an owner that changes nothing.
const errEmptyOwner = "changes nothing: write `tier NAME`, `limit COUNT/DURATION` or `concurrency COUNT`"

// newOwnerPolicy parses an owner. Its errors name the field.
func (a *App) newOwnerPolicy(o Owner) (*ownerPolicy, error) {
	p := &ownerPolicy{concurrency: o.Concurrency}
	switch {
	case o.ID == "":
		return nil, plugins.Invalid("owner", "must not be empty")
	case o.Tier == "" && len(o.Limits) == 0 && o.Concurrency == 0:
		return nil, plugins.Invalid("limits", errEmptyOwner)
	case o.Concurrency < 0:
		return nil, plugins.Invalid("concurrency", "write a whole number of 1 or more")
	}
	if o.Tier != "" {
		if p.tier = a.tiers[o.Tier]; p.tier == nil {
			return nil, plugins.Invalid("tier", a.CheckRight("tier", o.Tier))
		}
	}
	if len(o.Limits) != 0 {
		policy, err := ratelimit.ParsePolicy(string(ratelimit.LevelOwner), o.Limits, 0)
		if err != nil {
			return nil, plugins.Invalid("limits", err.Error())
		}
		p.source = ratelimit.NewSource(string(ratelimit.LevelOwner), policy)
	}
	return p, nil
}

// CheckOwner returns the mistake in an owner, if there is one.
func (a *App) CheckOwner(o Owner) error {
	_, err := a.newOwnerPolicy(o)
	return err
}

// defineOwners parses the owners of the configuration.
func (a *App) defineOwners() error {
	a.ownerPolicies = map[string]*ownerPolicy{}
	for _, o := range a.Owners {
		if a.ownerPolicies[o.ID] != nil {
			return fmt.Errorf("owner %s is given twice: write one block with all of it", o.ID)
		}
		policy, err := a.newOwnerPolicy(o)
		if err != nil {
			return fmt.Errorf("owner %s: %w", o.ID, err)
		}
		a.ownerPolicies[o.ID] = policy
	}
	return nil
}

// storedOwners are the owners of the store, as read at one time.
type storedOwners struct{ list []store.OwnerLimits }

// mergedOwners are the owners of the configuration and of the store.
type mergedOwners struct {
	from   *storedOwners
	owners map[string]*ownerPolicy
}

// ownerOf is the policy of an owner; nil where the owner has none.
func (a *App) ownerOf(owner string) *ownerPolicy {
	if a.shared == nil {
		return a.ownerPolicies[owner]
	}
	set := a.shared.owners.Load()
	merged := a.merged.Load()
	if merged == nil || merged.from != set {
		merged = a.mergeOwners(set)
	}
	if len(merged.owners) == 0 {
		return nil
	}
	return merged.owners[owner]
}

// mergeOwners replaces owners of the configuration by those of the store. An entry of the
// store that can't be used, because its tier no longer exists for instance, is left out.
func (a *App) mergeOwners(set *storedOwners) *mergedOwners {
	merged := &mergedOwners{from: set, owners: map[string]*ownerPolicy{}}
	maps.Copy(merged.owners, a.ownerPolicies)
	if set != nil {
		for _, o := range set.list {
			policy, err := a.newOwnerPolicy(Owner{o.Owner, o.Tier, o.Limits, o.Concurrency})
			if err != nil {
				a.logger.Error("the limits of an owner in the store can't be used", zap.String("owner", o.Owner), zap.Error(err))
				continue
			}
			merged.owners[o.Owner] = policy
		}
	}
	a.merged.Store(merged)
	return merged
}

// loadOwners reads the owners' limits from the store. They hold for requests that begin
// after it returns.
func (r *sharedStore) loadOwners(ctx context.Context, s store.Store) error {
	// One reader at a time, so that an older read does not replace a newer one.
	r.ownersTurn.Lock()
	defer r.ownersTurn.Unlock()
	list, err := s.Owners(ctx)
	if err != nil {
		return err
	}
	if was := r.owners.Load(); was != nil && slices.EqualFunc(was.list, list, sameOwner) {
		return nil
	}
	r.owners.Store(&storedOwners{list})
	return nil
}

func sameOwner(a, b store.OwnerLimits) bool {
	return a.Owner == b.Owner && a.Tier == b.Tier && a.Concurrency == b.Concurrency && a.UpdatedAt.Equal(b.UpdatedAt) && slices.Equal(a.Limits, b.Limits)
}

// TierOf is the tier of a principal: the owner's, else the credential's, else the default
// tier. An undefined tier counts as none; nil is an anonymous caller.
func (a *App) TierOf(p *plugins.Principal) *ratelimit.Policy {
	if p == nil {
		return a.tiers[a.DefaultTier]
	}
	if o := a.ownerOf(p.Owner); o != nil && o.tier != nil {
		return o.tier
	}
	if tier := a.tiers[p.Tier]; tier != nil {
		return tier
	}
	return a.tiers[a.DefaultTier]
}
