package plugins

// Reason is the exact cause of a refusal, as in `explain` and the log. Clients never see
// it. The reference page of the docs lists every reason.
type Reason string

// Reasons of authentication.
const (
	ReasonNoCredential         Reason = "no_credential"
	ReasonCredentialMisplaced  Reason = "credential_misplaced"
	ReasonCredentialMalformed  Reason = "credential_malformed"
	ReasonCredentialConflict   Reason = "credential_conflict"
	ReasonCredentialUnknown    Reason = "credential_not_recognised"
	ReasonAmbiguousPath        Reason = "ambiguous_path"
	ReasonAmbiguousMethod      Reason = "ambiguous_method"
	ReasonAuthFailures         Reason = "too_many_failures"
	ReasonTokenTooLong         Reason = "token_too_long"
	ReasonTokenMalformed       Reason = "token_malformed"
	ReasonTokenDuplicateMember Reason = "token_duplicate_member"
	ReasonTokenHeader          Reason = "token_header_refused"
	ReasonTokenType            Reason = "token_type_refused"
	ReasonTokenAlgorithm       Reason = "token_algorithm_refused"
	ReasonTokenIssuer          Reason = "token_issuer_unknown"
	ReasonTokenKeyUnknown      Reason = "token_key_unknown"
	ReasonTokenSignature       Reason = "token_signature_invalid"
	ReasonTokenExpired         Reason = "token_expired"
	ReasonTokenNotYetValid     Reason = "token_not_yet_valid"
	ReasonTokenIssuedInFuture  Reason = "token_issued_in_future"
	ReasonTokenLifetime        Reason = "token_lifetime_too_long"
	ReasonTokenAudience        Reason = "token_audience_mismatch"
	ReasonTokenClaimMissing    Reason = "token_claim_missing"
	ReasonTokenClaimInvalid    Reason = "token_claim_invalid"
	ReasonTokenRevoked         Reason = "token_revoked"
	ReasonKeyMalformed         Reason = "key_malformed"
	ReasonKeyChecksum          Reason = "key_checksum_mismatch"
	ReasonKeyUnknown           Reason = "key_unknown"
	ReasonKeyRevoked           Reason = "key_revoked"
	ReasonKeyExpired           Reason = "key_expired"
	ReasonKeyAddress           Reason = "key_address_not_allowed"
)

// Reasons of roles.
const (
	ReasonNotAuthenticated Reason = "not_authenticated"
	ReasonRoleMissing      Reason = "role_missing"
	ReasonScopeMissing     Reason = "scope_missing"
	ReasonNotOwner         Reason = "not_owner"
)

// Reasons of CORS preflights.
const (
	ReasonOriginNotAllowed Reason = "origin_not_allowed"
	ReasonCORSMethod       Reason = "cors_method_not_allowed"
	ReasonCORSHeader       Reason = "cors_header_not_allowed"
)

// Reasons of rate limits.
const (
	ReasonRateLimited     Reason = "rate_limited"
	ReasonConcurrency     Reason = "concurrency_limited"
	ReasonCostInvalid     Reason = "cost_invalid"
	ReasonCostAboveBurst  Reason = "cost_above_burst"
	ReasonLimitKeyMissing Reason = "limit_key_missing"
)

// Reasons of a failure to decide. They become a 503.
const (
	ReasonStoreUnavailable   Reason = "store_unavailable"
	ReasonKeysUnavailable    Reason = "issuer_keys_unavailable"
	ReasonLimiterUnavailable Reason = "limiter_unavailable"
	ReasonSchemeUndecided    Reason = "scheme_undecided"
	ReasonUpstreamBusy       Reason = "upstream_busy"
)

// Reasons of accounts.
const (
	ReasonBodyInvalid        Reason = "body_invalid"
	ReasonBodyTooLarge       Reason = "body_too_large"
	ReasonMethodNotAllowed   Reason = "method_not_allowed"
	ReasonRegistrationClosed Reason = "registration_closed"
	ReasonEmailTaken         Reason = "email_taken"
	ReasonLoginFailed        Reason = "login_failed"
	ReasonLoginLimited       Reason = "login_limited"
	ReasonAccountDisabled    Reason = "account_disabled"
	ReasonAccountUnknown     Reason = "account_unknown"
	ReasonAccountChanged     Reason = "account_changed"
	ReasonTokenReplayed      Reason = "token_replayed"
	ReasonTokenRequired      Reason = "token_required"
	ReasonKeyNotFound        Reason = "key_not_found"
	ReasonRecordNotFound     Reason = "record_not_found"
	ReasonKeyGrant           Reason = "key_grants_too_much"
	ReasonKeyState           Reason = "key_not_changeable"
	ReasonTooManyKeys        Reason = "too_many_keys"
	// ReasonPasswordsBusy becomes a 503.
	ReasonPasswordsBusy Reason = "passwords_busy"
)
