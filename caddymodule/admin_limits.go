package caddymodule

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// showUsage lists what is left to an owner in every zone.
func showUsage(r *adminRequest) (int, any, error) {
	list, err := r.app.usage(r.Context(), r.PathValue("owner"), nil)
	return http.StatusOK, list, err
}

// showLimits lists what is left to an owner in one zone.
func showLimits(r *adminRequest) (int, any, error) {
	zone, owner := r.PathValue("zone"), r.PathValue("owner")
	if err := r.app.knowsZone(zone); err != nil {
		return 0, nil, err
	}
	list, err := r.app.usageIn(r.Context(), zone, owner, nil)
	return http.StatusOK, list, err
}

// resetLimits makes the counts of an owner in one zone begin anew, and lists them
// as they are then.
func resetLimits(r *adminRequest) (int, any, error) {
	zone, owner := r.PathValue("zone"), r.PathValue("owner")
	if err := r.app.knowsZone(zone); err != nil {
		return 0, nil, err
	}
	err := r.app.resetCounts(r.Context(), zone, owner)
	r.audit("limit.reset", zone+" "+owner, err)
	if err != nil {
		return 0, nil, err
	}
	list, err := r.app.usageIn(r.Context(), zone, owner, nil)
	return http.StatusOK, list, err
}

// knowsZone is an error, with what there is, where no gateway_limit has the zone.
func (a *App) knowsZone(zone string) error {
	names := a.zoneNames()
	switch {
	case slices.Contains(names, zone):
		return nil
	case len(names) == 0:
		return fmt.Errorf("%w %s: no gateway_limit is configured", errNoZone, zone)
	}
	return fmt.Errorf("%w %s: use one of %s", errNoZone, zone, strings.Join(names, ", "))
}
