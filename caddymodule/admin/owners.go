package admin

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ainative/portcullis/caddymodule/adminapi"
	"github.com/ainative/portcullis/caddymodule/gateway"
	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/store"
)

// listOwners lists the owners that have limits of their own.
func listOwners(r *adminRequest) (int, any, error) {
	kept, err := r.store.Owners(r.Context())
	if err != nil {
		return 0, nil, err
	}
	list := adminapi.List(kept, adminapi.NewOwner)
	for _, o := range r.app.Owners {
		if !slices.ContainsFunc(kept, func(k store.OwnerLimits) bool { return k.Owner == o.ID }) {
			list = append(list, adminapi.Owner{
				Owner: o.ID, Tier: adminapi.OrNull(o.Tier), Limits: adminapi.OrEmpty(o.Limits), Concurrency: o.Concurrency, Source: "config",
			})
		}
	}
	slices.SortFunc(list, func(a, b adminapi.Owner) int { return strings.Compare(a.Owner, b.Owner) })
	return http.StatusOK, list, nil
}

// setOwner gives an owner limits of their own, in force for the next request.
func setOwner(r *adminRequest, in adminapi.OwnerInput) (int, any, error) {
	owner := r.PathValue("owner")
	if err := plugins.CheckText("owner", owner, 1, 256); err != nil {
		return 0, nil, err
	}
	if err := r.app.CheckOwner(gateway.Owner{ID: owner, Tier: in.Tier, Limits: in.Limits, Concurrency: in.Concurrency}); err != nil {
		return 0, nil, err
	}
	set := store.OwnerLimits{
		Owner: owner, Tier: in.Tier, Limits: in.Limits, Concurrency: in.Concurrency,
		UpdatedAt: time.Now().UTC().Truncate(time.Second),
	}
	if err := r.store.SetOwner(r.Context(), set); err != nil {
		return 0, nil, err
	}
	return http.StatusOK, adminapi.NewOwner(set), r.reloadOwners()
}

// reloadOwners puts a change of an owner's limits into force.
func (r *adminRequest) reloadOwners() error {
	if err := r.app.ReloadOwners(r.Context()); err != nil {
		return fmt.Errorf("the change is kept, but not in force yet: %w", err)
	}
	return nil
}

// unsetOwner deletes an owner's limits. Those of the configuration hold again.
func unsetOwner(r *adminRequest) (int, any, error) {
	owner := r.PathValue("owner")
	kept, err := r.store.Owners(r.Context())
	if err != nil {
		return 0, nil, err
	}
	if err := r.store.DeleteOwner(r.Context(), owner); err != nil {
		return 0, nil, err
	}
	if err := r.reloadOwners(); err != nil {
		return 0, nil, err
	}
	for _, o := range kept {
		if o.Owner == owner {
			return http.StatusOK, adminapi.NewOwner(o), nil
		}
	}
	return http.StatusOK, adminapi.Owner{Owner: owner, Limits: []string{}, Source: "store"}, nil
}
