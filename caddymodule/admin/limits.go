package admin

import (
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

// resetLimits makes the counts of an owner in one zone begin anew, and lists them
// as they are then.
func resetLimits(r *adminRequest) (int, any, error) {
	zone, owner := r.PathValue("zone"), r.PathValue("owner")
	if err := limithandler.CheckZone(r.app, zone); err != nil {
		return 0, nil, err
	}
	err := limithandler.ResetCounts(r.Context(), r.app, zone, owner)
	r.audit("limit.reset", zone+" "+owner, err)
	if err != nil {
		return 0, nil, err
	}
	list, err := limithandler.Usage(r.Context(), r.app, zone, owner, nil)
	return http.StatusOK, list, err
}
