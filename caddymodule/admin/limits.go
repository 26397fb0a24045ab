package admin

import (
	"fmt"
	"net/http"

	"github.com/ainative/portcullis/caddymodule/limithandler"
)

// showUsage lists what is left to an owner in every zone.
func showUsage(r *adminRequest) (int, any, error) {
	list, err := limithandler.Usage(r.Context(), r.app, "", r.PathValue("owner"), nil)
	return http.StatusOK, list, err
}

// showLimits lists what is left to an owner in one zone.
func showLimits(r *adminRequest) (int, any, error) {
	zone, owner := r.PathValue("zone"), r.PathValue("owner")
	if err := limithandler.CheckZone(r.app, zone); err != nil {
		return 0, nil, err
	}
	list, err := limithandler.Usage(r.Context(), r.app, zone, owner, nil)
	return http.StatusOK, list, err
}

// resetLimits sets the counts of an owner in one zone to zero, and lists what is left
// then.
func resetLimits(r *adminRequest) (int, any, error) {
	zone, owner := r.PathValue("zone"), r.PathValue("owner")
	r.target = zone + " " + owner
	if err := limithandler.CheckZone(r.app, zone); err != nil {
		return 0, nil, err
	}
	if err := limithandler.ResetCounts(r.Context(), r.app, zone, owner); err != nil {
		return 0, nil, err
	}
	list, err := limithandler.Usage(r.Context(), r.app, zone, owner, nil)
	if err != nil {
		err = fmt.Errorf("the counts are reset, but asking for them failed: %w", err)
	}
	return http.StatusOK, list, err
}
