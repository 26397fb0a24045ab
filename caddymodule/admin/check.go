package admin

import (
	"net/http"

	"github.com/ainative/portcullis/caddymodule/admin/dryrun"
	"github.com/ainative/portcullis/caddymodule/adminapi"
)

// checkRequest is the admin API's dry run.
func checkRequest(r *adminRequest, in adminapi.CheckInput) (int, any, error) {
	answer, err := dryrun.Check(r.Context(), r.app, &in)
	return http.StatusOK, answer, err
}
