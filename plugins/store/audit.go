package store

import "time"

// AuditEntry says that somebody did, or tried, something that changes who may
// pass. It holds no secret: of an API key only the id.
type AuditEntry struct {
	// ID grows with each entry; the store sets it.
	ID int64
	// At is when it happened, in UTC with whole seconds.
	At time.Time
	// Actor is the one that did it, as far as the server knows: a user, or `cli`.
	Actor string
	// Action is what was done, such as `key.create` or `token.revoke`.
	Action string
	// Target is the id of what it was done to.
	Target string
	// From is the address that the request came from.
	From string
	// Result is `ok`, or why it failed.
	Result string
}

// AuditFilter chooses entries of the audit trail. Fields that are zero choose all.
type AuditFilter struct {
	// Actor, Action and Target must match exactly.
	Actor, Action, Target string
	// Since and Until bound the time: at or after Since, before Until.
	Since, Until time.Time
	// Before is the id to start below, for paging backwards in time.
	Before int64
	// Limit is the most to return.
	Limit int
}
