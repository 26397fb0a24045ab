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
var oauthErrors = reading.Words(`
	invalid_request invalid_client invalid_grant unauthorized_client unsupported_grant_type invalid_scope access_denied
	unsupported_response_type server_error temporarily_unavailable invalid_token insufficient_scope unsupported_token_type
	invalid_redirect_uri invalid_client_metadata authorization_pending slow_down expired_token interaction_required login_required
	account_selection_required consent_required invalid_target invalid_dpop_proof use_dpop_nonce
`)
