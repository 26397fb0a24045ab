package admin

import (
	"errors"
	"net/http"

	"github.com/ainative/portcullis/caddymodule/adminapi"
	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/auth/bearer"
)

// inspectToken explains a token, by the rules of the running configuration if it has
// issuers. The token comes in the body, because URLs end up in logs.
func inspectToken(r *adminRequest, in adminapi.TokenInput) (int, any, error) {
	inspect := bearer.Inspect
	if verifier := r.app.Verifier(); verifier != nil {
		inspect = func(token string) (*bearer.Inspection, error) { return verifier.Inspect(r.Context(), token) }
	}
	found, err := inspect(in.Token)
	if errors.Is(err, bearer.ErrNoToken) {
		return 0, nil, plugins.Invalid("token", "is not a JSON Web Token: three parts, separated by dots")
	}
	return http.StatusOK, found, err
}
