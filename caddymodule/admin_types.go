package caddymodule

import "github.com/ainative/portcullis/caddymodule/adminapi"

// The JSON of the admin API by the names that its handlers use.
type (
	keyJSON         = adminapi.Key
	userJSON        = adminapi.User
	auditJSON       = adminapi.AuditEntry
	usageRow        = adminapi.Usage
	ownerInput      = adminapi.OwnerInput
	ownerJSON       = adminapi.Owner
	revocationInput = adminapi.RevocationInput
	revocationJSON  = adminapi.Revocation
)
