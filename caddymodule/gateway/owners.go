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

// Owner is what holds for one owner instead of what their credentials and the
// routes say. What the admin API sets for an owner replaces it.
type Owner struct {
	// ID of the owner: the subject of tokens, or the owner of API keys.
	ID string `json:"id"`
	// Tier instead of that of the owner's credentials.
	Tier string `json:"tier,omitempty"`
	// Limits instead of those of the tier and of routes.
	Limits []string `json:"limits,omitempty"`
	// Concurrency instead of that of the tier and of routes.
	Concurrency int `json:"concurrency,omitempty"`
}

// ownerPolicy is an Owner made ready for requests.
type ownerPolicy struct {
	tier *ratelimit.Policy
	// source is nil where the limits stay as they are, and concurrency 0 likewise.
	source      *ratelimit.Source
	concurrency int
}

// errEmptyOwner is the mistake of an owner that changes nothing.
const errEmptyOwner = "changes nothing: write `tier NAME`, `limit COUNT/DURATION` or `concurrency COUNT`"

// ownerPolicy makes the policy of an owner, and finds every mistake.
func (a *App) ownerPolicy(o Owner) (*ownerPolicy, error) {
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

// CheckOwner finds every mistake in what an owner is given.
func (a *App) CheckOwner(o Owner) error {
	_, err := a.ownerPolicy(o)
	return err
}

// defineOwners makes the policies of the owners that the configuration names.
func (a *App) defineOwners() error {
	a.ownerPolicies = map[string]*ownerPolicy{}
	for _, o := range a.Owners {
		if a.ownerPolicies[o.ID] != nil {
			return fmt.Errorf("owner %s is given twice: write one block with all of it", o.ID)
		}
		policy, err := a.ownerPolicy(o)
		if err != nil {
			return fmt.Errorf("owner %s: %w", o.ID, err)
		}
		a.ownerPolicies[o.ID] = policy
	}
	return nil
}

// ownerSet is what the store has, as it was read at one time.
type ownerSet struct{ list []store.OwnerLimits }

// mergedOwners are the owners of the configuration and of the store.
type mergedOwners struct {
	from   *ownerSet
	owners map[string]*ownerPolicy
}

// ownerOf is the policy of an owner; nil where the owner has none.
func (a *App) ownerOf(owner string) *ownerPolicy {
	if a.records == nil {
		return a.ownerPolicies[owner]
	}
	set := a.records.owners.Load()
	merged := a.merged.Load()
	if merged == nil || merged.from != set {
		merged = a.mergeOwners(set)
	}
	if len(merged.owners) == 0 {
		return nil
	}
	return merged.owners[owner]
}

// mergeOwners lets what the store has for an owner replace what the configuration
// has. What can't be read, a tier that is gone for instance, leaves the owner as
// the configuration has them.
func (a *App) mergeOwners(set *ownerSet) *mergedOwners {
	merged := &mergedOwners{from: set, owners: map[string]*ownerPolicy{}}
	maps.Copy(merged.owners, a.ownerPolicies)
	if set != nil {
		for _, o := range set.list {
			policy, err := a.ownerPolicy(Owner{o.Owner, o.Tier, o.Limits, o.Concurrency})
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

// loadOwners reads the owners' limits, for requests that begin after it returns.
func (r *records) loadOwners(ctx context.Context, s store.Store) error {
	// What is read later is stored later.
	r.ownersTurn.Lock()
	defer r.ownersTurn.Unlock()
	list, err := s.Owners(ctx)
	if err != nil {
		return err
	}
	if was := r.owners.Load(); was != nil && slices.EqualFunc(was.list, list, sameOwner) {
		return nil
	}
	r.owners.Store(&ownerSet{list})
	return nil
}

func sameOwner(a, b store.OwnerLimits) bool {
	return a.Owner == b.Owner && a.Tier == b.Tier && a.Concurrency == b.Concurrency && a.UpdatedAt.Equal(b.UpdatedAt) && slices.Equal(a.Limits, b.Limits)
}

// TierOf is the tier whose limits hold for a principal: that of the owner, the
// credential's own, or the default where it names none or one that is not
// defined, or nobody calls.
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
