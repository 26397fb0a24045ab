package readers

import "github.com/ainative/portcullis/plugins/problem/internal/reading"

// oauth2Reader reads RFC 6749 section 5.2: {"error": "invalid_grant", "error_description": ...}.
var oauth2Reader = reader{"oauth2", func(d *reading.Document) (reading.Finding, bool) {
	e := d.JSON.Text("error")
	if e == "" || !reading.IsCode(e) {
		return reading.Finding{}, false
	}
	if text := d.JSON.Text("error_description"); !reading.IsBlank(text) {
		return reading.Finding{Message: text}, true
	}
	if oauthErrors[e] && !d.JSON.Has("message") && !d.JSON.Has("reason") {
		return reading.Finding{Message: e}, true
	}
	return reading.Finding{}, false
}}

// oauthErrors are the registered codes (RFC 6749, 6750, 7009, 7591, 8628, OIDC
// core), which clients compare where there is no description.
var oauthErrors = map[string]bool{
	"invalid_request": true, "invalid_client": true, "invalid_grant": true, "unauthorized_client": true, "unsupported_grant_type": true,
	"invalid_scope": true, "access_denied": true, "unsupported_response_type": true, "server_error": true, "temporarily_unavailable": true,
	"invalid_token": true, "insufficient_scope": true, "unsupported_token_type": true, "invalid_redirect_uri": true,
	"invalid_client_metadata": true, "authorization_pending": true, "slow_down": true, "expired_token": true, "interaction_required": true,
	"login_required": true, "account_selection_required": true, "consent_required": true, "invalid_target": true, "invalid_dpop_proof": true,
	"use_dpop_nonce": true,
}
